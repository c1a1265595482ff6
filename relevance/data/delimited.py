"""A csv or tsv file → its rows as text, each numbered; rows with too many or too few cells come back as faults.

"query_item,usb c cable,2" under "task,left,right,label" → torn row: 3 cells, not 4
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv

from relevance.data.delimiters import Layout, layout
from relevance.data.faults import Fault, Loaded, joined
from relevance.data.text_files import Form, plain, tail, text_bytes
from relevance.errors import UserError, shorten

BLOCK = 1 << 25  # bytes the parser holds at once: the longest possible row
UNSAID = Form()
COUNTED = "rows are counted from 1, blank lines left out"
COUNTED_BEHIND = "rows are counted from 1 after the header, blank lines left out"
TORN_REMEDY = "give every row as many cells as the header; quote a cell that holds the delimiter"


def read_delimited(path: Path, form: Form = UNSAID) -> Loaded:
    """Every cell as text. Raises UserError for a header that is absent or no UTF-8, and for an open quote."""
    return joined(list(stream_delimited(path, form)))


def stream_delimited(path: Path, form: Form = UNSAID) -> Iterator[Loaded]:
    """The same, a block of the file at a time; the last one holds what is torn at the end, and may hold no rows."""
    laid = layout(path, form)
    form, names = laid.form, laid.names
    counted = COUNTED if form.header else COUNTED_BEHIND
    torn: list[pa.csv.InvalidRow] = []  # the parser runs ahead: those up to the block at hand, and some of the next

    def set_aside(row: pa.csv.InvalidRow) -> str:
        torn.append(row)
        return "skip"

    with _blocks(path, laid, set_aside) as blocks:
        table, last = blocks.schema.empty_table().rename_columns(names), 0
        for block in blocks:
            table = pa.Table.from_batches([block]).rename_columns(names)
            rows = _numbers(len(block), last, torn)
            last = rows[-1]
            past = [row for row in torn if _number(row) < last]
            del torn[: len(past)]
            yield _loaded(path, table, rows, past, counted)
    if form.quotes and len(table) and not torn:
        _check_last_quote(path, table, last, form)
    yield _loaded(path, table[:0], np.empty(0, np.int64), torn, counted)


@contextmanager
def _blocks(
    path: Path, laid: Layout, set_aside: Callable[[pa.csv.InvalidRow], str]
) -> Iterator[pa.csv.CSVStreamingReader]:
    form = laid.form
    read = pa.csv.ReadOptions(use_threads=False, block_size=BLOCK)  # one thread: only so are torn rows numbered
    parse = pa.csv.ParseOptions(
        delimiter=form.delimiter,
        quote_char='"' if form.quotes else False,
        newlines_in_values=form.quotes,
        invalid_row_handler=set_aside,
    )
    convert = pa.csv.ConvertOptions(check_utf8=False, column_types=dict.fromkeys(laid.cells, pa.string()))
    with ExitStack() as stack:
        source: Path | BinaryIO = path
        if not plain(path, form):
            source = stack.enter_context(text_bytes(path, form))
        yield stack.enter_context(pa.csv.open_csv(source, read, parse, convert))


def _number(row: pa.csv.InvalidRow) -> int:
    return row.number - 1  # the parser counts the header as row 1


def _numbers(count: int, last: int, torn: list[pa.csv.InvalidRow]) -> np.ndarray:
    """The next `count` numbers after `last` that no torn row has."""
    following = np.arange(last + 1, last + 1 + count + len(torn))
    return np.setdiff1d(following, [_number(row) for row in torn], assume_unique=True)[:count]


def _loaded(path: Path, table: pa.Table, rows: np.ndarray, torn: list[pa.csv.InvalidRow], counted: str) -> Loaded:
    for row in torn:
        if "\n" in row.text and row.text.count('"') % 2:
            raise _open_quote(path, _number(row))
    fault = Fault("torn row", TORN_REMEDY, np.array([_number(row) for row in torn], np.int64), [*map(_cells, torn)])
    return Loaded(table, rows, (fault,) if torn else (), counted)


def _cells(row: pa.csv.InvalidRow) -> str:
    lines = row.text.count("\n") + 1
    over = f" over {lines} lines" if lines > 1 else ""
    return f"{row.actual_columns} cells{over}, not {row.expected_columns}: {shorten(row.text)}"


def _check_last_quote(path: Path, table: pa.Table, row: int, form: Form) -> None:
    """Refuse a quote that is never closed: the parser takes all that follows it as one cell, whatever rows are in it.

    `row` is the number of the table's last row, the last of the file. (A torn row that did so shows by its quotes.)
    """
    cell = table.columns[-1][-1].as_buffer()
    broken = cell is not None and b"\n" in cell.to_pybytes()
    if broken and not tail(path, form).rstrip().endswith(b'"'):
        raise _open_quote(path, row)


def _open_quote(path: Path, row: int) -> UserError:
    return UserError(
        f"{path}: row {row} opens a quote that is never closed; close it, or double a quote that belongs to the text"
    )
