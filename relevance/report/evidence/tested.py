"""rows.parquet → its test rows as numbers, and which entities stand on either side of each.

row 1834, task 4 (item_type), label 1, left 17 (of the entities), right 803, whose kinds are 1 (item) and 2 (type)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from relevance import predictions
from relevance.errors import UserError
from relevance.scores import Scores, score, task_codes
from relevance.tasks import TASK_NAMES, TASKS

KINDS = ("query", "item", "type")
SIDES = {side: np.array([KINDS.index(getattr(TASKS[name], side)) for name in TASK_NAMES]) for side in ("left", "right")}


@dataclass(frozen=True)
class Tested:
    """The test rows of one table, in ascending row id."""

    path: Path  # rows.parquet
    row: np.ndarray  # [N] ids
    task: np.ndarray  # [N] places in TASK_NAMES
    label: np.ndarray  # [N] int8

    @classmethod
    def of(cls, path: Path) -> "Tested":
        """The test rows of the rows.parquet at `path`."""
        table = pq.read_table(path, columns=["row", "split", "task", "label"])
        table = table.filter(pc.equal(table["split"], "test"))
        return cls(path, table["row"].to_numpy(), task_codes(table["task"]).astype(np.int8), table["label"].to_numpy())

    @cached_property
    def n(self) -> np.ndarray:
        """Rows of each task [6]."""
        return np.bincount(self.task, minlength=len(TASK_NAMES))

    @cached_property
    def entities(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Entity on the left [N], on the right [N], and the kind of each entity [E], a place in KINDS.

        Entities are of one kind and one id, or, where the table has none, one text; one numbering for all kinds.
        """
        names = ["split", "left", "right", "left_id", "right_id"]
        known = [name for name in names if name in pq.read_schema(self.path).names]
        table = pq.read_table(self.path, columns=known)
        table = table.filter(pc.equal(table["split"], "test"))
        sides = []
        for side, kinds in SIDES.items():
            columns = [table[name].cast(pa.string()) for name in (f"{side}_id", side) if name in known]
            kind = pa.array(kinds[self.task].astype(str))
            sides.append(pc.binary_join_element_wise(kind, pc.coalesce(*columns), " ").combine_chunks())
        both = pa.concat_arrays(sides).dictionary_encode()
        left, right = np.split(both.indices.to_numpy(), 2)
        kind = np.empty(len(both.dictionary), np.int8)
        kind[left], kind[right] = SIDES["left"][self.task], SIDES["right"][self.task]
        return left, right, kind

    def answers(self, path: Path) -> np.ndarray:
        """What the predictions at `path` answer to each row [N] int8; -1 where they do not know the row.

        Raises UserError where they are of rows, or of labels, that this table does not have.
        """
        found = predictions.read(path, ["row", "label", "predicted"])
        row, label, predicted = (found[name].to_numpy() for name in found.column_names)
        at = self.places(row, path)
        if not np.array_equal(label, self.label if isinstance(at, slice) else self.label[at]):
            raise UserError(f"predictions {path}: labels differ from {self.path}; run the cell again")
        answers = np.full(len(self.row), -1, np.int8)
        answers[at] = predicted
        return answers

    def asked(self, answers: Sequence[np.ndarray]) -> np.ndarray:
        """Which tasks each of K sets of answers [N] was asked [K, 6]."""
        return np.array([np.bincount(self.task[one >= 0], minlength=len(TASK_NAMES)) > 0 for one in answers])

    def scores(self, answers: np.ndarray) -> Scores:
        """Scores of answers [N] on the rows they know."""
        known = answers >= 0
        if known.all():
            return score(self.task, self.label, answers)
        return score(self.task[known], self.label[known], answers[known])

    def places(self, row: np.ndarray, path: Path) -> np.ndarray | slice:
        """Where the rows with these ids stand; all of them in their order are a slice."""
        if np.array_equal(row, self.row):
            return slice(None)
        at = np.searchsorted(self.row, row)
        if not np.array_equal(self.row[np.minimum(at, len(self.row) - 1)], row):
            raise UserError(f"predictions {path}: rows that are no test rows of {self.path}; run the cell again")
        return at
