"""What cells logged of their probes → a table: a trained row, then its test rows scored again with something changed.

| model | routing | task mix | variant | probe      | seeds  | query_item n=402 | ... |
| llm   | mhp     | joint    |         | as trained | 2 of 3 | 87.1 ± 0.4       | ... |
| llm   | mhp     | joint    |         | other_head | 2 of 3 | 41.3 ± 2.0       | ... |
"""

import re

import numpy as np

from relevance.records import CellRecord
from relevance.report.accuracy import headings, seeds, values
from relevance.report.document import Section, Table
from relevance.report.matrix import Matrix
from relevance.report.row import FINISHED, Row, spread
from relevance.report.tables import IDENTITY, percent
from relevance.scores import COLUMNS
from relevance.tasks import TASK_NAMES

KINDS = {
    "no_prefix": "the prefix removed",
    "wrong_prefix": "the next task's prefix",
    "shuffled_prefix": "prefixes shuffled among the rows",
    "other_head": "another task's head",
    "other_private": "another task's private layers",
    "closed_gate": "the gates of post-norm private layers closed",
}
INTRODUCTION = (
    "No training: the same test rows scored again with one thing changed; means are over the seeds that logged it."
)
SAMPLED = "probe/rows"  # logged where a probe scored a part of the test rows
UNKNOWN = "a change that this report does not know"
MEASURES = (*(f"{task}/accuracy" for task in TASK_NAMES), "accuracy", "macro_accuracy")  # in the order of COLUMNS
LOGGED = re.compile(rf"probe/([^/]+)/({'|'.join(MEASURES)})")


def probed(cell: CellRecord) -> dict[str, np.ndarray]:
    """Accuracies, 0 to 1, in the order of COLUMNS [8] by kind of probe; NaN where the run logged none.

    Known kinds come first, others after them by name; a cell that did not finish has none.
    """
    logged = cell.metrics if cell.status == FINISHED else {}
    kinds = {match[1] for match in map(LOGGED.fullmatch, logged) if match}
    return {
        kind: np.array([logged.get(f"probe/{kind}/{measure}", np.nan) for measure in MEASURES])
        for kind in _ordered(kinds)
    }


def probes_section(found: list[Matrix]) -> list[Section]:
    """What the kinds shown mean, then a table for each matrix with probes; no section without any."""
    shown = _ordered({kind for matrix in found for row in matrix.rows for kind in _by_kind(row)})
    if not shown:
        return []
    told = "; ".join(f"{kind}: {KINDS.get(kind, UNKNOWN)}" for kind in shown)
    blocks = [f"{INTRODUCTION} {told}.", *_sampled(found)]
    for matrix in found:
        if body := [line for row in matrix.rows for line in _lines(row, matrix)]:
            header = [*IDENTITY, "probe", "seeds", *headings(matrix)]
            blocks += [f"Data {matrix.digest[:12]}:"] if len(found) > 1 else []
            blocks.append(Table(header, body, left=len(IDENTITY) + 1))
    return [Section("Probes", blocks)]


def _sampled(found: list[Matrix]) -> list[str]:
    """How many test rows the probes scored, where it was not all of them."""
    cells = [cell for matrix in found for row in matrix.rows for cell in row.cells if probed(cell)]
    parts = sorted({int(cell.metrics[SAMPLED]) for cell in cells if SAMPLED in cell.metrics})
    told = " or ".join(f"{n:,}" for n in parts)
    return (
        [f"Of a larger table {told} test rows, drawn once, were scored again; 'as trained' is of all."] if parts else []
    )


def _lines(row: Row, matrix: Matrix) -> list[list[str]]:
    """The row as it was trained, then each kind that any of its seeds logged; no line without one."""
    kinds, labels = _by_kind(row), row.labels
    if not kinds:
        return []
    trained = values(row, matrix.n, np.zeros(len(COLUMNS), bool))
    lines = [[*labels, "as trained", seeds(row.finished, row), *trained]]
    for kind, logged in kinds.items():
        texts = [percent(*spread(column)) for column in logged.T]
        lines.append([*labels, kind, seeds(len(logged), row), *texts])
    return lines


def _by_kind(row: Row) -> dict[str, np.ndarray]:
    """Accuracies of the seeds that logged a kind [seeds, 8], by kind."""
    cells = [probed(cell) for cell in row.cells]
    return {
        kind: np.array([found[kind] for found in cells if kind in found])
        for kind in _ordered({kind for found in cells for kind in found})
    }


def _ordered(kinds: set[str]) -> list[str]:
    return [kind for kind in KINDS if kind in kinds] + sorted(kinds - KINDS.keys())
