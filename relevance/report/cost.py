"""Rows of the matrices → what they took: a table of speed and size, and where their weights lie.

| llm | mhp | joint | | 2,127,872 | 282 | 1,204 | 132 |
| llm | mhp | joint | | 0 / 1,234,567 | 55,808 / 55,808 | 2,068,224 / 2,068,224 | 3,840 / 3,840 | ... |
"""

import numpy as np

from relevance.report.document import Table
from relevance.report.row import Row
from relevance.report.tables import IDENTITY, NONE, count

COST = {
    "trainable parameters": "params/trainable",
    "rows/s trained": "train/rows_per_second",
    "rows/s scored": "test/rows_per_second",
    "seconds": "seconds",
}
MEMORY = "peak_memory_bytes"
PARTS = {  # column: the metrics it sums, each logged as .../trainable and .../total
    "trunk": ("params/trunk",),
    "adapters": ("params/adapters",),
    "private": ("params/private", "params/gates"),
    "heads": ("params/heads",),
    "all": ("params",),
}


def cost_table(rows: list[Row]) -> Table:
    """Trainable parameters, speed, seconds of a cell and, where any was logged, peak memory in GB (10^9 bytes)."""
    columns = {title: [count(row.metric(metric)) for row in rows] for title, metric in COST.items()}
    peaks = [row.metric(MEMORY) / 1e9 for row in rows]
    if not np.isnan(peaks).all():
        columns["peak memory, GB"] = [count(peak, digits=2) for peak in peaks]
    body = [[*row.labels, *values] for row, *values in zip(rows, *columns.values(), strict=True)]
    return Table([*IDENTITY, *columns], body, left=len(IDENTITY))


def parameters_table(rows: list[Row]) -> Table:
    """Weights of each part as "trainable / total"; "—" for a part without weights, or of a run that logged none."""
    body = [[*row.labels, *(_weights(row, metrics) for metrics in PARTS.values())] for row in rows]
    return Table([*IDENTITY, *PARTS], body, left=len(IDENTITY))


def _weights(row: Row, metrics: tuple[str, ...]) -> str:
    trainable, total = (_sum(row, [f"{metric}/{kind}" for metric in metrics]) for kind in ("trainable", "total"))
    return f"{count(trainable)} / {count(total)}" if total > 0 else NONE


def _sum(row: Row, metrics: list[str]) -> float:
    """Sum of what was logged; NaN where nothing was."""
    logged = [value for value in map(row.metric, metrics) if not np.isnan(value)]
    return sum(logged) if logged else np.nan
