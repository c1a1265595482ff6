"""A file of pairs → an Arrow table under our column names, with the number of each row in the file.

pairs.csv "query,item,label / NA,,2" with columns={left: query, right: item} → left="NA" right="" label="2":
in csv and tsv every cell is text, an empty cell is empty text and no word means "missing".
"""

import csv
import difflib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from relevance.data import delimited, jsonl, utf8
from relevance.data.faults import NONE_LEFT, error, faulty
from relevance.data.loaded import Loaded, unique
from relevance.errors import UserError


def read(path: Path, columns: dict[str, str]) -> Loaded:
    """The file at `path`, `columns` (ours: theirs) renamed; text is valid UTF-8 and of Arrow type string.

    Raises UserError for a file that is absent, empty, unreadable or of an unknown kind, and for a column
    that is missing or given twice. Rows that cannot be read come back as faults.
    """
    readable(path, "data.path")
    with explained(path):
        loaded = READERS[path.suffix.lower()](path)
    if not len(loaded.table):
        raise no_rows(path, loaded)
    names = renamed(path, loaded.table.column_names, columns, "data.columns")
    return decoded(replace(loaded, table=loaded.table.rename_columns(names)))


def readable(path: Path, setting: str) -> None:
    """Raise UserError where no file that `setting` may name lies at `path`."""
    if path.suffix.lower() not in READERS:
        raise UserError(f"{path}: unknown kind of file {path.suffix!r}; allowed: {', '.join(READERS)}")
    if not path.is_file():
        raise UserError(f"{path}: no such file; give {setting}=FILE ({', '.join(READERS)})")
    if not path.stat().st_size:
        raise UserError(f"{path}: the file is empty; it needs rows with task, left, right and label")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """What a parser says of a file it cannot read, as a UserError."""
    try:
        yield
    except (pa.ArrowException, csv.Error, OSError) as cause:
        raise UserError(f"{path}: cannot be read as {path.suffix}: {cause}; write the file anew") from cause


def no_rows(path: Path, loaded: Loaded) -> UserError:
    """The error of a file none of whose rows could be read."""
    if loaded.faults:
        return error(str(path), loaded.faults, loaded.counted, NONE_LEFT)
    return UserError(f"{path}: the file holds no rows")


def _parquet(path: Path) -> Loaded:
    unique(path, pq.read_schema(path).names)
    table = pq.read_table(path)
    return Loaded(table, np.arange(1, len(table) + 1))


READERS: dict[str, Callable[[Path], Loaded]] = {
    ".parquet": _parquet,
    ".csv": lambda path: delimited.read(path, ","),
    ".tsv": lambda path: delimited.read(path, "\t"),
    ".jsonl": jsonl.read,
}


def renamed(path: Path, present: list[str], columns: dict[str, str], setting: str) -> list[str]:
    """The names `present` under our names; raises UserError where `columns`, given as `setting`, does not fit them."""
    for ours, theirs in columns.items():
        if theirs not in present:
            near = difflib.get_close_matches(theirs, present, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UserError(
                f"{setting}.{ours}={theirs}: {path} has no such column; {hint}present: {', '.join(present)}"
            )
    ours = {theirs: ours for ours, theirs in columns.items()}
    if len(ours) < len(columns):
        raise UserError(f"{setting}={columns}: one column of the file is given twice; name each once")
    names = [ours.get(name, name) for name in present]
    unique(path, names)
    return names


def decoded(loaded: Loaded) -> Loaded:
    """Text columns as plain strings; rows with bytes that are not UTF-8 become faults."""
    table = utf8.plain(loaded.table)
    faults = tuple(utf8.undecodable(table, loaded.rows))
    good = ~np.isin(loaded.rows, faulty(faults))
    if faults:
        table = table.filter(pa.array(good))
    return replace(loaded, table=table, rows=loaded.rows[good], faults=(*loaded.faults, *faults))
