"""Entities → splits; pairs whose entities lie in different ones are turned, kept or dropped.

query "usb c cable" falls to test by the hash of its text, an item to where most queries it was judged for fall: what
was judged together stays together, and few judgements cross.
"""

import numpy as np
import pyarrow as pa

from relevance.data import split
from relevance.derive.database import Database
from relevance.derive.options import DeriveOptions, Split
from relevance.tasks import SPLITS, TASK_NAMES, TASKS

PLACES = {name: at for at, name in enumerate(SPLITS)}  # train 0, validation 1, test 2: "later" is more


def divide(options: DeriveOptions, database: Database) -> None:
    """Give each row of `pair` its `split`; drop those that cross.

    A row lies in its left entity's split; in a symmetric task the entity of the later split goes left. Under
    split=left a row is dropped whose right entity stands on the left of a row of a later split, under split=strict one
    whose entities lie in two splits.
    """
    _parts(options, database)
    symmetric = [at for at, name in enumerate(TASK_NAMES) if TASKS[name].symmetric]
    turn = f"task IN {tuple(symmetric)} AND a.part < b.part"
    turned = ", ".join(
        f"CASE WHEN {turn} THEN {there} ELSE {here} END AS {here}"
        for here, there in (("l", "r"), ("r", "l"), ("lx", "rx"), ("rx", "lx"))
    )
    later = f"CASE WHEN {turn} THEN b.part ELSE a.part END AS split, CASE WHEN {turn} THEN a.part ELSE b.part END AS other"
    database.make(
        "placed",
        f"""SELECT task, rule, {turned}, label, {later}, lk, rk FROM pair JOIN kinds USING (task)
        JOIN part a ON a.kind = lk AND a.x = lx JOIN part b ON b.kind = rk AND b.x = rx""",
    )
    if options.split is Split.strict:
        database.make("pair", "SELECT * FROM placed WHERE split = other")
        return
    for place in (PLACES["test"], PLACES["validation"]):
        database.make("held", "SELECT DISTINCT lk AS kind, lx AS x FROM placed WHERE split = $place", {"place": place})
        database.make(
            "placed",
            """SELECT * FROM placed WHERE NOT (split < $place AND other = $place
            AND EXISTS (FROM held WHERE kind = rk AND x = rx))""",
            {"place": place},
        )
    database.make("pair", "FROM placed")


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
