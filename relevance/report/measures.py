"""Predictions on one table → what every measure sums to by cluster of rows, cell by cell, and panels of many cells.

test.parquet of a cell → scores (confusion [6, 3, 3]); sums {"accuracy": [C], "ndcg_10": [C'], ...}; covered [6]

Only sums are kept of a cell: 1,000 cells on 453,000 rows take a hundredth of their predictions.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from relevance.errors import UserError
from relevance.metrics import Scores, learnt_nothing
from relevance.ranking import Lists
from relevance.report.held_out import HeldOut
from relevance.report.panel import Clusters, Panel
from relevance.tasks import TASK_NAMES

ACCURACY = "accuracy"
DISAGREEMENT = "disagreement"  # of the members of a vote, measured where they vote
READERS = 2  # threads: files are decoded outside Python's lock


@dataclass(frozen=True, eq=False)
class Measured:
    """One set of predictions."""

    scores: Scores
    covered: np.ndarray  # [6] tasks with a prediction
    sums: dict[str, np.ndarray]  # by measure [C]


@dataclass(frozen=True, eq=False)
class Tested:
    """A finished cell beside the majority floor."""

    place: int  # in the panels
    scores: Scores
    collapsed: tuple[str, ...]  # tasks on which it tells no more than one answer to every row would
    nothing: bool  # see metrics.learnt_nothing


class Measurer:
    """Measures predictions on the test rows of one table."""

    def __init__(self, tested: HeldOut) -> None:
        self.tested = tested
        self.rows = Clusters(tested.task, tested.left, tested.right, tested.kind)
        self.lists = Lists.of(tested.task, tested.left, tested.right, tested.label)
        by_left = Clusters(self.lists.task, self.lists.left, None, tested.kind)
        self.relevant = {name: np.flatnonzero(there) for name, there in self.lists.relevant.items()}
        self.by_list = {name: by_left.only(there) for name, there in self.relevant.items()}

    def read(self, paths: Sequence[Path], opened: Callable[[Path], pa.Table]) -> list[Measured | UserError]:
        """Of each predictions file what it measures as it is `opened`, or why it cannot be."""
        with ThreadPoolExecutor(READERS) as readers:
            measured = list(readers.map(lambda path: self._read(path, opened), paths))
        pa.default_memory_pool().release_unused()  # what decoding took would stay beside the sums
        return measured

    def _read(self, path: Path, opened: Callable[[Path], pa.Table]) -> Measured | UserError:
        try:
            return self.measure(*self.tested.graded(opened(path), path))
        except UserError as error:
            return error

    def measure(self, answers: np.ndarray, grade: np.ndarray | None = None) -> Measured:
        """Of labels [N], -1 for none, and expected grades [N]; without grades accuracy alone."""
        scores = self.tested.scores(answers)
        ranked = {} if grade is None else self._ranked(grade)
        return Measured(scores, scores.n > 0, {ACCURACY: self.rows.sums(answers == self.tested.label), **ranked})

    def _ranked(self, grade: np.ndarray) -> dict[str, np.ndarray]:
        values = self.lists.scores(grade)
        return {name: of.sums(values[at, self.relevant[name]]) for at, (name, of) in enumerate(self.by_list.items())}

    def panel(self, measure: str, measured: Sequence[Measured]) -> Panel:
        """One measure of these, each a cell by its place; of ranking a task without a list is not covered."""
        clusters = self.rows if measure == ACCURACY else self.by_list[measure]
        covered = np.array([each.covered for each in measured], bool).reshape(-1, len(TASK_NAMES))
        sums = [each.sums.get(measure, np.full(clusters.ends[-1], np.nan, np.float32)) for each in measured]
        return Panel(measure, clusters, np.array(sums, np.float32).reshape(len(sums), -1), covered)

    def beside(self, majority: Measured, measured: Sequence[Measured], first: int = 0) -> list[Tested]:
        """These cells, with places from `first` on, beside the majority floor.

        Collapsed is a task on which the lower end of the interval of cell minus floor, by clusters of rows, is not
        above zero; where too few left entities give none, the difference itself.
        """
        panel = self.panel(ACCURACY, [*measured, majority])
        low, apart = panel.lows(len(measured)), panel.means - panel.means[-1]
        flat = ~(np.where(np.isnan(low), apart, low) > 0)
        tested = []
        for at, each in enumerate(measured):
            names = tuple(TASK_NAMES[task] for task in np.flatnonzero(flat[at] & each.covered))
            nothing = learnt_nothing(each.scores, majority.scores, names)
            tested.append(Tested(first + at, each.scores, names, nothing))
        return tested

    def shares(self, values: Sequence[np.ndarray], covered: np.ndarray) -> Panel:
        """A panel of any value of every row [N], such as how far the members of a vote differ."""
        return Panel(DISAGREEMENT, self.rows, self.rows.sums(np.stack(values)), covered)
