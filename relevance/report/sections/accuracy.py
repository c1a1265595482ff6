"""A matrix → its tables of numbers: test accuracies, their intervals, other measures, cost and parameters.

| model | routing | task mix | variant | seeds  | query_item n=402 | query_query n=261 | ... |
| llm   | mhp     | joint    |         | 2 of 3 | **87.1 ± 0.4**   | 76.6 ± 0.2 †      | ... |

measures    macro-F1, recall of each label, weighted kappa, mean distance: a table each, one column a task
cost        | llm | mhp | joint | | 2,127,872 | 282 | 1,204 | 132 |: weights trained, rows/s trained and scored, seconds
parameters  | llm | mhp | joint | | 0 / 1,234,567 | 55,808 / 55,808 | ... |: where the weights lie, trainable / total
"""

from collections import defaultdict
from dataclasses import replace
from itertools import groupby

import numpy as np

from relevance.metrics import COLUMNS, METRICS
from relevance.pages.blocks import NONE, Section, Table, count, percent
from relevance.report.matrix import Matrix, whole
from relevance.report.rows import MICRO, Row, spread
from relevance.report.sections import Finding, decimals, headings, seeds, table, values
from relevance.report.stats import Right, effect_texts, holm, mcnemar
from relevance.tasks import TASK_NAMES

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
FEW = 6  # names in a line


def accuracy_table(matrix: Matrix, near: dict[Row, frozenset[int]]) -> Table:
    """The matrix: trained rows, then floors and ceiling; `near` as `values` has it."""
    body = [
        [*row.labels, seeds(row.finished, row), *values(row, matrix.n, best, near.get(row, frozenset()))]
        for row, best in zip(matrix.rows, matrix.best, strict=True)
    ]
    floors = [[*labels, "", "", "", *map(percent, scores.columns)] for labels, scores in matrix.references.items()]
    return table([*body, *floors], ["seeds", *headings(matrix)])


def interval_table(matrix: Matrix) -> Table:
    """The same rows, those that finished: low and high of each mean, in percent."""
    body = [
        [
            *row.labels,
            seeds(row.finished, row),
            *(NONE if np.isnan(low) else f"{100 * low:.1f} to {100 * high:.1f}" for low, high in row.interval.T),
        ]
        for row in matrix.finished
    ]
    return table(body, ["seeds", *headings(matrix)])


def measures_section(matrix: Matrix) -> list[Section]:
    """A table for each measure; none where nothing finished."""
    if not matrix.finished:
        return []
    sections = [Section("Beyond accuracy", [BEYOND])]
    header = ["seeds", *headings(matrix)[: len(TASK_NAMES)]]
    for metric in METRICS:
        if not metric.title:
            continue
        body = []
        for row in matrix.finished:
            by_seed = np.array([metric.shown(scores) for scores in row.scores if scores])
            texts = (decimals(metric.digits, *spread(column)) for column in by_seed.T)
            body.append([*row.labels, seeds(row.finished, row), *texts])
        for labels, scores in matrix.references.items():
            body.append([*labels, "", "", "", *(decimals(metric.digits, value) for value in metric.shown(scores))])
        sections.append(Section(metric.title, [table(body, header)], deep=True))
    return sections


def cost_table(rows: list[Row]) -> Table:
    """Trainable parameters, speed, seconds of a cell and, where any was logged, peak memory in GB (10^9 bytes)."""
    columns = {title: [count(row.metric(metric)) for row in rows] for title, metric in COST.items()}
    peaks = [row.metric(MEMORY) / 1e9 for row in rows]
    if not np.isnan(peaks).all():
        columns["peak memory, GB"] = [count(peak, digits=2) for peak in peaks]
    return table(([*row.labels, *texts] for row, *texts in zip(rows, *columns.values(), strict=True)), [*columns])


def parameters_table(rows: list[Row]) -> Table:
    """Weights of each part as "trainable / total"; "—" for a part without weights, or of a run that logged none."""
    return table(([*row.labels, *(_weights(row, metrics) for metrics in PARTS.values())] for row in rows), [*PARTS])


def _weights(row: Row, metrics: tuple[str, ...]) -> str:
    logged = np.array([[row.metric(f"{metric}/{kind}") for metric in metrics] for kind in ("trainable", "total")])
    absent = np.isnan(logged).all(axis=1)
    trainable, total = np.where(absent, np.nan, np.nansum(logged, axis=1))
    return f"{count(trainable)} / {count(total)}" if total > 0 else NONE


def comparisons(matrix: Matrix) -> list[Finding]:
    """Of every column, the best row (the first of equals) with every other one that has the column."""
    right, findings = Right(matrix.tested), []
    for at, (column, best) in enumerate(zip(COLUMNS, matrix.best.T, strict=True)):
        if best.any():
            first = matrix.rows[int(best.argmax())]
            rows = whole(matrix) if at >= MICRO else matrix.finished
            others = [row for row in rows if row is not first and not np.isnan(row.mean[at])]
            findings += _tested([Finding.of(column, first, other, matrix.n) for other in others], right)
    return findings


def _tested(findings: list[Finding], right: Right) -> list[Finding]:
    """The findings of one column with McNemar's test of each seed; none for macro, a mean that no row has."""
    if not findings or findings[0].column == "macro":
        return findings
    at = COLUMNS.index(findings[0].column)
    pairs = [(place, pair) for place, of in enumerate(findings) for pair in seedwise(of.row, of.other)]
    counts = [right.differing(first, other, at) for _, (_, first, other) in pairs]
    only_a, only_b = np.array(counts, np.int64).reshape(-1, 2).T
    p = mcnemar(only_a, only_b)
    tests: list[list[dict]] = [[] for _ in findings]
    numbers = zip(only_a.tolist(), only_b.tolist(), p.exact.tolist(), p.mid.tolist(), holm(p.mid).tolist(), strict=True)
    for (place, (seed, *_)), (a, b, exact, mid, corrected) in zip(pairs, numbers, strict=True):
        test = {"seeds": seed, "only_a": a, "only_b": b, "p_exact": exact, "p_mid": mid, "p_holm": corrected}
        tests[place].append(test)
    return [replace(finding, tests=tuple(of)) for finding, of in zip(findings, tests, strict=True)]


def seedwise(row: Row, other: Row) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """The seeds that both rows finished, with the answers of each [N]."""
    others = {cell.seed: answers for cell, answers in other.done}
    return [(cell.seed, answers, others[cell.seed]) for cell, answers in row.done if cell.seed in others]


def _near(finding: Finding) -> bool:
    """Whether the interval of the difference to the best row is not above zero."""
    return finding.effect is not None and not finding.effect.low > 0


def near(findings: list[Finding]) -> dict[Row, frozenset[int]]:
    """By row, the places of the columns in which no difference to the best is shown."""
    places = defaultdict(set)
    for finding in filter(_near, findings):
        places[finding.other].add(COLUMNS.index(finding.column))
    return {row: frozenset(columns) for row, columns in places.items()}


def beside_table(findings: list[Finding], matrix: Matrix) -> Table:
    """Every row beside the highest of macro accuracy, and of micro with McNemar's test of each seed."""
    macro, micro = ({of.other: of for of in findings if of.column == name} for name in ("macro", "micro"))
    body = []
    for row in matrix.rows:
        if row in macro or row in micro:
            ends = [of.effect if (of := by_row.get(row)) else None for by_row in (macro, micro)]
            tests = " ".join(f"{test['p_holm']:.2g}" for test in micro[row].tests) if ends[1] else NONE
            body.append([*row.labels, *effect_texts(ends[0]), effect_texts(ends[1])[0], tests])
    n = f"n={matrix.n.sum():,}"
    return table(
        body, [f"highest macro minus it {n}", "by seed", f"highest micro minus it {n}", "McNemar, Holm, by seed"]
    )


def near_lines(findings: list[Finding]) -> list[str]:
    """For each column, its best row, and how many of those that share seeds with it no difference to it is shown of."""
    lines = []
    for column, group in groupby(findings, key=lambda finding: finding.column):
        others = list(group)
        tested = [finding for finding in others if finding.effect]
        alike = [finding.other.name for finding in filter(_near, tested)]
        which = f": {', '.join(alike[:FEW])}{', …' if len(alike) > FEW else ''}" if alike else ""
        apart = f"; {len(others) - len(tested)} share no seed with it" if len(tested) < len(others) else ""
        best = f"{column}: {others[0].row.name}; not told apart from it {len(alike)} of {len(tested)}"
        lines.append(f"{best}{which}{apart}")
    return lines
