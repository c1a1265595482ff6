"""Rows of the matrix → what accuracy does not say: macro-F1, recall of each label, weighted kappa, mean distance.

| llm | mhp | joint | | macro-F1 | 84.1 ± 0.6 | ... one line a measure, one column a task
"""

from collections.abc import Callable

import numpy as np

from relevance.report.accuracy import headings, seeds
from relevance.report.document import Section, Table
from relevance.report.matrix import Matrix
from relevance.report.row import spread
from relevance.report.tables import IDENTITY, NONE
from relevance.scores import Scores
from relevance.tasks import LABELS, TASK_NAMES

MEASURES: dict[str, tuple[Callable[[Scores], np.ndarray], int]] = {  # name: what it is, digits
    "macro-F1, %": (lambda scores: 100 * scores.macro_f1, 1),
    **{f"recall {word}, %": ((lambda scores, at=at: 100 * scores.recall[:, at]), 1) for at, word in enumerate(LABELS)},
    "kappa": (lambda scores: scores.kappa, 3),
    "distance": (lambda scores: scores.mae, 3),
}
INTRODUCTION = (
    "Per task, mean ± standard deviation over seeds. macro-F1: mean over the labels. Recall: share of the rows of a "
    "label that are found. kappa: Cohen's with quadratic weights on the three-point scale. Distance: mean absolute "
    "error on it."
)


def measures_section(matrix: Matrix) -> list[Section]:
    """A table for each measure; none where nothing finished."""
    rows = [row for row in matrix.rows if row.finished]
    if not rows:
        return []
    found = [Section("Beyond accuracy", [INTRODUCTION])]
    for name, (measure, digits) in MEASURES.items():
        known = [(row, np.array([measure(scores) for scores in row.scores if scores])) for row in rows]
        body = [
            [*row.labels, seeds(row.finished, row), *(_text(digits, *spread(column)) for column in values.T)]
            for row, values in known
        ]
        for labels, scores in matrix.references.items():
            body.append([*labels, "", "", "", *(_text(digits, value) for value in measure(scores))])
        header = [*IDENTITY, "seeds", *headings(matrix)[: len(TASK_NAMES)]]
        found.append(Section(name, [Table(header, body, left=len(IDENTITY))], deep=True))
    return found


def _text(digits: int, mean: float, sd: float = np.nan) -> str:
    if np.isnan(mean):
        return NONE
    return f"{mean:.{digits}f}" + ("" if np.isnan(sd) else f" ± {sd:.{digits}f}")
