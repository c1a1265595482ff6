"""A trained cell in Python: a frame of pairs in, the same frame with its answers out; a query's items, best first.

trained.rank("usb c cable", ["red lamp", "Volt USB-C cable"]) → item "Volt USB-C cable" score 1.8 …, "red lamp" 0.1 …
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from relevance.data import contract
from relevance.data.faults import Loaded, faults_error
from relevance.errors import UserError, did_you_mean, first_line
from relevance.predict.answers import Answers
from relevance.predict.scorer import Scorer
from relevance.predict.scoring import NEEDED, admit, checked
from relevance.tasks import TASK_NAMES

PAIRS = "pairs"  # what an error calls them
COUNTED = "rows are counted from 0, as iloc counts them"


class TrainedCell:
    """The model of a finished cell, or of several as one; `relevance.load` opens it. Threads may share it."""

    def __init__(self, folders: list[Path], answers: Answers, device: str | None, trust_remote_code: bool):
        self.folder = folders[0]  # the first one's, where several answer
        self._folders, self._answers = folders, answers
        self._scorers = [Scorer(folder, device, trust_remote_code) for folder in folders]

    def __repr__(self) -> str:
        return f"<relevance cell {', '.join(map(str, self._folders))}: {', '.join(self.tasks)}>"

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks it was trained on, every one of several."""
        known = [scorer.reading.tasks for scorer in self._scorers]
        return tuple(task for task in TASK_NAMES if all(task in tasks for tasks in known))

    def predict(self, pairs: pd.DataFrame | Iterable[tuple[str, str]], task: str | None = None) -> pd.DataFrame:
        """The pairs in their order and under their index, with the columns that `python -m relevance.predict` writes.

        `pairs` is a frame with the columns left, right and task, others are carried along, or (left, right) tuples;
        `task` is that of all rows. Added are p_irrelevant, p_partial, p_relevant (0 to 1, float32), score (the expected
        label, 0 to 2, float32; it sorts) and predicted (0, 1 or 2, int8), in a cascade answered_by first. UserError
        names every row without a text or with a task that is none, and tasks whose head was never trained.
        """
        frame = _frame(pairs)
        table = self._table(frame, task)
        present = set(table["task"].to_pylist())
        for scorer, folder in zip(self._scorers, self._folders, strict=True):
            admit(scorer, folder, [name for name in TASK_NAMES if name in present])
        columns = self._answers.columns(self._scorers, table, lambda rows: None)
        return frame.assign(**dict(zip(self._answers.added.names, columns, strict=True)))

    def rank(self, query: str, items: Iterable[str], task: str = "query_item") -> pd.DataFrame:
        """The items with their answers, the highest score first, equal ones as they came; the index is their place.

        Columns: item, score (0 to 2), predicted (0, 1 or 2), then p_irrelevant, … as `predict` has them.
        """
        if isinstance(items, str | pd.DataFrame):  # letters, or names of columns
            raise UserError(f"items is a {type(items).__name__}: give a list of texts, or a frame's column of them")
        ranked = self.predict(((query, item) for item in items), task).rename(columns={"right": "item"})
        columns = dict.fromkeys(["item", "score", "predicted", *self._answers.added.names])
        return ranked[[*columns]].sort_values("score", ascending=False, kind="stable")

    def _table(self, frame: pd.DataFrame, task: str | None) -> pa.Table:
        """Its task, left and right, of which every row can be scored."""
        if taken := ", ".join(name for name in self._answers.added.names if name in frame.columns):
            raise UserError(f"{PAIRS}: column {taken} is the answer's own; rename or drop it")
        if task and task not in TASK_NAMES:
            raise UserError(f"task={task}: {did_you_mean(task, TASK_NAMES)}use one of {', '.join(TASK_NAMES)}")
        table = _arrow(frame[[name for name in NEEDED if name in frame.columns]])
        loaded = contract.with_labels(Loaded(table, np.arange(len(frame))), task, {}, PAIRS)
        if missing := [name for name in NEEDED if name not in loaded.table.column_names]:
            hint = f", or give task=, one of {', '.join(self.tasks)}" if "task" in missing else ""
            known = ", ".join(map(str, frame.columns))
            raise UserError(f"{PAIRS}: missing column {', '.join(missing)}; present: {known}; rename it{hint}")
        chunk = checked(loaded, PAIRS)
        if chunk.faults:
            raise faults_error(PAIRS, chunk.faults, COUNTED, "or leave these rows out")
        return chunk.table


def _frame(pairs: pd.DataFrame | Iterable[tuple[str, str]]) -> pd.DataFrame:
    if isinstance(pairs, pd.DataFrame):
        return pairs
    rows = list(pairs)
    if not all(isinstance(row, tuple | list | np.ndarray) and len(row) == 2 for row in rows):
        raise UserError(f"{PAIRS}: give a frame with the columns left and right, or a list of (left, right)")
    try:
        return pd.DataFrame(rows, columns=["left", "right"])
    except UnicodeEncodeError as error:
        raise _no_texts(error) from error


def _arrow(frame: pd.DataFrame) -> pa.Table:
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, ValueError) as error:
        raise _no_texts(error) from error


def _no_texts(error: Exception) -> UserError:
    return UserError(f"{PAIRS}: task, left and right have to be texts ({first_line(error)})")
