"""Test rows → what of them stands in training, and an error where that is beyond a limit.

query_item q7 | i4 (test), query_query q7 | q9 (train) → left: seen in training of any task, not of its own
limits.left=0, 107 of 3,331 test rows with a left entity of training → UserError with rows 17, 44, ...
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.audit.opened import ALL, Match, among, match_pairs
from relevance.audit.options import Limits
from relevance.data.entities import Keys, entity_keys, seen_in_any_task, seen_in_task
from relevance.data.faults import LISTED, shorten
from relevance.data.table import Rows
from relevance.errors import UserError
from relevance.tasks import TASK_NAMES

ENTITIES = ("left", "right", "either", "both")
PAIRS = ("pair", "texts")
OWN = "own_"  # before the entities that are seen within the row's own task
SEEN = {  # what limits.* call a leak
    "left": "a left entity seen in training (any task, either side)",
    "right": "a right entity seen in training (any task, either side)",
    "either": "an entity seen in training (any task, either side)",
    "pair": "a pair seen in training (same task, by entities or texts, mirrored ones too)",
    "texts": "two texts seen in training (any task, either order)",
}
MOVE = "move these rows to train, or remove them or the training rows they meet"


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
        shares: dict = {"n": n}
        for name, leaked in self.seen.items():
            count = int((leaked & rows).sum())
            shares[name] = {"rows": count, "share": count / n if n else None}
        return shares


def leaks(keys: Keys, train: np.ndarray, test: np.ndarray, match: Match | None = None) -> Leaks:
    """What the rows `train` hold of the rows `test`, both masks [N].

    An entity is its kind and its id, or its text where it has no id; it is seen where it stands on either side of a
    training row. A pair is seen where its entities, or its texts, stand in a training row of its task, mirrored or
    not; its texts are where they do so under any task.
    """
    match = match or match_pairs(keys)
    seen = _entities("", *seen_in_any_task(keys, train)) | _entities(OWN, *seen_in_task(keys, train))
    seen["pair"] = among(match.entities, train) | among(match.task_texts, train)
    seen["texts"] = among(match.texts, train)
    return Leaks(test, keys.task, seen)


def _entities(prefix: str, left: np.ndarray, right: np.ndarray) -> dict[str, np.ndarray]:
    sides = (left, right, left | right, left & right)
    return {prefix + name: side for name, side in zip(ENTITIES, sides, strict=True)}


def hold_limits(limits: Limits, rows: Rows, name: str) -> None:
    """Raise one UserError that names every limit which the test rows cross, and the rows by id.

    `name` is what it calls the file.
    """
    given = limits.given()
    if not given:
        return
    train, test = (pc.equal(rows.table["split"], split).to_numpy() for split in ("train", "test"))
    found = leaks(entity_keys(rows.table), train, test)
    shares = found.shares()
    crossed = [limit for limit, most in given.items() if shares[ALL][limit]["share"] > most]
    if crossed:
        lines = [line for limit in crossed for line in _crossing(limit, given[limit], (found, shares), rows)]
        raise UserError("\n".join([f"{name}: leaks beyond a limit", *lines]))


def _crossing(name: str, most: float, leaked: tuple[Leaks, dict], rows: Rows) -> list[str]:
    found, shares = leaked
    share, n = shares[ALL][name]["share"], shares[ALL]["n"]
    at = np.flatnonzero(found.test & found.seen[name])
    by_task = ", ".join(f"{task} {one[name]['rows']:,} of {one['n']:,}" for task, one in shares.items() if task != ALL)
    more = [f"      … and {len(at) - LISTED:,} more"] if len(at) > LISTED else []
    return [
        f"  limits.{name}={most:g}: {100 * share:.1f} % of {n:,} test rows ({len(at):,}) have {SEEN[name]}",
        f"    by task: {by_task}",
        *_rows(rows.table.take(pa.array(at[:LISTED])), rows.numbers[at]),
        *more,
        f"    remedy: {_remedy(name)}, or raise limits.{name}",
    ]


def _rows(table: pa.Table, numbers: np.ndarray) -> list[str]:
    cells = table.select(["task", "left", "right", "left_id", "right_id"]).to_pylist()
    return [
        f"      row {number}: {cell['task']} {_entity(cell, 'left')} | {_entity(cell, 'right')}"
        for cell, number in zip(cells, numbers.tolist(), strict=False)
    ]


def _entity(cell: dict, side: str) -> str:
    return shorten(cell[f"{side}_id"] or cell[side])


def _remedy(name: str) -> str:
    if name == "left":
        return f"{MOVE}, or drop the split column, so that left entities are divided anew"
    return MOVE
