"""Test rows → what of them stands in training.

query_item q7 | i4 (test), query_query q7 | q9 (train) → left: seen in training of any task, not of its own
"""

from dataclasses import dataclass

import numpy as np

from relevance.audit import match as matching
from relevance.audit.match import Match, among
from relevance.audit.opened import ALL
from relevance.data import seen
from relevance.data.keys import Keys
from relevance.tasks import TASK_NAMES

ENTITIES = ("left", "right", "either", "both")
PAIRS = ("pair", "texts")
OWN = "own_"  # before the entities that are seen within the row's own task


@dataclass(frozen=True, eq=False)
class Leaks:
    """The test rows, and of each what training holds."""

    test: np.ndarray  # [N] bool
    task: np.ndarray  # [N], index into TASK_NAMES
    seen: dict[str, np.ndarray]  # ENTITIES in any task, OWN ENTITIES, PAIRS → [N] bool

    def shares(self) -> dict[str, dict]:
        """By task of test rows (and of all): n, then rows and share of each kind of leak."""
        parts = {TASK_NAMES[code]: self.task == code for code in np.unique(self.task[self.test])}
        return {name: self._share(self.test & rows) for name, rows in (*parts.items(), (ALL, self.test))}

    def _share(self, rows: np.ndarray) -> dict:
        n = int(rows.sum())
        told: dict = {"n": n}
        for name, held in self.seen.items():
            count = int((held & rows).sum())
            told[name] = {"rows": count, "share": count / n if n else None}
        return told


def leaks(keys: Keys, train: np.ndarray, test: np.ndarray, match: Match | None = None) -> Leaks:
    """What the rows `train` hold of the rows `test`, both masks [N].

    An entity is its kind and its id, or its text where it has no id; it is seen where it stands on either side of a
    training row. A pair is seen where its entities, or its texts, stand in a training row of its task, mirrored or
    not; its texts are where they do so under any task.
    """
    match = match or matching.of(keys)
    found = _entities("", *seen.in_any_task(keys, train)) | _entities(OWN, *seen.in_task(keys, train))
    found["pair"] = among(match.entities, train) | among(match.task_texts, train)
    found["texts"] = among(match.texts, train)
    return Leaks(test, keys.task, found)


def _entities(prefix: str, left: np.ndarray, right: np.ndarray) -> dict[str, np.ndarray]:
    sides = (left, right, left | right, left & right)
    return {prefix + name: side for name, side in zip(ENTITIES, sides, strict=True)}
