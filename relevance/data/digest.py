"""A table of pairs → the sha256 of what it says.

Names, values, nulls and order count; file format, path, chunks, dictionaries and string width do not.
"""

import hashlib
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def table_digest(table: pa.Table) -> str:
    """The digest, in hex. Columns outside the contract are taken by their text."""
    return columns_digest(len(table), zip(table.column_names, table.columns, strict=True))


def columns_digest(rows: int, columns: Iterable[tuple[str, pa.ChunkedArray]]) -> str:
    """The digest of a table of so many rows whose named columns come one after another."""
    total = hashlib.sha256(str(rows).encode())
    for name, column in columns:
        total.update(b"\0" + name.encode() + b"\0")
        _add(total, _as_text(column))
    return total.hexdigest()


def _add(total: "hashlib._Hash", column: pa.ChunkedArray) -> None:
    """Which are null, how long each text is, then the bytes of all."""
    total.update(b"nulls" if column.null_count else b"whole")
    if column.null_count:
        total.update(np.packbits(pc.is_null(column).to_numpy()).tobytes())
        column = pc.fill_null(column, "")
    for chunk in column.chunks:
        total.update(pc.binary_length(chunk).to_numpy())
    for chunk in column.chunks:
        total.update(utf8_bytes(chunk))


def utf8_bytes(chunk: pa.StringArray) -> memoryview:
    """The UTF-8 bytes of all texts, one behind the other."""
    _, offsets, values = chunk.buffers()
    if values is None:
        return memoryview(b"")
    ends = np.frombuffer(offsets, np.int32)
    return memoryview(values)[ends[chunk.offset] : ends[chunk.offset + len(chunk)]]


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return column.cast(pa.string())
    except pa.ArrowException:  # nested values and raw bytes have no text of their own
        return pa.chunked_array([pa.array([repr(value) for value in column.to_pylist()], pa.string())])
