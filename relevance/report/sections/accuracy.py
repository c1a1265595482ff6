"""A matrix → its tables of numbers: test accuracies, their intervals, other measures, cost and parameters.

| model | routing | task mix | variant | seeds  | query_item n=402 | query_query n=261 | ... |
| llm   | mhp     | joint    |         | 2 of 3 | **87.1 ± 0.4**   | 76.6 ± 0.2 †      | ... |

measures    macro-F1, recall of each label, weighted kappa, mean distance: a table each, one column a task
cost        | llm | mhp | joint | | 2,127,872 | 282 | 1,204 | 132 |: weights trained, rows/s trained and scored, seconds
parameters  | llm | mhp | joint | | 0 / 1,234,567 | 55,808 / 55,808 | ... |: where the weights lie, trainable / total
"""

import numpy as np

from relevance.metrics import METRICS
from relevance.pages.blocks import IDENTITY, NONE, Bold, Section, Table, count, percent
from relevance.report.matrix import MARK, Matrix
from relevance.report.rows import Row, spread
from relevance.tasks import TASK_NAMES

NEAR = "≈"  # not told apart from the best of the column
BEYOND = (
    "Per task, mean ± standard deviation over seeds. macro-F1: mean over the labels. Recall: share of the rows of a "
    "label that are found. kappa: Cohen's with quadratic weights on the three-point scale. Distance: mean absolute "
    "error on it."
)
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


def measures_section(matrix: Matrix) -> list[Section]:
    """A table for each measure; none where nothing finished."""
    rows = [row for row in matrix.rows if row.finished]
    if not rows:
        return []
    found = [Section("Beyond accuracy", [BEYOND])]
    header = [*IDENTITY, "seeds", *headings(matrix)[: len(TASK_NAMES)]]
    for metric in METRICS:
        if not metric.title:
            continue
        body = []
        for row in rows:
            by_seed = np.array([metric.shown(scores) for scores in row.scores if scores])
            texts = (_text(metric.digits, *spread(column)) for column in by_seed.T)
            body.append([*row.labels, seeds(row.finished, row), *texts])
        for labels, scores in matrix.references.items():
            body.append([*labels, "", "", "", *(_text(metric.digits, value) for value in metric.shown(scores))])
        found.append(Section(metric.title, [Table(header, body, left=len(IDENTITY))], deep=True))
    return found


def _text(digits: int, mean: float, sd: float = np.nan) -> str:
    if np.isnan(mean):
        return NONE
    return f"{mean:.{digits}f}" + ("" if np.isnan(sd) else f" ± {sd:.{digits}f}")


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
