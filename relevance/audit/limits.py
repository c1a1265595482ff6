"""Limits on leaks and a checked table → nothing, or one error with the rows that cross them.

limits.left=0, 107 of 3,331 test rows with a left entity of training → UserError with rows 17, 44, ...
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.audit.leaks import Leaks, leaks
from relevance.audit.opened import ALL
from relevance.audit.options import Limits
from relevance.data import keys
from relevance.data.faults import LISTED, shorten
from relevance.data.rows import Rows
from relevance.errors import UserError

WHAT = {
    "left": "a left entity seen in training (any task, either side)",
    "right": "a right entity seen in training (any task, either side)",
    "either": "an entity seen in training (any task, either side)",
    "pair": "a pair seen in training (same task, by entities or texts, mirrored ones too)",
    "texts": "two texts seen in training (any task, either order)",
}

MOVE = "move these rows to train, or remove them or the training rows they meet"


def hold(limits: Limits, rows: Rows, name: str) -> None:
    """Raise one UserError that names every limit which the test rows cross, and the rows by id.

    `name` is what it calls the file.
    """
    given = limits.given()
    if not given:
        return
    train, test = (pc.equal(rows.table["split"], split).to_numpy() for split in ("train", "test"))
    found = leaks(keys.of(rows.table), train, test)
    shares = found.shares()
    crossed = [limit for limit, most in given.items() if shares[ALL][limit]["share"] > most]
    if crossed:
        lines = [line for limit in crossed for line in _told(limit, given[limit], (found, shares), rows)]
        raise UserError("\n".join([f"{name}: leaks beyond a limit", *lines]))


def _told(name: str, most: float, leaked: tuple[Leaks, dict], rows: Rows) -> list[str]:
    found, shares = leaked
    share, n = shares[ALL][name]["share"], shares[ALL]["n"]
    at = np.flatnonzero(found.test & found.seen[name])
    by_task = ", ".join(f"{task} {one[name]['rows']:,} of {one['n']:,}" for task, one in shares.items() if task != ALL)
    more = [f"      … and {len(at) - LISTED:,} more"] if len(at) > LISTED else []
    return [
        f"  limits.{name}={most:g}: {100 * share:.1f} % of {n:,} test rows ({len(at):,}) have {WHAT[name]}",
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
