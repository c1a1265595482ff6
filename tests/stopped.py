"""A cell that is trained, stopped at a step, gone on with; what it left, to the bit."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from small_sweep import prepared

from relevance.cell_id import Cell, Request
from relevance.config import Config
from relevance.errors import Stopped
from relevance.model.module import RelevanceModule
from relevance.sweep.resolve import resolve
from relevance.tracking import Record, RecordedRun
from relevance.train import cell as cells

CURVES = ("train/loss", "train/gradient_norm", "validation/macro_accuracy")


@dataclass
class End:
    """All that an attempt at a cell leaves that should not depend on whether it was stopped."""

    test: bytes
    validation: bytes
    weights: dict[str, torch.Tensor]
    optimizer: dict[str, Any]
    rates: list[float]
    progress: tuple[int, int, int]  # steps, epochs, optimiser steps
    counts: tuple[float, float]  # rows, epochs
    curve: list[tuple[int, str, float]]  # in the order in which it was said


def cell_of(config: Config) -> Cell:
    (cell,), _ = resolve([Request(config, config)], prepared([config]))
    return cell


def train(cell: Cell) -> RecordedRun:
    """An attempt at the cell, as relevance.sweep.attempt makes it, without a store."""
    run = RecordedRun(cell.work)
    cell.work.mkdir(parents=True, exist_ok=True)
    if run.record.exists():
        run.record.mend()
    else:
        run.record.append("start", tags={})
    cells.train_cell(cell, run)
    return run


def ended(cell: Cell) -> End:
    """Train the cell to its end and look at it as its evaluation begins, then at all that it said."""
    seen, evaluate = {}, cells.evaluate

    def watched(work, trainer, module, data, run):
        (optimizer,), loops = trainer.optimizers, trainer.fit_loop
        seen["weights"] = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        seen["optimizer"] = optimizer.state_dict()["state"]
        seen["rates"] = [group["lr"] for group in optimizer.param_groups]
        seen["progress"] = loops.epoch_loop.total_batch_idx, loops.epoch_progress.total.started, trainer.global_step
        return evaluate(work, trainer, module, data, run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "evaluate", watched)
        found = train(cell).record.last("log")["metrics"]
    cells.settle(cell)
    read = [(cell.folder / f"{split}.parquet").read_bytes() for split in ("test", "validation")]
    return End(*read, **seen, counts=(found["train/rows"], found["epochs"]), curve=said(cell))


def said(cell: Cell) -> list[tuple[int, str, float]]:
    """The points of the curves, as often as they were said."""
    logs = [said for (kind, said), _ in Record(cell.folder).events() if kind == "log"]
    return [(log["step"], name, value) for log in logs for name, value in log["metrics"].items() if name in CURVES]


def same(one: End, other: End) -> bool:
    for name in ("weights", "optimizer"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=0, atol=0)
    assert one.curve == other.curve
    assert (one.rates, one.progress, one.counts) == (other.rates, other.progress, other.counts)
    return (one.test, one.validation) == (other.test, other.validation)


def stopped(cell: Cell, step: int | None) -> None:
    """Train the cell until it is stopped in the middle of a step, counted over all epochs; None: as it is scored."""
    training_step = RelevanceModule.training_step

    def stopping(self, batch, index):
        return asked_to_stop() if self.global_step == step else training_step(self, batch, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RelevanceModule, "training_step", stopping)
        if step is None:
            patch.setattr(cells, "evaluate", asked_to_stop)
        with pytest.raises(Stopped):
            train(cell)


def asked_to_stop(*_):
    raise Stopped("asked to stop: SIGTERM")


def asking(cell: Cell, **changes) -> Cell:
    """The same cell with settings that are not part of its question."""
    return replace(cell, config=replace(cell.config, **changes))


def lasts(cell: Cell) -> list[str]:
    return sorted(path.name for path in cell.work.glob("checkpoints/last-*.ckpt"))
