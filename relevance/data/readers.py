"""A file of pairs → an Arrow table under our column names, with the number of each row in the file.

pairs.csv "query,item,label / NA,,2" with columns={left: query, right: item} → left="NA" right="" label="2":
in csv and tsv every cell is text, an empty cell is empty text and no word means "missing".
"""

import csv
import difflib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from relevance.data import utf8
from relevance.data.faults import NONE_LEFT, Fault, error, faulty, shorten
from relevance.errors import UserError

BLOCK = 1 << 25  # bytes the csv and jsonl parsers hold at once: the longest possible row
LINES = "rows are the lines of the file, counted from 1"


@dataclass(frozen=True)
class Loaded:
    """The rows that could be read, and those that could not."""

    table: pa.Table
    rows: np.ndarray  # [N] numbers of the table's rows in the file, ascending
    faults: tuple[Fault, ...] = ()
    counted: str = "rows are counted from 1"


def read(path: Path, columns: dict[str, str]) -> Loaded:
    """The file at `path`, `columns` (ours: theirs) renamed; text is valid UTF-8 and of Arrow type string.

    Raises UserError for a file that is absent, empty, unreadable or of an unknown kind, and for a column
    that is missing or given twice. Rows that cannot be read come back as faults.
    """
    if path.suffix.lower() not in READERS:
        raise UserError(f"{path}: unknown kind of file {path.suffix!r}; allowed: {', '.join(READERS)}")
    if not path.is_file():
        raise UserError(f"{path}: no such file; give data.path=FILE ({', '.join(READERS)})")
    if not path.stat().st_size:
        raise UserError(f"{path}: the file is empty; it needs rows with task, left, right and label")
    try:
        loaded = READERS[path.suffix.lower()](path)
    except (pa.ArrowException, csv.Error, OSError) as cause:
        raise UserError(f"{path}: cannot be read as {path.suffix}: {cause}; write the file anew") from cause
    if not len(loaded.table):
        if loaded.faults:
            raise error(str(path), loaded.faults, loaded.counted, NONE_LEFT)
        raise UserError(f"{path}: the file holds no rows")
    names = _renamed(path, loaded.table.column_names, columns)
    return _decoded(replace(loaded, table=loaded.table.rename_columns(names)))


def _parquet(path: Path) -> Loaded:
    _unique(path, pq.read_schema(path).names)
    table = pq.read_table(path)
    return Loaded(table, np.arange(1, len(table) + 1))


def _delimited(path: Path, delimiter: str) -> Loaded:
    names = _header(path, delimiter)
    torn: list[pa.csv.InvalidRow] = []

    def set_aside(row: pa.csv.InvalidRow) -> str:
        torn.append(row)
        return "skip"

    table = pa.csv.read_csv(
        path,
        pa.csv.ReadOptions(use_threads=False, block_size=BLOCK),  # one thread: only so are torn rows numbered
        pa.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=set_aside),
        pa.csv.ConvertOptions(check_utf8=False, column_types=dict.fromkeys(names, pa.string())),
    )
    _closed(path, table)
    numbers = np.array([row.number - 1 for row in torn], np.int64)  # the parser counts the header as row 1
    values = [f"{row.actual_columns} cells, not {row.expected_columns}: {shorten(row.text)}" for row in torn]
    rows = np.setdiff1d(np.arange(1, len(table) + len(torn) + 1), numbers, assume_unique=True)
    remedy = "give every row as many cells as the header; quote a cell that holds the delimiter"
    faults = (Fault("torn row", remedy, numbers, values),) if torn else ()
    return Loaded(table, rows, faults, "rows are counted from 1 after the header, blank lines left out")


def _header(path: Path, delimiter: str) -> list[str]:
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            names = next((row for row in csv.reader(file, delimiter=delimiter) if row), [])
        "".join(names).encode()
    except UnicodeEncodeError:
        raise UserError(f"{path}: the header (from byte 0) is not UTF-8; {utf8.REMEDY}") from None
    if not names:
        raise UserError(f"{path}: the file has no header; its first line names the columns")
    _unique(path, names)
    return names


def _closed(path: Path, table: pa.Table) -> None:
    """The parser takes a quote that is never closed as one long last cell: refuse it."""
    last = table.columns[-1][-1].as_buffer() if len(table) else None
    if last is None or b"\n" not in last.to_pybytes():
        return
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 64))
        if not file.read().rstrip().endswith(b'"'):
            raise UserError(
                f"{path}: row {len(table)} opens a quote that is never closed; close it, or double a quote "
                "that belongs to the text"
            )


def _jsonl(path: Path) -> Loaded:
    """Arrow's parser where each line is one object of steady types, else line by line."""
    first, lines = _first_line_and_count(path)
    try:
        keys = _object(first)
        schema = pa.schema([(key, pa.string()) for key, value in keys.items() if isinstance(value, str)])
        table = pa.json.read_json(
            path, pa.json.ReadOptions(block_size=BLOCK), pa.json.ParseOptions(explicit_schema=schema)
        )
    except ValueError:  # pa.ArrowInvalid is one
        return _jsonl_by_line(path)
    guessed = any(pa.types.is_temporal(field.type) for field in table.schema)  # a text taken for a date
    if guessed or len(table) != lines:
        return _jsonl_by_line(path)
    return Loaded(table.select(_ordered(keys, table.column_names)), np.arange(1, lines + 1), counted=LINES)


def _first_line_and_count(path: Path) -> tuple[bytes, int]:
    with path.open("rb") as file:
        first = file.readline()
        file.seek(0)
        lines, block = 0, b""
        while more := file.read(1 << 20):
            lines, block = lines + more.count(b"\n"), more
    return first, lines + (not block.endswith(b"\n"))


def _ordered(first: Sequence[str], names: list[str]) -> list[str]:
    return [*first, *(name for name in names if name not in first)]


def _jsonl_by_line(path: Path) -> Loaded:
    records: list[dict] = []
    rows: list[int] = []
    torn: list[tuple[int, str]] = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                records.append(_object(line))
                rows.append(number)
            except ValueError as cause:
                torn.append((number, f"{cause}: {shorten(line)}"))
    names = list(dict.fromkeys(name for record in records for name in record))
    table = pa.table({name: _column([record.get(name) for record in records]) for name in names})
    numbers = np.array([number for number, _ in torn], np.int64)
    fault = Fault("torn line", "write one JSON object a line, in UTF-8", numbers, [value for _, value in torn])
    return Loaded(table, np.array(rows, np.int64), (fault,) if torn else (), LINES)


def _object(line: bytes) -> dict:
    """One JSON object; raises ValueError for anything else, a key given twice and text that is not UTF-8."""

    def once(pairs: list[tuple]) -> dict:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a key is given twice")
        return dict(pairs)

    record = json.loads(line.decode(), object_pairs_hook=once)
    if not isinstance(record, dict):
        raise ValueError("not an object")
    "".join(value for value in record.values() if isinstance(value, str)).encode()  # no half surrogates
    return record


def _column(values: list) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # numbers and texts in one column: all become text
        return pa.array([value if value is None or isinstance(value, str) else json.dumps(value) for value in values])


READERS: dict[str, Callable[[Path], Loaded]] = {
    ".parquet": _parquet,
    ".csv": lambda path: _delimited(path, ","),
    ".tsv": lambda path: _delimited(path, "\t"),
    ".jsonl": _jsonl,
}


def _unique(path: Path, names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(f"{path}: column {', '.join(twice)} is given twice; rename or remove one")


def _renamed(path: Path, present: list[str], columns: dict[str, str]) -> list[str]:
    for ours, theirs in columns.items():
        if theirs not in present:
            near = difflib.get_close_matches(theirs, present, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UserError(
                f"data.columns.{ours}={theirs}: {path} has no such column; {hint}present: {', '.join(present)}"
            )
    ours = {theirs: ours for ours, theirs in columns.items()}
    if len(ours) < len(columns):
        raise UserError(f"data.columns={columns}: one column of the file is given twice; name each once")
    names = [ours.get(name, name) for name in present]
    _unique(path, names)
    return names


def _decoded(loaded: Loaded) -> Loaded:
    """Text columns as plain strings; rows with bytes that are not UTF-8 become faults."""
    table = utf8.plain(loaded.table)
    faults = tuple(utf8.undecodable(table, loaded.rows))
    good = ~np.isin(loaded.rows, faulty(faults))
    if faults:
        table = table.filter(pa.array(good))
    return replace(loaded, table=table, rows=loaded.rows[good], faults=(*loaded.faults, *faults))
