"""A source of pairs → its sound rows, to be counted rather than refused.

row 7 of pairs.csv: query_item "usb c cable" | "Volt USB-C cable 2 m" label=2 split="test", and row 9, its copy → both
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.config import DataConfig
from relevance.data import faults, pairs, rows
from relevance.data.faults import Fault
from relevance.data.keys import Keys
from relevance.data.loaded import Loaded
from relevance.tasks import SPLITS, TASK_NAMES

ALL = "all"


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


def opened(data: DataConfig) -> Opened:
    """The table that `data` names; rows that break the contract are set aside.

    Without a split column it is divided as `relevance.data.rows.prepare` does. Raises UserError for a file that
    cannot be read as a table of pairs, and where no row is left.
    """
    return of(*rows.load(data), data)


def of(name: str, loaded: Loaded, data: DataConfig) -> Opened:
    """The same of what has been read; `name` is what an error calls it."""
    found = pairs.sound(loaded, name)
    if not len(found.table):
        raise faults.error(name, found.faults, loaded.counted, faults.NONE_LEFT)
    given = "split" in found.table.column_names
    table = rows.divided(found.table, data)
    how = f"by left entity, seed {data.seed}, shares {data.validation_share} and {data.test_share}"
    return Opened(
        name,
        table,
        found.rows,
        found.keys,
        table["label"].to_numpy(),
        pc.index_in(table["split"], pa.array(SPLITS)).to_numpy(),
        found.faults,
        loaded.counted,
        "" if given else how,
    )
