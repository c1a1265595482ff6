"""A matrix → its tables of numbers: test accuracies, their intervals, other measures, cost and parameters.

| model | routing | task mix | variant | seeds  | query_item n=402 | query_query n=261 | ... |
| llm   | mhp     | joint    |         | 2 of 3 | **87.1 ± 0.4**   | 76.6 ± 0.2 †      | ... |

measures    macro-F1, recall of each label, weighted kappa, mean distance: a table each, one column a task
cost        | llm | mhp | joint | | 2,127,872 | 282 | 1,204 | 132 |: weights trained, rows/s trained and scored, seconds
parameters  | llm | mhp | joint | | 0 / 1,234,567 | 55,808 / 55,808 | ... |: where the weights lie, trainable / total
"""

from dataclasses import dataclass
from itertools import groupby

import numpy as np

from relevance.metrics import COLUMNS, METRICS
from relevance.pages.blocks import IDENTITY, NONE, Bold, Section, Table, count, percent, signed
from relevance.report.matrix import MARK, Matrix
from relevance.report.rows import Row, spread
from relevance.report.stats import Effect, Right, contrast, effect_text, holm, mcnemar, versus
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


MICRO, MACRO = COLUMNS.index("micro"), COLUMNS.index("macro")
FEW = 6  # names a line tells


@dataclass(frozen=True)
class Paired:
    """McNemar's test of two cells of one seed on one column's rows."""

    seed: int
    only_best: int
    only_other: int
    exact: float
    mid: float
    holm: float  # the mid-p, corrected over all tests of the column


@dataclass(frozen=True)
class Comparison:
    """The best row of a column, minus another."""

    column: str
    best: Row
    other: Row
    effect: Effect | None  # None where the two share no seed
    tests: tuple[Paired, ...]  # none for macro, a mean that no row has

    @property
    def apart(self) -> bool:
        """Whether the interval of the difference lies above zero."""
        return self.effect is not None and self.effect.low > 0


def comparisons(matrix: Matrix) -> list[Comparison]:
    """Of every column, the best row (the first of equals) with every other one that has the column."""
    rows = [row for row in matrix.rows if row.finished]
    best = matrix.best[[row.finished > 0 for row in matrix.rows]]
    right, found = Right(matrix.tested), []
    for at, column in enumerate(COLUMNS):
        if best[:, at].any():
            first = rows[int(best[:, at].argmax())]
            others = [row for row in rows if row is not first and _comparable(row, at, matrix)]
            found += _column(column, first, others, matrix, right)
    return found


def _comparable(row: Row, at: int, matrix: Matrix) -> bool:
    return not np.isnan(row.mean[at]) and (at < MICRO or not matrix.partial(row))


def _column(column: str, best: Row, others: list[Row], matrix: Matrix, right: Right) -> list[Comparison]:
    tests = _tests(column, best, others, right)
    return [
        Comparison(column, best, other, contrast(versus(best.series, other.series, column), matrix.n), tests[other])
        for other in others
    ]


def _tests(column: str, best: Row, others: list[Row], right: Right) -> dict[Row, tuple[Paired, ...]]:
    """McNemar's tests of each row with the best one, by seed; none for macro, a mean that no row has."""
    if column == "macro":
        return dict.fromkeys(others, ())
    at = COLUMNS.index(column)
    pairs = [(other, seed, one, two) for other in others for seed, one, two in seedwise(best, other)]
    counts = [right.differing(one, two, at) for _, _, one, two in pairs]
    only_best, only_other = np.array(counts, int).reshape(-1, 2).T
    p = mcnemar(only_best, only_other)
    corrected = holm(p.mid)
    found: dict[Row, list[Paired]] = {other: [] for other in others}
    for (other, seed, *_), *told in zip(pairs, only_best, only_other, p.exact, p.mid, corrected, strict=True):
        found[other].append(Paired(seed, *(value.item() for value in told)))
    return {other: tuple(own) for other, own in found.items()}


def seedwise(one: Row, other: Row) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """The seeds that both rows finished, with the answers of each [N]."""
    theirs = {cell.seed: found for cell, found in other.done}
    return [(cell.seed, found, theirs[cell.seed]) for cell, found in one.done if cell.seed in theirs]


def near(found: list[Comparison]) -> dict[Row, frozenset[int]]:
    """By row, the places of the columns in which it is not told apart from the best."""
    places: dict[Row, set[int]] = {}
    for one in found:
        if one.effect and not one.apart:
            places.setdefault(one.other, set()).add(COLUMNS.index(one.column))
    return {row: frozenset(own) for row, own in places.items()}


def beside_table(found: list[Comparison], matrix: Matrix) -> Table:
    """Every row beside the highest of macro accuracy, and of micro with McNemar's test of each seed."""
    by_column = {name: {one.other: one for one in found if one.column == name} for name in ("macro", "micro")}
    rows = [row for row in matrix.rows if any(row in own for own in by_column.values())]
    body = [[*row.labels, *_macro(by_column["macro"].get(row)), *_micro(by_column["micro"].get(row))] for row in rows]
    n = f"n={matrix.n.sum():,}"
    header = [f"highest macro minus it {n}", "by seed", f"highest micro minus it {n}", "McNemar, Holm, by seed"]
    return Table([*IDENTITY, *header], body, left=len(IDENTITY))


def _macro(one: Comparison | None) -> list[str]:
    if one is None or one.effect is None:
        return [NONE, NONE]
    return [effect_text(one.effect), " ".join(map(signed, one.effect.seeds))]


def _micro(one: Comparison | None) -> list[str]:
    if one is None or one.effect is None:
        return [NONE, NONE]
    return [effect_text(one.effect), " ".join(f"{test.holm:.2g}" for test in one.tests)]


def told(found: list[Comparison]) -> list[str]:
    """For each column, its best row, and how many of those that share seeds with it are not told apart from it."""
    lines = []
    for column, group in groupby(found, key=lambda one: one.column):
        own = list(group)
        asked = [one for one in own if one.effect]
        alike = [one.other.name for one in asked if not one.apart]
        which = f": {', '.join(alike[:FEW])}{', …' if len(alike) > FEW else ''}" if alike else ""
        unasked = f"; {len(own) - len(asked)} share no seed with it" if len(asked) < len(own) else ""
        best = f"{column}: {own[0].best.name}; not told apart from it {len(alike)} of {len(asked)}"
        lines.append(f"{best}{which}{unasked}")
    return lines
