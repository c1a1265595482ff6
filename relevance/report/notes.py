"""What a reader of matrix.md has to know, said only where it holds.

found → ["Bold: the highest mean of its column ...", "† collapsed on the task: ... 2 of 6 finished cells collapsed ..."]
"""

from collections import Counter

import numpy as np

from relevance.report.accuracy import NEAR
from relevance.report.evidence.resample import FEWEST
from relevance.report.matrix import CEILING, MARK, Matrix
from relevance.report.row import NOTHING, Row
from relevance.tasks import TASK_NAMES

BOLD = "Bold: the highest mean of its column before rounding; rows that tie are all bold."
FLOOR = (
    "Floors: majority answers the most frequent training label of the task; lexical is, per task, gradient boosting on"
    " the cosine of character 3-4-grams, word overlaps and lengths of the two texts."
)
NOISE = (
    "Ceiling: the share of test rows whose label is the one before noise; a model that knew every true label would "
    "score this."
)
COLLAPSE = (
    f"{MARK} collapsed on the task: some seed predicted one class only, or its accuracy is not above the upper end of "
    "the 95 % Wilson interval of the majority floor's. Floors, ceiling and probes are not tested for it."
)
IDLE = (
    f"{NOTHING}: the cell's macro accuracy is not above that of the majority floor on the same rows, or it collapsed "
    "on every task it was tested on. A row of such cells alone is neither bold nor called highest; lower its rate "
    "(model.lr) or train longer."
)
PARTIAL = (
    "Micro and macro are over the tasks a row was tested on; rows not tested on every task of the data show theirs and"
    " stay out of the bold."
)
ALIKE = (
    f"{NEAR} not told apart from the highest of its column: the 95 % interval of the difference, over resampled "
    "entities, holds zero. It says nothing of rows that share no seed with the highest."
)
THIN = (
    "No interval can be given for {tasks}, nor for macro: fewer than {fewest} entities in its test rows; what rests on "
    "them is undecided."
)
SEEDS = "Where seeds read 2 of 3, the mean is over the seeds that finished."


def notes(found: list[Matrix], near: bool) -> list[str]:
    """One line for each thing that holds for any of the matrices; `near` whether any row is not told apart."""
    rows = [row for matrix in found for row in matrix.rows]
    cells = [cell for row in rows for cell in row.cells]
    dirty = sum(cell.dirty for cell in cells)
    idle, finished = sum(sum(row.nothing) for row in rows), sum(row.finished for row in rows)
    alike = {task: None for matrix in found for task in matrix.unlearnable}
    thin = {TASK_NAMES[at]: None for matrix in found for at in np.flatnonzero(matrix.resample.thin)}
    lines = {
        BOLD: True,
        ALIKE: near,
        FLOOR: True,
        f"Lexical is the majority on {', '.join(alike)}: fewer than two labels in training.": alike,
        THIN.format(tasks=", ".join(thin), fewest=FEWEST): thin,
        NOISE: any(CEILING in matrix.references for matrix in found),
        f"{COLLAPSE} {_collapses(rows)}": any(row.marked.any() for row in rows),
        f"{IDLE} {idle} of {finished} finished cells.": idle,
        PARTIAL: any(matrix.partial(row) for matrix in found for row in matrix.rows),
        SEEDS: any(0 < row.finished < len(row.cells) for row in rows),
        f"{dirty} of {len(cells)} cells ran from a working tree with uncommitted changes.": dirty,
    }
    return [line for line, holds in lines.items() if holds]


def _collapses(rows: list[Row]) -> str:
    """How many of the finished cells collapsed, and how many of them on how many tasks."""
    tasks = Counter(len(names) for row in rows for names in row.collapsed if names)
    told = ", ".join(f"{cells} on {n} {'task' if n == 1 else 'tasks'}" for n, cells in sorted(tasks.items()))
    return f"{tasks.total()} of {sum(row.finished for row in rows)} finished cells collapsed: {told}."
