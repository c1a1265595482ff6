"""rows.parquet as it lies on disk, and what is derived from it and left beside it: opened only where it is whole.

outputs/data/3f55934ea4b3c01d/rows.parquet, with .seal, floor-lexical.parquet, …; the folder is named by its digest
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from relevance import seal
from relevance.cli import echo
from relevance.data.contract import utf8_bytes
from relevance.errors import UserError, first_line

ROWS = "rows.parquet"
DIGEST = re.compile(r"[0-9a-f]{16}")  # names its folder
OURS = ("row", "left_seen", "right_seen")  # made here; a file that brings them gets them anew
PART = 1 << 16  # rows that read_rows reads at a time
REMEDY = "run its sweep again, which makes it anew"

Make = Callable[[], Mapping[str, pa.Table]]


def open_rows(rows: Path) -> Path:
    """The path of rows.parquet where it is as it was written and of its folder's digest; UserError where it is not."""
    if why := rows_fault(rows):
        raise UserError(f"{why}; {REMEDY}")
    return rows


def rows_fault(rows: Path) -> str:
    """What is wrong with rows.parquet, "" where nothing is; without a seal its content is held against its folder."""
    unsealed = DIGEST.fullmatch(rows.parent.name) and not seal.place(rows).exists()
    return (_unknown(rows) if unsealed else "") or seal.fault(rows, rows.parent.name)


def _unknown(rows: Path) -> str:
    """Why a table without a seal is not that of its folder, "" where it is."""
    try:
        digest = file_digest(rows)[:16]
    except FileNotFoundError:
        return f"{rows}: no such file"
    except (OSError, pa.ArrowException) as error:
        return f"{rows}: no whole parquet file ({first_line(error)})"
    return "" if digest == rows.parent.name else f"{rows}: holds the table {digest}, which is not that of its folder"


def beside(rows: Path, names: Iterable[str], make: Make, write: Callable[[pa.Table, Path], None]) -> dict[str, Path]:
    """The files <name>.parquet beside rows.parquet, by name: made where one is absent, or is not as it was written."""
    paths = {name: rows.with_name(f"{name}.parquet") for name in names}
    faults = {path: _unreadable(path) or seal.fault(path, rows.parent.name) for path in paths.values()}
    if any(faults.values()):
        echo(*(f"{why}; it is made anew" for path, why in faults.items() if why and path.exists()))
        for name, table in make().items():
            write(table, paths[name])
            seal.write(paths[name], rows.parent.name)
    return paths


def _unreadable(path: Path) -> str:
    """Why a file is no parquet file as a glance at its end shows, which is all that one without a seal can show."""
    try:
        pq.read_metadata(path)
    except (OSError, pa.ArrowException) as error:
        return f"{path}: no whole parquet file ({first_line(error)})"
    return ""


def file_digest(path: Path) -> str:
    """The digest that `prepare_rows` computed, taken from the table at `path` as it is now, a column at a time."""
    with pq.ParquetFile(path) as file:
        names = [name for name in file.schema_arrow.names if name not in OURS]
        columns = ((name, file.read([name])[name]) for name in names)
        return table_digest(file.metadata.num_rows, columns)


def table_digest(rows: int, columns: Iterable[tuple[str, pa.ChunkedArray]]) -> str:
    """sha256 (hex) of a table of so many rows: names, values, nulls and order count, format and chunks do not."""
    total = hashlib.sha256(str(rows).encode())
    for name, column in columns:
        total.update(b"\0" + name.encode() + b"\0")
        try:
            text = column.cast(pa.string())
        except pa.ArrowException:  # nested values and raw bytes have no text of their own
            text = pa.chunked_array([pa.array([repr(value) for value in column.to_pylist()], pa.string())])
        total.update(b"nulls" if text.null_count else b"whole")
        if text.null_count:
            total.update(np.packbits(pc.is_null(text).to_numpy()).tobytes())
            text = pc.fill_null(text, "")
        for chunk in text.chunks:
            total.update(pc.binary_length(chunk).to_numpy())
        for chunk in text.chunks:
            total.update(utf8_bytes(chunk))
    return total.hexdigest()


def read_columns(path: Path, columns: list[str] | None = None, encoded: Sequence[str] = ()) -> pa.Table:
    """`columns` of a parquet file, null: all; the texts of `encoded` as a dictionary and places in it."""
    # no partitions: a folder such as seed=0 above the file is no column of it
    return pq.read_table(path, columns=columns, read_dictionary=list(encoded), partitioning=None)


def read_rows(rows: Path, at: np.ndarray, columns: list[str]) -> pa.Table:
    """`columns` of the rows at these positions [n], which ascend; the others are passed over a part at a time."""
    batches, first = [], 0
    with pq.ParquetFile(rows) as file:
        for batch in file.iter_batches(PART, columns=columns):
            low, high = np.searchsorted(at, [first, first + len(batch)])
            batches.append(batch.take(pa.array(at[low:high] - first)))
            first += len(batch)
    return pa.Table.from_batches(batches)
