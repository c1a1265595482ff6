"""A source of pairs → its sound rows, to be counted rather than refused, and a database to count them in.

pair(place, task, split, label, l, r, lx, rx, source, ...): `place` is the row's in the table; l and r number the
entities, lx and rx the texts; low, high, low_text and high_text are the same in order
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.config import DataConfig
from relevance.data.contract import sound_pairs
from relevance.data.database import Database, opened
from relevance.data.entities import Keys, entity_keys, side_entities
from relevance.data.faults import NONE_LEFT, Fault, Loaded, faults_error
from relevance.data.table import load_pairs, with_split
from relevance.tasks import LABELS, SPLITS, TASK_NAMES, TASKS

ALL = "all"  # tasks, where parts are named
ANNOTATOR = "annotator"  # column of the user's own that `pair` has too
ENTITIES = "low, high"  # columns that are equal where the pairs are; of two tasks they never are
TASK_TEXTS = "task, low_text, high_text, swapped"  # in either order where the task's sides are of one kind
TEXTS = "low_text, high_text"  # whatever the task
BY_LABEL = f"[{', '.join(f'count_if(label = {label})' for label in range(len(LABELS)))}]"  # rows [3]


@dataclass(frozen=True, eq=False)
class Opened:
    """Rows that keep the contract one by one; pairs may be repeated and may contradict one another."""

    name: str  # of the file
    table: pa.Table  # [N], with a split
    keys: Keys
    faults: tuple[Fault, ...]  # of the rows that were set aside
    counted: str  # how rows are numbered
    divided: str  # how the split was made; "" where the file has one


def open_source(data: DataConfig) -> Opened:
    """The table that `data` names, divided as `prepare_rows` does; rows that break the contract are set aside."""
    return check_source(*load_pairs(data), data)


def check_source(name: str, loaded: Loaded, data: DataConfig) -> Opened:
    """The same of a loaded table; `name` is what an error calls it."""
    sound = sound_pairs(loaded, name)
    if not len(sound.table):
        raise faults_error(name, sound.faults, loaded.counted, NONE_LEFT)
    divided = "split" not in sound.table.column_names
    how = f"by left entity, seed {data.seed}, shares {data.validation_share} and {data.test_share}"
    keys = entity_keys(sound.table)
    return Opened(name, with_split(sound.table, data), keys, sound.faults, loaded.counted, how if divided else "")


@contextmanager
def pairs_database(table: pa.Table, keys: Keys) -> Iterator[Database]:
    """A database with the table `pair` of the rows of `table`, which has a split."""
    left, right = side_entities(keys)
    numbers = {"place": np.arange(len(table)), "task": keys.task, "l": left, "r": right}
    numbers |= {"lx": keys.left_text, "rx": keys.right_text}
    columns = {"split": pc.index_in(table["split"], pa.array(SPLITS))}
    columns |= {name: table[name] for name in ("label", "source", ANNOTATOR) if name in table.column_names}
    symmetric = tuple(at for at, task in enumerate(TASKS.values()) if task.symmetric)
    with TemporaryDirectory() as folder, opened(Path(folder)) as database:
        database.put("arrived", pa.table(numbers | columns))
        database.make(
            "pair",
            f"""SELECT *, least(l, r) AS low, greatest(l, r) AS high, least(lx, rx) AS low_text,
                greatest(lx, rx) AS high_text, lx > rx AND task NOT IN {symmetric} AS swapped FROM arrived""",
        )
        yield database


def by_task(database: Database, rows: str, columns: Mapping[str, str]) -> dict[str, dict]:
    """The aggregates `columns` (name: SQL) over the query or table `rows`, for each task that has any and for all."""
    aggregates = ", ".join(columns.values())
    lines = database.rows(f"SELECT task, {aggregates} FROM {rows} GROUP BY ROLLUP (task) ORDER BY task NULLS LAST")
    names = {None: ALL} | dict(enumerate(TASK_NAMES))
    return {names[task]: dict(zip(columns, values, strict=True)) for task, *values in lines}
