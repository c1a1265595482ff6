"""A file of pairs → an Arrow table under our column names, whole or in parts, with the number of each row in the file.

pairs.csv "query,item,label / NA,,2" with columns={left: query, right: item} → left="NA" right="" label="2":
in csv and tsv every cell is text, an empty cell is empty text and no word means "missing".

pairs.csv of 45,000 rows, 20,000 at a time → Loaded(rows 1 to 20,000), Loaded(20,001 to 40,000), Loaded(to 45,000)
"""

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from relevance.data.delimited import read_delimited, stream_delimited
from relevance.data.faults import NONE_LEFT, faults_error, faulty_rows
from relevance.data.jsonl import read_jsonl, stream_jsonl
from relevance.data.loaded import Loaded, plain_strings, undecodable, unique
from relevance.errors import UserError, did_you_mean

BUFFER = 1 << 18  # bytes of a parquet column read at once


def read_table(path: Path, columns: dict[str, str]) -> Loaded:
    """The file at `path`, `columns` (ours: theirs) renamed; text is valid UTF-8 and of Arrow type string.

    Raises UserError for a file that is absent, empty, unreadable or of an unknown kind, and for a column
    that is missing or given twice. Rows that cannot be read come back as faults.
    """
    readable(path, "data.path")
    with parse_errors(path):
        loaded = READERS[path.suffix.lower()](path)
    if not len(loaded.table):
        raise _no_rows(path, loaded)
    names = rename_columns(path, loaded.table.column_names, columns, "data.columns")
    return decode_table(replace(loaded, table=loaded.table.rename_columns(names)))


def stream_table(path: Path, columns: dict[str, str], rows: int) -> Iterator[Loaded]:
    """The parts of the file at `path` in order, `columns` (ours: theirs) renamed; memory does not grow with the file.

    A jsonl part has the columns and types of its own lines. Raises UserError as `read_table` does, for a column
    to be renamed once the first part with columns lacks it. Parts hold rows, faults, or both.
    """
    readable(path, "input")
    columns_seen = False
    with parse_errors(path):
        for part in STREAMS[path.suffix.lower()](path, rows):
            for piece in _pieces(part, rows):
                names = piece.table.column_names
                wanted = {ours: theirs for ours, theirs in columns.items() if theirs in names or not columns_seen}
                columns_seen = columns_seen or bool(names)
                if columns_seen:
                    names = rename_columns(path, names, wanted, "columns")
                yield decode_table(replace(piece, table=piece.table.rename_columns(names)))


def _pieces(part: Loaded, rows: int) -> Iterator[Loaded]:
    """A part cut to at most `rows` rows; what could not be read goes with the first piece."""
    faults = part.faults
    for start in range(0, max(len(part.rows), len(faults)), rows):
        yield replace(part, table=part.table[start : start + rows], rows=part.rows[start : start + rows], faults=faults)
        faults = ()


def readable(path: Path, setting: str) -> None:
    """Raise UserError where no file that `setting` may name lies at `path`."""
    if path.suffix.lower() not in READERS:
        raise UserError(f"{path}: unknown kind of file {path.suffix!r}; allowed: {', '.join(READERS)}")
    if not path.is_file():
        raise UserError(f"{path}: no such file; give {setting}=FILE ({', '.join(READERS)})")
    if not path.stat().st_size:
        raise UserError(f"{path}: the file is empty; it needs rows with task, left, right and label")


@contextmanager
def parse_errors(path: Path) -> Iterator[None]:
    """What a parser says of a file it cannot read, as a UserError."""
    try:
        yield
    except (pa.ArrowException, csv.Error, OSError) as cause:
        raise UserError(f"{path}: cannot be read as {path.suffix}: {cause}; write the file anew") from cause


def _no_rows(path: Path, loaded: Loaded) -> UserError:
    """The error of a file none of whose rows could be read."""
    if loaded.faults:
        return faults_error(str(path), loaded.faults, loaded.counted, NONE_LEFT)
    return UserError(f"{path}: the file holds no rows")


def rename_columns(path: Path, present: list[str], columns: dict[str, str], setting: str) -> list[str]:
    """The names `present` under our names; raises UserError where `columns`, given as `setting`, does not fit them."""
    for ours, theirs in columns.items():
        if theirs not in present:
            hint = did_you_mean(theirs, present)
            raise UserError(
                f"{setting}.{ours}={theirs}: {path} has no such column; {hint}present: {', '.join(present)}"
            )
    new_names = {theirs: ours for ours, theirs in columns.items()}
    if len(new_names) < len(columns):
        raise UserError(f"{setting}={columns}: one column of the file is given twice; name each once")
    names = [new_names.get(name, name) for name in present]
    unique(path, names)
    return names


def decode_table(loaded: Loaded) -> Loaded:
    """Text columns as plain strings; rows with bytes that are not UTF-8 become faults."""
    table = plain_strings(loaded.table)
    faults = tuple(undecodable(table, loaded.rows))
    good = ~np.isin(loaded.rows, faulty_rows(faults))
    if faults:
        table = table.filter(pa.array(good))
    return replace(loaded, table=table, rows=loaded.rows[good], faults=(*loaded.faults, *faults))


def _parquet(path: Path) -> Loaded:
    unique(path, pq.read_schema(path).names)
    table = pq.read_table(path)
    return Loaded(table, np.arange(1, len(table) + 1))


def _stream_parquet(path: Path, rows: int) -> Iterator[Loaded]:
    unique(path, pq.read_schema(path).names)
    last = 0
    with pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False) as file:  # or it takes in whole row groups
        for batch in file.iter_batches(rows):
            yield Loaded(pa.Table.from_batches([batch]), np.arange(last + 1, last + 1 + len(batch)))
            last += len(batch)


READERS: dict[str, Callable[[Path], Loaded]] = {
    ".parquet": _parquet,
    ".csv": lambda path: read_delimited(path, ","),
    ".tsv": lambda path: read_delimited(path, "\t"),
    ".jsonl": read_jsonl,
}
STREAMS: dict[str, Callable[[Path, int], Iterator[Loaded]]] = {
    ".parquet": _stream_parquet,
    ".csv": lambda path, rows: stream_delimited(path, ","),
    ".tsv": lambda path, rows: stream_delimited(path, "\t"),
    ".jsonl": stream_jsonl,
}
