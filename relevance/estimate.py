"""About how long cells will take: from cells finished before, else from the backbone's size and this machine.

[Cell, Cell], history → 154.0 seconds, "from earlier cells"
"""

import time
from typing import Any

import numpy as np

from relevance.config import Family
from relevance.identity import Cell
from relevance.model import backbone

TOKENS = 24  # of a short pair; only for the guess without history
SHARE = 0.25  # of the machine's matmul rate that training a small model reaches


def duration(cells: list[Cell], finished: list[Any]) -> tuple[float, str]:
    """Seconds for all `cells`, and where the figure comes from; `finished` are runs of cells, newest first."""
    paces = [_remembered(cell, finished) for cell in cells]
    if all(paces):
        return sum(_rows(cell) * pace for cell, pace in zip(cells, paces, strict=True)), "from earlier cells"
    speed = _matmul_rate() * SHARE
    guessed = [_rows(cell) * (pace or _flops(cell) / speed) for cell, pace in zip(cells, paces, strict=True)]
    return sum(guessed), "guessed from the backbones' sizes and this machine's speed"


def _remembered(cell: Cell, finished: list[Any]) -> float | None:
    """Seconds a trained row took in the newest cell of this model, on this routing where there is one."""
    same = [run for run in finished if run.data.tags["model"] == cell.config.model.name]
    same = [run for run in same if run.data.params.get("backbone_digest") == cell.backbone_digest[:16]]
    same.sort(key=lambda run: run.data.tags["routing"] != cell.config.routing.name)  # stable: newest first
    metrics = same[0].data.metrics if same else {}
    rows, seconds = metrics.get("train/rows"), metrics.get("seconds")
    return seconds / rows if rows and seconds else None


def _rows(cell: Cell) -> int:
    """The cell trains on at most."""
    rows, steps = cell.train_rows * cell.config.trainer.max_epochs, cell.config.trainer.max_steps
    return rows if steps < 0 else min(rows, steps * cell.config.train.step_rows)


def _flops(cell: Cell) -> float:
    """Of training one short row: two per weight and token forward, four backward (two where weights are frozen)."""
    factor = 6 if cell.config.model.family is Family.ce else 4
    return factor * TOKENS * backbone.body_parameters(backbone.of(cell.config))


def _matmul_rate() -> float:
    """Floating-point operations a second that numpy reaches here on a square product; takes a tenth of a second."""
    size, a = 512, np.ones((512, 512), np.float32)
    started, rounds = time.perf_counter(), 0
    while time.perf_counter() - started < 0.1:
        a @ a
        rounds += 1
    return rounds * 2 * size**3 / (time.perf_counter() - started)
