"""Entities → splits; pairs whose entities lie in different ones are turned, kept or dropped.

query "usb c cable" falls to test by the hash of its text, an item to where most queries it was judged for fall: what
was judged together stays together, and few judgements cross.
"""

import numpy as np
import pyarrow as pa

from relevance.data import split
from relevance.derive.candidates import turned_sides
from relevance.derive.database import Database
from relevance.derive.options import DeriveOptions, Split
from relevance.tasks import SPLITS, TASK_NAMES, TASKS


def divide(options: DeriveOptions, database: Database) -> None:
    """Give each row of `pair` its `split`; drop those that cross.

    A row lies in its left entity's split; in a symmetric task the entity of the later split goes left. Under
    split=left a row is dropped whose right entity stands on the left of a row of a later split, under split=strict one
    whose entities lie in two splits.
    """
    _parts(options, database)
    symmetric = tuple(at for at, name in enumerate(TASK_NAMES) if TASKS[name].symmetric)
    turn = f"task IN {symmetric} AND a.part < b.part"
    database.make(
        "pair",
        f"""SELECT task, rule, {turned_sides(turn)}, label, lk, rk,
            CASE WHEN {turn} THEN b.part ELSE a.part END AS split, CASE WHEN {turn} THEN a.part ELSE b.part END AS other
        FROM pair JOIN kinds USING (task)
        JOIN part a ON a.kind = lk AND a.x = lx JOIN part b ON b.kind = rk AND b.x = rx""",
    )
    if options.split is Split.strict:
        database.make("pair", "SELECT * FROM pair WHERE split = other")
    else:
        _left_apart(database)


def _left_apart(database: Database) -> None:
    """Drop what is on the right in an earlier split than on the left: first of test, then of validation."""
    for name in ("test", "validation"):
        place = {"place": SPLITS.index(name)}
        database.make("held", "SELECT DISTINCT lk AS kind, lx AS x FROM pair WHERE split = $place", place)
        database.make(
            "pair",
            """SELECT * FROM pair WHERE NOT (split < $place AND other = $place
            AND EXISTS (FROM held WHERE kind = rk AND x = rx))""",
            place,
        )


def _parts(options: DeriveOptions, database: Database) -> None:
    """part(kind, x, part): where each text falls; kinds(task, lk, rk): the kinds of a task's sides."""
    kinds = ("query", "item", "type")
    sides = [(at, kinds.index(task.left), kinds.index(task.right)) for at, task in enumerate(TASKS.values())]
    database.put("kinds", pa.table(list(map(list, zip(*sides, strict=True))), ["task", "lk", "rk"]))
    drawn = []
    for at, kind in enumerate(kinds):
        texts = database.table(f"SELECT DISTINCT x, folded FROM {kind} ORDER BY x")
        part = split.parts(texts["folded"].combine_chunks(), options.seed, options.validation_share, options.test_share)
        drawn.append(pa.table([np.full(len(part), at), texts["x"], part], ["kind", "x", "part"]))
    database.put("drawn", pa.concat_tables(drawn))
    database.make(
        "followed",
        """SELECT x, arg_max(part, votes * 3 + part) AS part FROM (
            SELECT item.x, part, count(*) AS votes FROM judged JOIN item ON item.n = i JOIN query ON query.n = q
            JOIN drawn ON kind = 0 AND drawn.x = query.x GROUP BY ALL) GROUP BY x""",
    )
    database.make(
        "part",
        """SELECT kind, drawn.x AS x, coalesce(followed.part, drawn.part)::TINYINT AS part
        FROM drawn LEFT JOIN followed ON kind = 1 AND followed.x = drawn.x""",
    )
