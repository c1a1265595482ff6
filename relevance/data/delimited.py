"""A csv or tsv file → its rows as text, each numbered; rows with too many or too few cells come back as faults.

"query_item,usb c cable,2" under "task,left,right,label" → torn row: 3 cells, not 4
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from relevance.data.faults import UTF8_REMEDY, Fault, Loaded, joined, shorten, unique
from relevance.errors import UserError

BLOCK = 1 << 25  # bytes the parser holds at once: the longest possible row
COUNTED = "rows are counted from 1 after the header, blank lines left out"
TORN_REMEDY = "give every row as many cells as the header; quote a cell that holds the delimiter"


def read_delimited(path: Path, delimiter: str, quotes: bool = True) -> Loaded:
    """Every cell as text. Raises UserError for a header that is absent or no UTF-8, and for an open quote.

    Without `quotes` a quote is a character like any other.
    """
    return joined(list(stream_delimited(path, delimiter, quotes)))


def stream_delimited(path: Path, delimiter: str, quotes: bool = True) -> Iterator[Loaded]:
    """The same, a block of the file at a time; the last one holds what is torn at the end, and may hold no rows."""
    names = _header(path, delimiter, quotes)
    torn: list[pa.csv.InvalidRow] = []  # the parser runs ahead: those up to the block at hand, and some of the next

    def set_aside(row: pa.csv.InvalidRow) -> str:
        torn.append(row)
        return "skip"

    with pa.csv.open_csv(
        path,
        pa.csv.ReadOptions(use_threads=False, block_size=BLOCK),  # one thread: only so are torn rows numbered
        pa.csv.ParseOptions(
            delimiter=delimiter,
            quote_char='"' if quotes else False,
            newlines_in_values=quotes,
            invalid_row_handler=set_aside,
        ),
        pa.csv.ConvertOptions(check_utf8=False, column_types=dict.fromkeys(names, pa.string())),
    ) as blocks:
        table, last = blocks.schema.empty_table(), 0
        for block in blocks:
            table, rows = pa.Table.from_batches([block]), _numbers(len(block), last, torn)
            last = rows[-1]
            past = [row for row in torn if _number(row) < last]
            del torn[: len(past)]
            yield _loaded(path, table, rows, past)
    if quotes and len(table) and not torn:
        _check_last_quote(path, table, last)
    yield _loaded(path, table[:0], np.empty(0, np.int64), torn)


def _number(row: pa.csv.InvalidRow) -> int:
    return row.number - 1  # the parser counts the header as row 1


def _numbers(count: int, last: int, torn: list[pa.csv.InvalidRow]) -> np.ndarray:
    """The next `count` numbers after `last` that no torn row has."""
    following = np.arange(last + 1, last + 1 + count + len(torn))
    return np.setdiff1d(following, [_number(row) for row in torn], assume_unique=True)[:count]


def _loaded(path: Path, table: pa.Table, rows: np.ndarray, torn: list[pa.csv.InvalidRow]) -> Loaded:
    for row in torn:
        if "\n" in row.text and row.text.count('"') % 2:
            raise _open_quote(path, _number(row))
    fault = Fault("torn row", TORN_REMEDY, np.array([_number(row) for row in torn], np.int64), [*map(_cells, torn)])
    return Loaded(table, rows, (fault,) if torn else (), COUNTED)


def _cells(row: pa.csv.InvalidRow) -> str:
    lines = row.text.count("\n") + 1
    over = f" over {lines} lines" if lines > 1 else ""
    return f"{row.actual_columns} cells{over}, not {row.expected_columns}: {shorten(row.text)}"


def _header(path: Path, delimiter: str, quotes: bool) -> list[str]:
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            rows = csv.reader(file, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE)
            names = next(filter(None, rows), [])
        "".join(names).encode()
    except UnicodeEncodeError:
        raise UserError(f"{path}: the header (from byte 0) is not UTF-8; {UTF8_REMEDY}") from None
    if not names:
        raise UserError(f"{path}: the file has no header; its first line names the columns")
    unique(path, names)
    return names


def _check_last_quote(path: Path, table: pa.Table, row: int) -> None:
    """Refuse a quote that is never closed: the parser takes all that follows it as one cell, whatever rows are in it.

    `row` is the number of the table's last row, the last of the file. (A torn row that did so shows by its quotes.)
    """
    cell = table.columns[-1][-1].as_buffer()
    if cell is not None and b"\n" in cell.to_pybytes():
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 64))
            if not file.read().rstrip().endswith(b'"'):
                raise _open_quote(path, row)


def _open_quote(path: Path, row: int) -> UserError:
    return UserError(
        f"{path}: row {row} opens a quote that is never closed; close it, or double a quote that belongs to the text"
    )
