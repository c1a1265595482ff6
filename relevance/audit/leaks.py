"""Test rows → what of them stands in training, and an error where that is beyond a limit.

query_item q7 | i4 (test), query_query q7 | q9 (train) → left: seen in training of any task, not of its own
limits.left=0, 107 of 3,331 test rows with a left entity of training → UserError with rows 17, 44, ...
"""

import pyarrow as pa

from relevance.audit.commands import Limits
from relevance.audit.opened import ALL, ENTITIES, TASK_TEXTS, TEXTS, by_task, pairs_database
from relevance.data.database import Database
from relevance.data.entities import entity_keys
from relevance.data.faults import LISTED, shorten
from relevance.data.table import TEST, TRAIN, Rows
from relevance.errors import UserError

SIDES = ("left", "right", "either", "both")
OWN = "own_"  # before the sides that are seen within the row's own task
PAIRS = ("pair", "texts")
SEEN = {  # what limits.* call a leak
    "left": "a left entity seen in training (any task, either side)",
    "right": "a right entity seen in training (any task, either side)",
    "either": "an entity seen in training (any task, either side)",
    "pair": "a pair seen in training (same task, by entities or texts, mirrored ones too)",
    "texts": "two texts seen in training (any task, either order)",
}
MOVE = "move these rows to train, or remove them or the training rows they meet"
LEAKED = f"""WITH trained AS (FROM pair WHERE split = {TRAIN}),
    entity AS (SELECT task, l AS n FROM trained UNION SELECT task, r FROM trained),
    test AS (SELECT place, task, l IN (SELECT n FROM entity) AS a, r IN (SELECT n FROM entity) AS b,
        (task, l) IN (SELECT task, n FROM entity) AS own_a, (task, r) IN (SELECT task, n FROM entity) AS own_b,
        ({ENTITIES}) IN (SELECT {ENTITIES} FROM trained)
            OR ({TASK_TEXTS}) IN (SELECT {TASK_TEXTS} FROM trained) AS pair,
        ({TEXTS}) IN (SELECT {TEXTS} FROM trained) AS texts FROM pair WHERE split = {TEST})
SELECT place, task, a AS "left", b AS "right", a OR b AS either, a AND b AS both,
    own_a AS own_left, own_b AS own_right, own_a OR own_b AS own_either, own_a AND own_b AS own_both,
    pair, texts FROM test"""


def leak_shares(database: Database) -> dict[str, dict]:
    """By task of test rows (and of all): n, then rows and share of each kind of leak; makes the table `leaked`.

    An entity is its kind and its id, or its text where it has no id; it is seen where it stands on either side of a
    training row. A pair is seen where its entities, or its texts, stand in a training row of its task, mirrored or
    not; its texts are where they do so under any task.
    """
    database.make("leaked", LEAKED)
    share = """{{'rows': count(*) FILTER ("{0}"), 'share': count(*) FILTER ("{0}") / nullif(count(*), 0)}}"""
    names = (*SIDES, *(OWN + side for side in SIDES), *PAIRS)
    return by_task(database, "leaked", {"n": "count(*)"} | {name: share.format(name) for name in names})


def hold_limits(limits: Limits, rows: Rows, name: str) -> None:
    """Raise one UserError that names every limit which the test rows cross, and the rows by id.

    `name` is what it calls the file.
    """
    given = limits.given()
    if not given:
        return
    with pairs_database(rows.table, entity_keys(rows.table)) as database:
        shares = leak_shares(database)
        lines = [
            line
            for limit, most in given.items()
            if (shares[ALL][limit]["share"] or 0) > most
            for line in _crossing(f"limits.{limit}={most:g}", limit, shares, rows, database)
        ]
    if lines:
        raise UserError("\n".join([f"{name}: leaks beyond a limit", *lines]))


def _crossing(setting: str, limit: str, shares: dict[str, dict], rows: Rows, database: Database) -> list[str]:
    share, n, leaked = shares[ALL][limit]["share"], shares[ALL]["n"], shares[ALL][limit]["rows"]
    query = f'SELECT place FROM leaked WHERE "{limit}" ORDER BY place LIMIT {LISTED}'
    at = pa.array([place for (place,) in database.rows(query)])
    by_task = ", ".join(
        f"{task} {seen[limit]['rows']:,} of {seen['n']:,}" for task, seen in shares.items() if task != ALL
    )
    return [
        f"  {setting}: {100 * share:.1f} % of {n:,} test rows ({leaked:,}) have {SEEN[limit]}",
        f"    by task: {by_task}",
        *_rows(rows, at),
        *([f"      … and {leaked - LISTED:,} more"] if leaked > LISTED else []),
        f"    remedy: {_remedy(limit)}, or raise limits.{limit}",
    ]


def _rows(rows: Rows, at: pa.Array) -> list[str]:
    cells = rows.table.select(["task", "left", "right", "left_id", "right_id"]).take(at).to_pylist()
    return [
        f"      row {number}: {cell['task']} {_entity(cell, 'left')} | {_entity(cell, 'right')}"
        for cell, number in zip(cells, rows.numbers[at.to_numpy()].tolist(), strict=True)
    ]


def _entity(cell: dict, side: str) -> str:
    return shorten(cell[f"{side}_id"] or cell[side])


def _remedy(name: str) -> str:
    if name == "left":
        return f"{MOVE}, or drop the split column, so that left entities are divided anew"
    return MOVE
