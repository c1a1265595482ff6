"""Pairs → fewer of them: caps for each entity, then shares of labels and a most of rows for each task.

item 17 stands on the left of 41 rows of label 2 of item_item under caps.item=6 → the 6 of the lowest hash stay
"""

from relevance.derive.database import Database
from relevance.derive.options import CapOptions, DeriveOptions, TaskOptions
from relevance.errors import UserError
from relevance.tasks import TASK_NAMES, TASKS

RANK = "row_number() OVER (PARTITION BY task, label, {} ORDER BY hash(task, lx, rx, $seed), lx, rx)"
JUDGED = TASK_NAMES.index("query_item")  # what people labelled is not capped: only tasks.query_item.rows thins it


def cap(options: DeriveOptions, database: Database) -> None:
    """Keep in `pair` at most so many rows of each entity, task, label and side; query_item has none."""
    for side in ("left", "right"):
        limit = _limit(options.caps, side)
        rank = RANK.format(f"{side[0]}x")
        query = f"SELECT * FROM pair QUALIFY task = {JUDGED} OR {rank} <= {limit}"
        database.make("pair", query, {"seed": options.seed})


def balance(options: DeriveOptions, database: Database) -> None:
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
        kept = wanted(there, asked)
        limits += [f"WHEN task = {task} AND label = {label} THEN {n}" for label, n in enumerate(kept)]
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


def _limit(caps: CapOptions, side: str) -> str:
    cases = [f"WHEN task = {at} THEN {getattr(caps, getattr(task, side))}" for at, task in enumerate(TASKS.values())]
    return f"CASE {' '.join(cases)} END"
