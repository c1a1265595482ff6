"""The first look at a file of pairs, before anything is scored: what it holds and which rows are at fault.

pairs.csv → Scan(schema={task, left, right, label, note}, tasks=[44,998, 0, ...], labelled=1,200, faults=(...))
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from relevance.data.chunks import LABEL, Chunk
from relevance.data.faults import LISTED, Fault, merged
from relevance.data.schema import union
from relevance.scores import task_codes
from relevance.tasks import TASK_NAMES


@dataclass(frozen=True)
class Scan:
    """A file as a whole; 8 bytes for each row at fault are all that grows with it."""

    schema: pa.Schema  # of the rows that can be scored
    tasks: np.ndarray  # [6] rows of each task that can be scored
    labelled: int  # of those
    faults: tuple[Fault, ...]  # of each rule every row, and the values of the first LISTED
    counted: str  # how rows are numbered

    @property
    def rows(self) -> int:
        return int(self.tasks.sum())


def scan(chunks: Iterable[Chunk]) -> Scan:
    """What the chunks of a file hold in all; raises what reading them raises."""
    found = Scan(pa.schema([]), np.zeros(len(TASK_NAMES), np.int64), 0, (), "")
    for chunk in chunks:
        found = replace(found, faults=_known([*found.faults, *chunk.faults]), counted=chunk.loaded.counted)
        if len(chunk.table):  # the columns of other chunks may be made up of nulls
            found = _more(found, chunk.table)
    return found


def _more(found: Scan, table: pa.Table) -> Scan:
    tasks = np.bincount(task_codes(table["task"]), minlength=len(TASK_NAMES))
    labelled = len(table) - table[LABEL].null_count if LABEL in table.column_names else 0
    schema = union(found.schema, table.schema)
    return replace(found, schema=schema, tasks=found.tasks + tasks, labelled=found.labelled + labelled)


def _known(faults: Sequence[Fault]) -> tuple[Fault, ...]:
    return tuple(replace(fault, values=fault.values[:LISTED]) for fault in merged(faults)) if faults else ()
