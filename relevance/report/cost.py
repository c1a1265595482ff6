"""Rows of the matrices → what they took: a table of speed and size.

| llm | mhp | joint | | 2,127,872 | 282 | 132 |
"""

from relevance.report.matrix import Row
from relevance.report.tables import IDENTITY, count, escape, table

COST = {
    "trainable parameters": "params/trainable",
    "rows/s trained": "train/rows_per_second",
    "seconds": "seconds",
}


def cost_table(rows: list[Row]) -> str:
    """Trainable parameters, training speed and seconds of a cell."""
    columns = {title: [count(row.metric(metric)) for row in rows] for title, metric in COST.items()}
    body = [[*map(escape, row.labels), *values] for row, *values in zip(rows, *columns.values(), strict=True)]
    return table([*IDENTITY, *columns], body, left=len(IDENTITY))
