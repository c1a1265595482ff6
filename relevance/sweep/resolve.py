"""Requests → cells: data prepared, hub ids pinned to commits, backbones hashed, each question once."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from relevance.cell_id import Cell, Request, beside, cell_name, fingerprint, full_name, variant_of
from relevance.config import Config, Match, Mix, ModelConfig
from relevance.data.table import Rows, prepare_rows
from relevance.errors import UserError
from relevance.model.backbone import backbone_digest, backbone_folder, pin_revision, split_revision
from relevance.rates import doubts
from relevance.sweep.teachers import taught


def resolve(requests: list[Request], datasets: dict[str, Rows]) -> tuple[list[Cell], list[str]]:
    """The cells asked for, each once and in order, and what a person should read about them.

    A cell that cannot be trained carries the reason; UserError where none can, and for two that share a name.
    """
    cells: dict[str, Cell] = {}
    notes = [f"pairs {rows.digest[:12]}: " + "\n  ".join([str(rows.path), *rows.notes]) for rows in datasets.values()]
    requests, unlabelled = taught(requests, datasets)
    pinned, commits = _pinned(requests)
    notes += [*(note for rows in unlabelled.values() for note in rows.notes), *commits]
    for request in _admitted(pinned):
        cell = _refused(request) if request.refusal else _full(request, datasets, unlabelled)
        earlier = cells.get(cell.fingerprint)
        if earlier and (other := beside(earlier.config, cell.config)):
            notes.append(f"{cell.name}: is one question however it runs, and runs once; left out: {other}")
        cells[cell.fingerprint] = replace(earlier, asked=earlier.asked + 1) if earlier else cell
    if all(cell.refusal for cell in cells.values()):
        raise UserError("\n".join(dict.fromkeys(cell.refusal for cell in cells.values())))
    _check_names([cell for cell in cells.values() if not cell.refusal])
    return list(cells.values()), notes


def _check_names(cells: list[Cell]) -> None:
    """UserError for two cells of one name: no report could tell them apart."""
    named: dict[str, Cell] = {}
    for cell in cells:
        first = named.setdefault(full_name(cell.config, cell.variant), cell)
        if first is not cell:
            ours, theirs = beside(cell.config, first.config), beside(first.config, cell.config)
            raise UserError(
                f"two cells are called {cell.name}: one has {ours or first.fingerprint[:16]}, the other "
                f"{theirs or cell.fingerprint[:16]}; give them different names (model.name, routing.name, "
                "task_mix.name), or ask for each in a sweep of its own"
            )


def _pinned(requests: list[Request]) -> tuple[list[Request], list[str]]:
    """The requests, with the commits their hub ids are at now, and the reason in those whose backbone is not here.

    Each is looked up once: cells of a command read the same commit, even if a branch moves meanwhile. Beside them a
    line for each branch or tag that was looked up.
    """
    from relevance.model.hub import resolve_commit  # takes its library along

    commit, outputs, lines = cache(resolve_commit), requests[0].config.outputs, dict[str, None]()

    @cache
    def located(name: str, revision: str | None, code: bool) -> tuple[str, str | None, str]:
        model = ModelConfig(backbone=name, revision=revision, trust_remote_code=code)
        try:
            name, revision = split_revision(model)
            model = pin_revision(model, commit)
            backbone_digest(Config(model=model, outputs=outputs))
        except UserError as error:
            return name, revision, str(error)
        if model.revision != revision:
            lines[f"model.backbone={name}: {revision or 'main'} is commit {model.revision}"] = None
        return model.backbone, model.revision, ""

    def pinned(request: Request) -> Request:
        model = request.config.model
        name, revision, refusal = located(model.backbone, model.revision, model.trust_remote_code)
        config = replace(request.config, model=replace(model, backbone=name, revision=revision))
        return replace(request, config=config, refusal=refusal)

    return [request if request.refusal else pinned(request) for request in requests], list(lines)


def _admitted(requests: list[Request]) -> list[Request]:
    """The requests, with the reason in those whose backbone is not supported."""
    from relevance.model.pretrained import check_backbone

    refusals: dict[str, str] = {}
    for request in requests:
        config, model = request.config, repr(request.config.model)
        if request.refusal or model in refusals:
            continue
        try:
            check_backbone(backbone_folder(config), config.model)
            refusals[model] = ""
        except UserError as error:
            refusals[model] = str(error)
    return [replace(request, refusal=request.refusal or refusals[repr(request.config.model)]) for request in requests]


def _full(request: Request, datasets: dict[str, Rows], unlabelled: dict[str, Rows]) -> Cell:
    from relevance.train.cell import resolved  # takes torch along; bad data raises before it is loaded

    config, defaults, rows = resolved(request.config), request.defaults, datasets[repr(request.config.data)]
    if config.match is not Match.none and config.task_mix.kind is not Mix.single:
        config = replace(config, match=Match.steps)  # a cell of several tasks is its own measure, whichever was asked
    plain = replace(defaults, trainer=replace(defaults.trainer, precision="32-true"))  # on every machine
    backbone, train_rows = backbone_digest(config), _train_rows(config, rows, unlabelled)
    variant = variant_of(config, plain, rows.digest, backbone)
    return Cell(
        config,
        fingerprint(config, rows.digest, backbone),
        cell_name(config, variant),
        variant,
        rows.digest,
        backbone,
        rows.path,
        train_rows,
        request.unresolved,
        doubts=doubts(config, plain, train_rows),
    )


def _refused(request: Request) -> Cell:
    """A cell that is only named."""
    config = request.config
    model = config.model
    variant = variant_of(config, request.defaults, "", model.revision or "")
    reason = "; ".join(line.strip() for line in request.refusal.removeprefix("config:\n").splitlines())
    question = fingerprint(config, repr(config.data), f"{model.backbone}@{model.revision}")  # neither was read
    return Cell(config, question, cell_name(config, variant), variant, "", "", Path(), 0, request.unresolved, reason)


def prepared(configs: list[Config]) -> dict[str, Rows]:
    """The checked rows of each different data config; of their tables, split and task alone, to spare memory."""
    datasets: dict[str, Rows] = {}
    for key, data in {repr(config.data): config.data for config in configs}.items():
        rows = prepare_rows(data, Path(configs[0].outputs))
        narrow = pa.table({name: rows.table[name].dictionary_encode() for name in ("split", "task")})
        datasets[key] = replace(rows, table=narrow)
    return datasets


def _train_rows(config: Config, rows: Rows, unlabelled: dict[str, Rows]) -> int:
    """Rows an epoch of the cell holds."""
    if config.match is Match.steps:
        return config.task_mix.draws or len(_training(rows))
    labelled, more = _training(rows), unlabelled.get(config.train.unlabelled or "")
    others = more.table["task"].cast("string") if more else labelled[:0]
    if config.task_mix.kind is Mix.single:
        labelled, others = (each.filter(pc.equal(each, config.task_mix.task)) for each in (labelled, others))
    return config.task_mix.draws or int(config.task_mix.share * len(labelled)) + len(others)


def _training(rows: Rows) -> pa.ChunkedArray:
    """The tasks of the training rows."""
    train = pc.equal(rows.table["split"].cast("string"), "train")
    return rows.table["task"].cast("string").filter(train)
