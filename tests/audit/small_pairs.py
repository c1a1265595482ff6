"""Small tables of pairs: rows by hand, and rows that hypothesis makes up so that pairs repeat and contradict."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import settings
from hypothesis import strategies as st

from relevance.audit.counts import Opened, check_source, pairs_database
from relevance.config import DataConfig, Source
from relevance.data.faults import Loaded

COLUMNS = ("task", "left", "right", "label", "split", "left_id", "right_id", "source")
SAME = settings(max_examples=16, deadline=None, derandomize=True, database=None)  # the same examples every time
WORDS = ("ab", "cd", "ef")
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "task": st.sampled_from(["query_item", "query_query", "type_type", "item_type"]),
            "left": st.sampled_from(WORDS),
            "right": st.sampled_from(WORDS),
            "label": st.integers(0, 2),
            "split": st.sampled_from(["train", "validation", "test"]),
            "left_id": st.sampled_from([None, "1", "2"]),
            "right_id": st.sampled_from([None, "1", "3"]),
            "source": st.sampled_from([None, "rule", "=1+1"]),
        }
    ),
    min_size=1,
    max_size=14,
)


def table(rows: list[dict]) -> pa.Table:
    """Rows that may lack columns, as a table of all columns any has."""
    names = [name for name in (*COLUMNS, *rows[0]) if any(name in row for row in rows)]
    return pa.table({name: [row.get(name) for row in rows] for name in dict.fromkeys(names)})


def read(rows: list[dict]) -> Opened:
    """What `opened` makes of these rows."""
    data = DataConfig(kind=Source.pairs, path="pairs.parquet")
    return check_source("pairs.parquet", Loaded(table(rows), np.arange(1, len(rows) + 1)), data)


def counted(rows: list[dict], part: Callable):
    """What `part` counts in a database of these rows."""
    pairs = read(rows)
    with pairs_database(pairs.table, pairs.keys) as database:
        return part(database)


def mirrored(rows: list[dict]) -> list[dict]:
    """The rows of symmetric tasks with left and right changed over."""
    sides = {"left": "right", "right": "left", "left_id": "right_id", "right_id": "left_id"}
    turned = [{sides.get(name, name): value for name, value in one.items()} for one in rows]
    return [new if new["task"] in ("query_query", "type_type") else old for old, new in zip(rows, turned, strict=True)]


def row(number: int, **changes) -> dict:
    """A sound row; the number tells it apart."""
    base = {"task": "query_item", "left": f"left {number}", "right": f"right {number}", "label": number % 3}
    return base | {"split": ("train", "train", "validation", "test")[number % 4]} | changes


def write(folder: Path, rows: list[dict]) -> Path:
    """The rows as a parquet file."""
    path = folder / "pairs.parquet"
    pq.write_table(table(rows), path)
    return path
