"""Pairs that the rules made → those to write: apart by split, capped for each entity, balanced in each task.

query "usb c cable" falls to test by the hash of its text, an item to where most queries it was judged for fall: what
was judged together stays together, and few pairs cross. Item 17 stands on the left of 41 rows of label 2 of item_item
under caps.item=6 → the 6 of the lowest hash stay.
"""

import numpy as np
import pyarrow as pa

from relevance.data.entities import split_parts
from relevance.derive.candidates import turned_sides
from relevance.derive.database import Database
from relevance.derive.options import CapOptions, DeriveOptions, Split, TaskOptions
from relevance.errors import UserError
from relevance.tasks import SPLITS, TASK_NAMES, TASKS

RANK = "row_number() OVER (PARTITION BY task, label, {} ORDER BY hash(task, lx, rx, $seed), lx, rx)"
JUDGED = TASK_NAMES.index("query_item")  # what people labelled is not capped: only tasks.query_item.rows thins it


def divide_entities(options: DeriveOptions, database: Database) -> None:
    """Give each row of `pair` its `split`; drop those that cross.

    A row lies in its left entity's split; in a symmetric task the entity of the later split goes left. Under
    split=left a row is dropped whose right entity stands on the left of a row of a later split, under split=strict one
    whose entities lie in two splits.
    """
    _draw_splits(options, database)
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
        _drop_crossing(database)


def _draw_splits(options: DeriveOptions, database: Database) -> None:
    """part(kind, x, part): where each text falls; kinds(task, lk, rk): the kinds of a task's sides."""
    kinds = ("query", "item", "type")
    sides = [(at, kinds.index(task.left), kinds.index(task.right)) for at, task in enumerate(TASKS.values())]
    database.put("kinds", pa.table(list(map(list, zip(*sides, strict=True))), ["task", "lk", "rk"]))
    drawn = []
    for at, kind in enumerate(kinds):
        texts = database.table(f"SELECT DISTINCT x, folded FROM {kind} ORDER BY x")
        part = split_parts(texts["folded"].combine_chunks(), options.seed, options.validation_share, options.test_share)
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


def _drop_crossing(database: Database) -> None:
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


def cap_entities(options: DeriveOptions, database: Database) -> None:
    """Keep in `pair` at most so many rows of each entity, task, label and side; query_item has none."""
    for side in ("left", "right"):
        cap = _cap(options.caps, side)
        rank = RANK.format(f"{side[0]}x")
        query = f"SELECT * FROM pair QUALIFY task = {JUDGED} OR {rank} <= {cap}"
        database.make("pair", query, {"seed": options.seed})


def _cap(caps: CapOptions, side: str) -> str:
    cases = [f"WHEN task = {at} THEN {getattr(caps, getattr(task, side))}" for at, task in enumerate(TASKS.values())]
    return f"CASE {' '.join(cases)} END"


def balance_tasks(options: DeriveOptions, database: Database) -> None:
    """Keep in `pair` what the settings of each task ask for; UserError for a share of a label that has no rows."""
    counts = {
        (task, label): n for task, label, n in database.rows("SELECT task, label, count(*) FROM pair GROUP BY ALL")
    }
    limits = []
    for name, asked in options.tasks.items():
        task = TASK_NAMES.index(name)
        there = [counts.get((task, label), 0) for label in range(3)]
        for label, share in enumerate(asked.balance or []):
            if share and not there[label]:
                raise UserError(
                    f"tasks.{name}.balance={asked.balance}: there are no rows of label {label}; give it the share 0, "
                    "or widen rules and caps"
                )
        limits += [f"WHEN task = {task} AND label = {label} THEN {n}" for label, n in enumerate(wanted(there, asked))]
    if limits:
        rank = RANK.format("1")
        query = f"SELECT * FROM pair QUALIFY {rank} <= CASE {' '.join(limits)} ELSE {rank} END"
        database.make("pair", query, {"seed": options.seed})


def wanted(counts: list[int], asked: TaskOptions) -> list[int]:
    """Rows of each label to keep of `counts`: as many as the shares allow, none drawn twice, at most asked.rows."""
    shares = asked.balance or [n / max(1, sum(counts)) for n in counts]
    shares = [share / (sum(shares) or 1) for share in shares]
    total = min((n / share for n, share in zip(counts, shares, strict=True) if share), default=0)
    total = min(total, asked.rows) if asked.rows is not None else total
    return [min(n, int(total * share + 1e-6)) for n, share in zip(counts, shares, strict=True)]
