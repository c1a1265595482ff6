"""A file of pairs → consecutive parts of at most so many rows, each as `readers.read` would give it.

pairs.csv of 45,000 rows, 20,000 at a time → Loaded(rows 1 to 20,000), Loaded(20,001 to 40,000), Loaded(to 45,000)
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from relevance.data import delimited, jsonl
from relevance.data.loaded import Loaded, unique
from relevance.data.readers import decoded, explained, readable, renamed

BUFFER = 1 << 18  # bytes of a parquet column read at once


def stream(path: Path, columns: dict[str, str], rows: int) -> Iterator[Loaded]:
    """The parts of the file at `path` in order, `columns` (ours: theirs) renamed; memory does not grow with the file.

    A jsonl part has the columns and types of its own lines. Raises UserError as `readers.read` does, for a column
    to be renamed once the first part with columns lacks it. Parts hold rows, faults, or both.
    """
    readable(path, "input")
    met = False
    with explained(path):
        for part in STREAMS[path.suffix.lower()](path, rows):
            for piece in _pieces(part, rows):
                names = piece.table.column_names
                asked = {ours: theirs for ours, theirs in columns.items() if theirs in names} if met else columns
                met = met or bool(names)
                table = piece.table.rename_columns(renamed(path, names, asked, "columns") if met else names)
                yield decoded(replace(piece, table=table))


def _pieces(part: Loaded, rows: int) -> Iterator[Loaded]:
    """A part cut to at most `rows` rows; what could not be read goes with the first piece."""
    faults = part.faults
    for start in range(0, max(len(part.rows), len(faults)), rows):
        yield replace(part, table=part.table[start : start + rows], rows=part.rows[start : start + rows], faults=faults)
        faults = ()


def _parquet(path: Path, rows: int) -> Iterator[Loaded]:
    unique(path, pq.read_schema(path).names)
    last = 0
    with pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False) as file:  # or it takes in whole row groups
        for batch in file.iter_batches(rows):
            yield Loaded(pa.Table.from_batches([batch]), np.arange(last + 1, last + 1 + len(batch)))
            last += len(batch)


STREAMS: dict[str, Callable[[Path, int], Iterator[Loaded]]] = {
    ".parquet": _parquet,
    ".csv": lambda path, rows: delimited.stream(path, ","),
    ".tsv": lambda path, rows: delimited.stream(path, "\t"),
    ".jsonl": jsonl.stream,
}
