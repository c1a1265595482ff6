"""The test rows of one table of pairs, and the predictions of a cell on them.

row 1834, task 4 (item_type), label 1, left 17 (of the entities), right 803, whose kinds are 1 (item) and 2 (type)
test.parquet of a cell → its labels [N], -1 for tasks it was not trained on, and expected grades [N]
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
from relevance.data.entities import LEFT_KIND, RIGHT_KIND
from relevance.errors import UserError
from relevance.metrics import Scores, task_codes
from relevance.ranking import expected_grade
from relevance.tasks import LABELS, TASK_NAMES

SIDES = {"left": LEFT_KIND, "right": RIGHT_KIND}  # kinds of entity by task [6]


@dataclass(frozen=True)
class HeldOut:
    """The test rows of one table, in ascending row id."""

    path: Path  # rows.parquet
    row: np.ndarray  # [N] ids
    task: np.ndarray  # [N] places in TASK_NAMES
    label: np.ndarray  # [N] int8
    left: np.ndarray  # [N] entities: of one kind and one id or, where the table has none, one text;
    right: np.ndarray  # [N] one numbering for all kinds
    kind: np.ndarray  # [E] of each entity, a place in KINDS

    @classmethod
    def of(cls, path: Path) -> "HeldOut":
        """The test rows of the rows.parquet at `path`."""
        names = ["row", "task", "label", *(f"{side}_id" for side in SIDES)]
        table = _tested(path, names)
        if any(f"{side}_id" not in table.column_names or table[f"{side}_id"].null_count for side in SIDES):
            table = _tested(path, [*names, *SIDES])  # texts are most of the file: read where they stand for ids
        task = task_codes(table["task"]).astype(np.int8)
        left, right, kind = _entities(table, task)
        return cls(path, table["row"].to_numpy(), task, table["label"].to_numpy(), left, right, kind)

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Those of the table's columns that are there [N]."""
        return _tested(self.path, names)

    def part(self, places: np.ndarray) -> "HeldOut":
        """Some of its rows [M], in their order."""
        row, task, label, left, right = (
            column[places] for column in (self.row, self.task, self.label, self.left, self.right)
        )
        return HeldOut(self.path, row, task, label, left, right, self.kind)

    def keys(self) -> dict[str, np.ndarray]:
        """What makes a row the same in another table [N]: task, label and both entities, by id or, without, text."""
        ids = self.columns([f"{side}_id" for side in SIDES])
        names = ids.column_names
        if len(names) < len(SIDES) or any(ids[name].null_count for name in names):
            ids = self.columns(list(SIDES))
        sides = {
            side: ids[name].cast(pa.string()).to_pandas() for side, name in zip(SIDES, ids.column_names, strict=True)
        }
        return {"task": self.task, "label": self.label, **sides}

    @cached_property
    def n(self) -> np.ndarray:
        """Rows of each task [6]."""
        return np.bincount(self.task, minlength=len(TASK_NAMES))

    def answers(self, path: Path) -> np.ndarray:
        """The labels that the predictions at `path` give to each row [N] int8, -1 where none; UserError for others."""
        return self.answered(predictions.read(path, ["row", "label", "predicted"]), path)

    def graded(self, table: pa.Table, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """The labels of predictions that were read from `path`, and the expected grade of each row [N], 0 to 2."""
        grade = np.zeros(len(self.row), np.float32)  # 0 where there is none
        p = np.stack([table[name].to_numpy() for name in predictions.PROBABILITIES])
        grade[self._places(table, path)] = expected_grade(p.T)
        return self.answered(table, path), grade

    def answered(self, table: pa.Table, path: Path) -> np.ndarray:
        """The labels of predictions that were read from `path`, as `answers` has them."""
        at = self._places(table, path)
        if not np.array_equal(table["label"].to_numpy(), self.label[at]):
            raise UserError(f"predictions {path}: labels differ from {self.path}; run the cell again")
        answers = np.full(len(self.row), -1, np.int8)
        answers[at] = table["predicted"].to_numpy()
        return answers

    def scores(self, answers: np.ndarray) -> Scores:
        """Scores of answers [N] on the rows they know."""
        counts = np.bincount(self._cell + answers, minlength=len(TASK_NAMES) * len(LABELS) * (len(LABELS) + 1))
        return Scores(counts.reshape(len(TASK_NAMES), len(LABELS), -1)[:, :, 1:])

    @cached_property
    def _cell(self) -> np.ndarray:
        """Where task and label put each row [N] among counts by task, label and answer, -1 the first of the answers."""
        return ((self.task.astype(np.int64) * len(LABELS) + self.label) * (len(LABELS) + 1)) + 1

    def read(self, path: Path, names: Sequence[str]) -> tuple[pa.Table, np.ndarray | slice]:
        """Columns of the predictions at `path`, and the places of their rows; all rows in their order are a slice."""
        table = predictions.read(path, ["row", *names])
        return table, self._places(table, path)

    def _places(self, table: pa.Table, path: Path) -> np.ndarray | slice:
        row = table["row"].to_numpy()
        if np.array_equal(row, self.row):
            return slice(None)
        at = np.searchsorted(self.row, row)
        if not np.array_equal(self.row[np.minimum(at, len(self.row) - 1)], row):
            raise UserError(f"predictions {path}: rows that are no test rows of {self.path}; run the cell again")
        return at


def _tested(path: Path, names: Sequence[str]) -> pa.Table:
    """Those of the columns that are there, of the test rows."""
    known = [name for name in names if name in pq.read_schema(path).names]
    table = pq.read_table(path, columns=[*known, "split"])
    return table.filter(pc.equal(table["split"], "test")).select(known)


def _entities(table: pa.Table, task: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sides = []
    for side, kinds in SIDES.items():
        columns = [table[name].cast(pa.string()) for name in (f"{side}_id", side) if name in table.column_names]
        kind = pa.array(kinds[task].astype(str))
        sides.append(pc.binary_join_element_wise(kind, pc.coalesce(*columns), " ").combine_chunks())
    both = pa.concat_arrays(sides).dictionary_encode()
    left, right = np.split(both.indices.to_numpy(), 2)
    kind = np.empty(len(both.dictionary), np.int8)
    kind[left], kind[right] = SIDES["left"][task], SIDES["right"][task]
    return left, right, kind
