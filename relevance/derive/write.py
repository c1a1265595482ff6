"""The chosen pairs, by number → the table of pairs, and a record of how it came about beside it.

pairs.parquet: task, left, right, label, split, left_id, right_id, source (the rule), sorted by task, split and texts
"""

import json
from pathlib import Path

import pyarrow as pa

from relevance import whole
from relevance.data.writers import streamed
from relevance.derive.database import Database
from relevance.derive.rules import RULES
from relevance.tasks import SPLITS, TASK_NAMES, TASKS

ROWS = 200_000  # written at a time
TEXT = ("task", "left", "right", "label", "split", "left_id", "right_id", "source")
SCHEMA = pa.schema([(name, pa.int8() if name == "label" else pa.string()) for name in TEXT])


def write(path: Path, database: Database) -> int:
    """Write `pair` to `path`, whole or not at all; how many rows."""
    database.put("named", pa.table({"rule": range(len(RULES)), "source": [rule.name for rule in RULES]}))
    database.put("splits", pa.table({"split": range(len(SPLITS)), "part": list(SPLITS)}))
    rows = 0
    with streamed(path, SCHEMA) as writer:
        for at, name in enumerate(TASK_NAMES):
            for chunk in database.chunks(_query(at, name), ROWS):
                writer.write_table(chunk.cast(SCHEMA))
                rows += len(chunk)
    return rows


def record(path: Path, told: dict[str, object]) -> None:
    """Write what a reader needs to make the table again."""
    whole.text(path, json.dumps(told, indent=1, ensure_ascii=False, default=str) + "\n")


def _query(at: int, name: str) -> str:
    task = TASKS[name]
    return f"""SELECT '{name}' AS task, a.text AS left, b.text AS right, label, part AS split,
            a.id AS left_id, b.id AS right_id, source
        FROM pair JOIN {task.left} a ON a.n = l JOIN {task.right} b ON b.n = r
        JOIN named USING (rule) JOIN splits USING (split)
        WHERE task = {at} ORDER BY split, lx, rx"""
