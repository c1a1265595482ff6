"""A matrix → its table of test accuracies in percent.

| model | routing | task mix | variant | seeds  | query_item n=402 | query_query n=261 | ... |
| llm   | mhp     | joint    |         | 2 of 3 | **87.1 ± 0.4**   | 76.6 ± 0.2 †      | ... |
"""

import numpy as np

from relevance.report.document import Bold, Table
from relevance.report.matrix import MARK, Matrix
from relevance.report.row import Row
from relevance.report.tables import IDENTITY, NONE, percent
from relevance.tasks import TASK_NAMES

NEAR = "≈"  # not told apart from the best of the column


def accuracy_table(matrix: Matrix, near: dict[Row, frozenset[int]]) -> Table:
    """The matrix: trained rows, then floors and ceiling; `near` as `values` has it."""
    body = [
        [*row.labels, seeds(row.finished, row), *values(row, matrix.n, best, near.get(row, frozenset()))]
        for row, best in zip(matrix.rows, matrix.best, strict=True)
    ]
    for labels, scores in matrix.references.items():
        body.append([*labels, "", "", "", *map(percent, scores.columns)])
    return Table([*IDENTITY, "seeds", *headings(matrix)], body, left=len(IDENTITY))


def interval_table(matrix: Matrix) -> Table:
    """The same rows, those that finished: low and high of each mean, in percent."""
    body = [
        [*row.labels, seeds(row.finished, row), *(_between(low, high) for low, high in row.interval.T)]
        for row in matrix.rows
        if row.finished
    ]
    return Table([*IDENTITY, "seeds", *headings(matrix)], body, left=len(IDENTITY))


def _between(low: float, high: float) -> str:
    return NONE if np.isnan(low) else f"{100 * low:.1f} to {100 * high:.1f}"


def headings(matrix: Matrix) -> list[str]:
    """What stands above the eight columns of accuracies: their names, and how many test rows they are over."""
    tasks = [f"{task} n={n:,}" for task, n in zip(TASK_NAMES, matrix.n, strict=True)]
    return [*tasks, f"micro n={matrix.n.sum():,}", "macro"]


def seeds(counted: int, row: Row) -> str:
    """How many cells of a row a line counts: "3", or "2 of 3" where not all."""
    asked = len(row.cells)
    return str(asked) if counted == asked else f"{counted} of {asked}"


def values(row: Row, n: np.ndarray, best: np.ndarray, near: frozenset[int] = frozenset()) -> list[str]:
    """The eight values of a row as text: a percentage, "—" for an absent task, or what became of the row.

    `n` counts the test rows of each task [6]; `best` says which values are bold [8], `near` the columns in which the
    row is not told apart from the best. Macro accuracy says where cells learnt nothing.
    """
    if not row.finished:
        present = [*(n > 0), True, True]
        return [row.unfinished if there else NONE for there in present]
    texts = [percent(mean, sd) for mean, sd in zip(row.mean, row.sd, strict=True)]
    texts = [f"{text} {MARK}" if marked else text for text, marked in zip(texts, row.marked, strict=True)]
    texts = [f"{text} {NEAR}" if at in near else text for at, text in enumerate(texts)]
    texts[-1] = " ".join(filter(None, (texts[-1], row.idle)))
    return [Bold(text) if bold else text for text, bold in zip(texts, best, strict=True)]
