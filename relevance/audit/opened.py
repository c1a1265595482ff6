"""A source of pairs → its sound rows, to be counted rather than refused, and which of them hold the same pair.

row 7 of pairs.csv: query_item "usb c cable" | "Volt USB-C cable 2 m" label=2 split="test", and row 9, its copy → both
query_query q1 | q2 and query_query q2 | q1 → one pair of entities; query_item "sofa" | "bed" and type_type "bed" |
"sofa" → one pair of texts
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.config import DataConfig
from relevance.data.contract import sound_pairs
from relevance.data.entities import Keys, combined, differs, entity_keys, side_entities
from relevance.data.faults import NONE_LEFT, Fault, Loaded, faults_error
from relevance.data.table import load_pairs, with_split
from relevance.tasks import SPLITS, TASK_NAMES, TASKS

ALL = "all"  # tasks, where parts are named
SYMMETRIC = np.array([task.symmetric for task in TASKS.values()])


@dataclass(frozen=True, eq=False)
class Opened:
    """Rows that keep the contract one by one; pairs may be repeated and may contradict one another."""

    name: str  # of the file
    table: pa.Table  # [N], with a split
    rows: np.ndarray  # [N] numbers in the file
    keys: Keys
    label: np.ndarray  # [N]
    split: np.ndarray  # [N], index into SPLITS
    faults: tuple[Fault, ...]  # of the rows that were set aside
    counted: str  # how rows are numbered
    divided: str  # how the split was made; "" where the file has one

    def where(self, split: str) -> np.ndarray:
        """[N] bool, the rows of a split."""
        return self.split == SPLITS.index(split)

    def parts(self) -> dict[str, np.ndarray]:
        """Masks [N] of the tasks that have rows, and of all."""
        there = np.unique(self.keys.task)
        return {TASK_NAMES[task]: self.keys.task == task for task in there} | {ALL: np.ones(len(self.rows), bool)}


def open_source(data: DataConfig) -> Opened:
    """The table that `data` names; rows that break the contract are set aside.

    Without a split column it is divided as `relevance.data.table.prepare_rows` does. Raises UserError for a file that
    cannot be read as a table of pairs, and where no row is left.
    """
    return check_source(*load_pairs(data), data)


def check_source(name: str, loaded: Loaded, data: DataConfig) -> Opened:
    """The same of what has been read; `name` is what an error calls it."""
    sound = sound_pairs(loaded, name)
    if not len(sound.table):
        raise faults_error(name, sound.faults, loaded.counted, NONE_LEFT)
    given = "split" in sound.table.column_names
    table = with_split(sound.table, data)
    how = f"by left entity, seed {data.seed}, shares {data.validation_share} and {data.test_share}"
    return Opened(
        name,
        table,
        sound.rows,
        entity_keys(sound.table),
        table["label"].to_numpy(),
        pc.index_in(table["split"], pa.array(SPLITS)).to_numpy(),
        sound.faults,
        loaded.counted,
        "" if given else how,
    )


@dataclass(frozen=True)
class Match:
    """Numbers [N], equal exactly where the pairs are."""

    entities: np.ndarray  # of kinds too, so that pairs of two tasks never match
    task_texts: np.ndarray  # both texts and the task; in either order where its sides are of one kind
    texts: np.ndarray  # both texts, whatever the task
    turned: np.ndarray  # bool, whether the left entity has the higher number: mirrors of one another differ in it


def match_pairs(keys: Keys) -> Match:
    """The pairs of rows with these keys; in a task of two kinds no pair has a mirror."""
    left, right = side_entities(keys)
    low, high = _ordered(keys.left_text, keys.right_text)
    own = (np.where(SYMMETRIC[keys.task], *sides) for sides in ((low, keys.left_text), (high, keys.right_text)))
    entities = _group(combined(*_ordered(left, right)))
    return Match(entities, _group(combined(keys.task, *own)), _group(combined(low, high)), left > right)


def _ordered(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.minimum(left, right), np.maximum(left, right)


def _group(numbers: np.ndarray) -> np.ndarray:
    """The same from 0 on without gaps."""
    return np.unique(numbers, return_inverse=True)[1]


def split_up(group: np.ndarray, values: np.ndarray) -> np.ndarray:
    """[N] bool, whether the rows of the row's group [N], numbered without gaps, hold several of the values [N]."""
    return differs(values, group)


def among(group: np.ndarray, training: np.ndarray) -> np.ndarray:
    """[N] bool, whether a row of `training`, a mask [N], belongs to the row's group [N]."""
    held = np.zeros(int(group.max(initial=0)) + 1, bool)
    held[group[training]] = True
    return held[group]
