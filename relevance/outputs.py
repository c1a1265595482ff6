"""What may lie where a command is to write: what such a command wrote before is replaced, all else is a person's.

output=scored.csv, a table with predict's columns → written anew      output=scored.csv, notes → "is none of ours; ..."
"""

import csv
import json
from collections.abc import Callable, Iterable
from pathlib import Path

from relevance import seal
from relevance.errors import UserError

LINE = 1 << 20  # characters of a file's first line that are read
DELIMITERS = {".csv": ",", ".tsv": "\t"}
REMEDY = "move it away, or give another output"


def check_table(path: Path, ours: Callable[[list[str]], bool], reads: Iterable[Path] = ()) -> None:
    """UserError where a file at `path` has columns that are not `ours`, or is or lies in one of `reads`."""
    _check(path, lambda: ours(_columns(path)), reads)


def check_text(path: Path, start: str, reads: Iterable[Path] = ()) -> None:
    """The same of a text that begins otherwise than those we write to such a file."""
    _check(path, lambda: path.read_bytes().startswith(start.encode()), reads)


def check_listing(path: Path, reads: Iterable[Path] = ()) -> None:
    """The same of a list of rows that were set aside: people mend them, so that it must be as it was sealed."""
    _check(path, lambda: seal.place(path).is_file() and not seal.fault(path), reads)


def remove_listing(path: Path) -> None:
    """Remove a list of an earlier run; UserError where it was changed since, or is none of ours."""
    check_listing(path)
    for file in (path, seal.place(path)):
        file.unlink(missing_ok=True)


def check_folder(path: Path, setting: str = "output") -> Path:
    """The path, in full, of a folder that can be made or replaced; UserError for the one we are in and those above."""
    whole = path.expanduser().resolve()
    if whole in (Path.cwd(), *Path.cwd().parents):
        raise UserError(f"{setting}={path}: is the folder you are in, or one above it; give a new folder")
    return whole


def _check(path: Path, ours: Callable[[], bool], reads: Iterable[Path]) -> None:
    whole = path.resolve()
    for read in reads:
        same = read.exists() and path.exists() and read.samefile(path)
        if same or read.resolve() in (whole, *whole.parents):
            raise UserError(f"{path}: would be written over, but is read from {read}; give another output")
    if path.is_file() and path.stat().st_size and not ours():
        raise UserError(f"{path}: is there already and is none of ours, or was changed since; {REMEDY}")


def _columns(path: Path) -> list[str]:
    """The columns of a table, [] where it is none."""
    import pyarrow as pa  # only now: --help needs none
    import pyarrow.parquet as pq

    try:
        if path.suffix.lower() == ".parquet":
            return pq.read_schema(path).names
        with path.open(encoding="utf-8", newline="") as file:
            line = file.readline(LINE)
        if path.suffix.lower() == ".jsonl":
            return list(json.loads(line))
        return next(csv.reader([line], delimiter=DELIMITERS[path.suffix.lower()]))
    except (ValueError, TypeError, StopIteration, csv.Error, pa.ArrowException):
        return []
