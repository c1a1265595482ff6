"""A matrix → its tables of numbers: accuracies, intervals, ranking and other measures, cost and parameters.

| model | routing | variant | seeds  | query_item n=402 | query_query n=261 | ... |
| llm   | mhp     |         | 2 of 3 | **87.1 ± 0.4**   | 76.6 ± 0.2 †      | ... |
"""

from collections.abc import Iterable

import numpy as np

from relevance.metrics import COLUMNS, METRICS
from relevance.pages.blocks import NONE, Block, Section, Table, count, percent
from relevance.ranking import MEASURES
from relevance.report.evidence import Effect, Evidence
from relevance.report.matrix import JOINT, LEXICAL, MAJORITY, Matrix
from relevance.report.measures import ACCURACY
from relevance.report.rows import MACRO, Row, spread
from relevance.report.sections import NEAR, ONE, decimals, headings, seeds, table, values
from relevance.report.sections.opening import MEASURE
from relevance.report.verdict import Outcome
from relevance.tasks import TASK_NAMES

BEYOND = (
    "Per task, mean ± standard deviation over seeds. macro-F1: mean over the labels. Recall: share of the rows of a "
    "label that are found. kappa: Cohen's with quadratic weights on the three-point scale. Distance: mean absolute "
    "error on it."
)
RANKING = (
    "How well rows are ordered: each left entity with two or more right ones is a list, ordered by expected label "
    "(p_partial + 2 p_relevant), equal ones at random, the same for every cell. NDCG@10 has the gain 2^label - 1; MRR "
    "looks for label 2; average precision counts label 1 and 2, then label 2 alone. In percent, with 95 % intervals. "
    "A list without a relevant row is left out: {left_out}."
)
INTERVALS = "95 % intervals of the means, in percent, over the entities of the test rows and over training seeds."
COST = {
    "trained weights": "params/trainable",
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


def main_table(evidence: Evidence) -> Table:
    """The joint rows, sorted within each family from the highest down."""
    order = {family: at for at, family in enumerate(evidence.main.families)}
    rows = sorted(evidence.main.joint.values(), key=lambda row: (order[row.family], -row.mean[MACRO]))
    return accuracy_table(evidence, rows)


def accuracy_table(evidence: Evidence, rows: Iterable[Row]) -> Table:
    """Floors and ceiling, then these rows; bold is the highest of a column where both floors are below it."""
    matrix = evidence.matrix
    floors = np.max([matrix.references[name].columns for name in (MAJORITY, LEXICAL)], axis=0)
    best = dict(zip(matrix.rows, matrix.best, strict=True))
    body = [[*labels, "", "", "", *map(percent, scores.columns)] for labels, scores in matrix.references.items()]
    for row in rows:
        verdicts = evidence.beside_best.get(row.name, {})
        marks = {at: ONE if verdict == Outcome.one_seed else NEAR for at, verdict in verdicts.items()}
        texts = values(row, matrix.n, best[row] & (row.mean > floors), marks)
        body.append([*row.labels, seeds(row.finished, row), *texts])
    return table(body, ["seeds", *headings(matrix)])


def interval_table(evidence: Evidence) -> Table:
    """Low and high of each mean of the rows that finished."""
    rows = evidence.matrix.finished
    means = iter(evidence.means(rows, ACCURACY, COLUMNS))
    body = [[*row.labels, seeds(row.finished, row), *(_between(next(means)) for _ in COLUMNS)] for row in rows]
    return table(body, ["seeds", *headings(evidence.matrix)])


def _between(mean: Effect) -> str:
    return NONE if np.isnan(mean["low"]) else f"{100 * mean['low']:.1f} to {100 * mean['high']:.1f}"


def ranking_blocks(evidence: Evidence) -> list[Block]:
    """A table of the macro of each ranking measure, each with its interval; none where no entity has two others."""
    lists = evidence.matrix.measurer.lists
    if not len(lists.starts):
        return []
    left_out = ", ".join(
        f"{MEASURE[name]} {lists.left_out(name).sum():,} of {len(lists.starts):,}" for name in MEASURES
    )
    rows = list(evidence.main.joint.values())
    columns = [evidence.means(rows, name, ["macro"]) for name in MEASURES]
    body = [[*row.labels, *map(mean_text, means)] for row, *means in zip(rows, *columns, strict=True)]
    return [RANKING.format(left_out=left_out), table(body, [MEASURE[name] for name in MEASURES])]


def mean_text(mean: Effect) -> str:
    """A mean in percent with its interval; "—" where there is none."""
    return NONE if np.isnan(mean["estimate"]) else f"{percent(mean['estimate'])} [{_between(mean)}]"


def measures_sections(matrix: Matrix) -> list[Section]:
    """A table for each other measure; none where nothing finished."""
    if not matrix.finished:
        return []
    sections = []
    header = ["seeds", *headings(matrix)[: len(TASK_NAMES)]]
    for metric in METRICS:
        if not metric.title:
            continue
        body = []
        for row in matrix.finished:
            by_seed = np.array([metric.shown(scores) for scores in row.scores])
            texts = (decimals(metric.digits, *spread(column)) for column in by_seed.T)
            body.append([*row.labels, seeds(row.finished, row), *texts])
        for labels, scores in matrix.references.items():
            body.append([*labels, "", "", "", *(decimals(metric.digits, value) for value in metric.shown(scores))])
        sections.append(Section(metric.title, [table(body, header)], deep=True))
    return sections


def cost_table(rows: Iterable[Row]) -> Table:
    """Trained weights, speed, seconds of a cell and, where any was logged, peak memory in GB (10^9 bytes)."""
    rows = list(rows)
    columns = {title: [count(row.metric(metric)) for row in rows] for title, metric in COST.items()}
    peaks = [row.metric(MEMORY) / 1e9 for row in rows]
    if not np.isnan(peaks).all():
        columns["peak memory, GB"] = [count(peak, digits=2) for peak in peaks]
    lines = zip(rows, *columns.values(), strict=True)
    joint = {row.labels[2] for row in rows} == {JOINT}  # which then says nothing
    return table(
        ([*row.labels[:2], "" if joint else row.labels[2], row.variant, *texts] for row, *texts in lines), [*columns]
    )


def parameters_table(rows: Iterable[Row]) -> Table:
    """Weights of each part as "trainable / total"; "—" for a part without weights, or of a run that logged none."""
    return table(([*row.labels, *(_weights(row, metrics) for metrics in PARTS.values())] for row in rows), [*PARTS])


def _weights(row: Row, metrics: tuple[str, ...]) -> str:
    logged = np.array([[row.metric(f"{metric}/{kind}") for metric in metrics] for kind in ("trainable", "total")])
    absent = np.isnan(logged).all(axis=1)
    trainable, total = np.where(absent, np.nan, np.nansum(logged, axis=1))
    return f"{count(trainable)} / {count(total)}" if total > 0 else NONE
