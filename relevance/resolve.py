"""Requests → cells: data prepared, backbones hashed, each question asked once."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pyarrow.compute as pc

from relevance import identity
from relevance.config import Config, DataConfig, Match, Mix
from relevance.data.rows import Rows, prepare
from relevance.identity import Cell, Request
from relevance.model import backbone


def resolve(requests: list[Request], datasets: dict[str, Rows]) -> tuple[list[Cell], list[str]]:
    """The cells asked for, each once and in order, and what a person should read about them."""
    from relevance.cell import resolved  # takes torch along; bad data is told before it is loaded
    from relevance.model import pretrained

    digest_of = cache(lambda name: backbone.digest(backbone.folder(name)))
    for model in {repr(request.config.model): request.config.model for request in requests}.values():
        pretrained.admit(backbone.folder(model.backbone), model)
    cells: dict[str, Cell] = {}
    notes = [f"pairs {rows.digest[:12]}: " + "\n  ".join([str(rows.path), *rows.notes]) for rows in datasets.values()]
    for request in requests:
        config = request.config
        defaults = request.defaults
        plain = replace(defaults, trainer=replace(defaults.trainer, precision="32-true"))  # on every machine
        full = Request(resolved(budgeted(config)), plain, request.unresolved)
        cell = _cell(full, datasets[repr(config.data)], digest_of(config.model.backbone))
        if cell.fingerprint in cells:
            notes.append(f"{cell.name}: asked for twice, run once")
        cells.setdefault(cell.fingerprint, cell)
    return list(cells.values()), notes


def prepared(configs: list[Config]) -> dict[str, Rows]:
    """The checked rows of each different data config."""
    wanted: dict[str, DataConfig] = {repr(config.data): config.data for config in configs}
    return {key: prepare(data, Path(configs[0].outputs)) for key, data in wanted.items()}


def _cell(request: Request, rows: Rows, backbone_digest: str) -> Cell:
    config = request.config
    variant = identity.variant(config, request.defaults, rows.digest, backbone_digest)
    return Cell(
        config,
        identity.fingerprint(config, rows.digest, backbone_digest),
        identity.name(config, variant),
        variant,
        rows.digest,
        backbone_digest,
        rows.path,
        _train_rows(config, rows),
        request.unresolved,
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
