"""What a reader makes of a file: the rows that could be read, numbered as a person finds them, and the others.

Loaded(table=3 rows, rows=[1, 2, 4], faults=[torn row 3])
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from relevance.data.faults import Fault, merged
from relevance.errors import UserError

BLOCK = 1 << 25  # bytes the csv and jsonl parsers hold at once: the longest possible row


@dataclass(frozen=True)
class Loaded:
    """The rows that could be read, and those that could not."""

    table: pa.Table
    rows: np.ndarray  # [N] numbers of the table's rows in the file, ascending
    faults: tuple[Fault, ...] = ()
    counted: str = "rows are counted from 1"


def joined(parts: Sequence[Loaded]) -> Loaded:
    """Consecutive parts of one file as one."""
    table = pa.concat_tables([part.table for part in parts])
    rows = np.concatenate([part.rows for part in parts])
    faults = merged([fault for part in parts for fault in part.faults])
    return replace(parts[-1], table=table, rows=rows, faults=faults)


def unique(path: Path, names: Sequence[str]) -> None:
    """Raise UserError where the file names a column twice."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(f"{path}: column {', '.join(twice)} is given twice; rename or remove one")
