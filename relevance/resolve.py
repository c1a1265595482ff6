"""Requests → cells: data prepared, backbones hashed, each question asked once."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from relevance import identity
from relevance.config import Config, DataConfig, Match, Mix
from relevance.data.rows import Rows, prepare
from relevance.errors import UserError
from relevance.identity import Cell, Request
from relevance.model import backbone
from relevance.rates import doubts


def resolve(requests: list[Request], datasets: dict[str, Rows]) -> tuple[list[Cell], list[str]]:
    """The cells asked for, each once and in order, and what a person should read about them.

    A cell that cannot be carries the reason; UserError where none can.
    """
    digest_of = cache(lambda *where: backbone.digest(backbone.folder(*where)))
    cells: dict[str, Cell] = {}
    notes = [f"pairs {rows.digest[:12]}: " + "\n  ".join([str(rows.path), *rows.notes]) for rows in datasets.values()]
    for request in _admitted(requests):
        cell = _refused(request) if request.refusal else _full(request, datasets, digest_of)
        earlier = cells.get(cell.fingerprint)
        if earlier and (other := identity.beside(earlier.config, cell.config)):
            notes.append(f"{cell.name}: is one question however it runs, and runs once; left out: {other}")
        cells[cell.fingerprint] = replace(earlier, asked=earlier.asked + 1) if earlier else cell
    if all(cell.refusal for cell in cells.values()):
        raise UserError("\n".join(dict.fromkeys(cell.refusal for cell in cells.values())))
    return list(cells.values()), notes


def _admitted(requests: list[Request]) -> list[Request]:
    """The requests, with the reason in those whose backbone cannot serve."""
    from relevance.model import pretrained

    @cache
    def refusal(index: int) -> str:
        config = requests[index].config
        try:
            pretrained.admit(backbone.of(config), config.model)
        except UserError as error:
            return str(error)
        return ""

    first = {repr(request.config.model): index for index, request in reversed(list(enumerate(requests)))}
    return [
        request if request.refusal else replace(request, refusal=refusal(first[repr(request.config.model)]))
        for request in requests
    ]


def _full(request: Request, datasets: dict[str, Rows], digest_of: Callable[..., str]) -> Cell:
    from relevance.cell import resolved  # takes torch along; bad data is told before it is loaded

    config, defaults = request.config, request.defaults
    plain = replace(defaults, trainer=replace(defaults.trainer, precision="32-true"))  # on every machine
    full = replace(request, config=resolved(budgeted(config)), defaults=plain)
    digest = digest_of(config.model.backbone, config.model.revision, Path(config.outputs))
    return _cell(full, datasets[repr(config.data)], digest)


def _refused(request: Request) -> Cell:
    """A cell that is only named."""
    config = request.config
    variant = identity.variant(config, request.defaults, "", "")
    reason = "; ".join(line.strip() for line in request.refusal.removeprefix("config:\n").splitlines())
    question = identity.fingerprint(config, repr(config.data), config.model.backbone or "")  # neither was read
    return Cell(
        config, question, identity.name(config, variant), variant, "", "", Path(), 0, request.unresolved, reason
    )


def prepared(configs: list[Config]) -> dict[str, Rows]:
    """The checked rows of each different data config; of their tables, split and task alone.

    A sweep holds them for as long as it runs.
    """
    wanted: dict[str, DataConfig] = {repr(config.data): config.data for config in configs}
    return {key: _narrow(prepare(data, Path(configs[0].outputs))) for key, data in wanted.items()}


def _narrow(rows: Rows) -> Rows:
    return replace(rows, table=pa.table({name: rows.table[name].dictionary_encode() for name in ("split", "task")}))


def _cell(request: Request, rows: Rows, backbone_digest: str) -> Cell:
    config, train_rows = request.config, _train_rows(request.config, rows)
    variant = identity.variant(config, request.defaults, rows.digest, backbone_digest)
    return Cell(
        config,
        identity.fingerprint(config, rows.digest, backbone_digest),
        identity.name(config, variant),
        variant,
        rows.digest,
        backbone_digest,
        rows.path,
        train_rows,
        request.unresolved,
        doubts=doubts(config, request.defaults, train_rows),
    )


def budgeted(config: Config) -> Config:
    """The config with `match` in one spelling: a cell of several tasks is its own measure, whichever was asked."""
    measured = config.match is not Match.none and config.task_mix.kind is not Mix.single
    return replace(config, match=Match.steps) if measured else config


def _train_rows(config: Config, rows: Rows) -> int:
    """Rows an epoch of the cell holds."""
    train = pc.equal(rows.table["split"].cast("string"), "train")
    if config.task_mix.kind is Mix.single and config.match is not Match.steps:
        train = pc.and_(train, pc.equal(rows.table["task"].cast("string"), config.task_mix.task))
    return config.task_mix.draws or int(config.task_mix.share * (pc.sum(train).as_py() or 0))
