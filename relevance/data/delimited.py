"""A file of delimited text → its rows as text, each numbered; rows with too many or too few cells come back as faults.

"query_item,usb c cable,2" under "task,left,right,label" → torn row: 3 cells, not 4
"""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from relevance.data.faults import Fault, Loaded, joined, unique
from relevance.data.text_files import BLANKS, HEAD, Form, encoding_remedy, kind_of, tail, text_bytes
from relevance.errors import UserError, shorten

BLOCK = 1 << 25  # bytes the parser holds at once: the longest possible row
PLAIN = Form()
COUNTED = "rows are counted from 1, blank lines left out"
COUNTED_BEHIND = "rows are counted from 1 after the header, blank lines left out"
TORN_REMEDY = "give every row as many cells as the header; quote a cell that holds the delimiter"
SIGNS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
ALONE = "\x1f"  # of a file of one column: no text is likely to hold it
DEFAULT = {".csv": ",", ".tsv": "\t"}
SAMPLE = 50  # rows that are looked at


@dataclass(frozen=True)
class Layout:
    form: Form  # with its delimiter
    cells: list[str]  # of its first row, as they stand there, or of the header that was given
    names: list[str]  # the same without blanks around them


def read_delimited(path: Path, form: Form = PLAIN) -> Loaded:
    """Every cell as text. Raises UserError for a header that is absent or no UTF-8, and for an open quote."""
    return joined(list(stream_delimited(path, form)))


def stream_delimited(path: Path, form: Form = PLAIN) -> Iterator[Loaded]:
    """The same, a block of the file at a time; the last one holds what is torn at the end, and may hold no rows."""
    laid = layout(path, form)
    form = laid.form
    counted = COUNTED if form.header else COUNTED_BEHIND
    torn: list[pa.csv.InvalidRow] = []  # the parser runs ahead: those up to the block at hand, and some of the next

    def set_aside(row: pa.csv.InvalidRow) -> str:
        torn.append(row)
        return "skip"

    with text_bytes(path, form) as file, pa.csv.open_csv(file, **_parsing(laid, set_aside)) as blocks:
        table, last = blocks.schema.empty_table().rename_columns(laid.names), 0
        for block in blocks:
            table = pa.Table.from_batches([block]).rename_columns(laid.names)
            rows = _numbers(len(block), last, torn)
            last = rows[-1]
            past = [row for row in torn if _number(row) < last]
            del torn[: len(past)]
            yield _loaded(path, table, rows, past, counted)
    if form.quotes and len(table) and not torn:
        _check_last_quote(path, table, last, form)
    yield _loaded(path, table[:0], np.empty(0, np.int64), torn, counted)


def _parsing(laid: Layout, set_aside: Callable[[pa.csv.InvalidRow], str]) -> dict:
    return {
        "read_options": pa.csv.ReadOptions(use_threads=False, block_size=BLOCK),  # or torn rows have no numbers
        "parse_options": pa.csv.ParseOptions(
            delimiter=laid.form.delimiter,
            quote_char='"' if laid.form.quotes else False,
            newlines_in_values=laid.form.quotes,
            invalid_row_handler=set_aside,
        ),
        "convert_options": pa.csv.ConvertOptions(check_utf8=False, column_types=dict.fromkeys(laid.cells, pa.string())),
    }


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
    fault = Fault.of("torn row", TORN_REMEDY, {_number(row): _cells(row) for row in torn})
    return Loaded(table, rows, (fault,) if torn else (), counted)


def _cells(row: pa.csv.InvalidRow) -> str:
    lines = row.text.count("\n") + 1
    over = f" over {lines} lines" if lines > 1 else ""
    return f"{row.actual_columns} cells{over}, not {row.expected_columns}: {shorten(row.text)}"


def _check_last_quote(path: Path, table: pa.Table, row: int, form: Form) -> None:
    """Reject a quote that is never closed in `row`, the file's last: the parser takes all that follows as one cell."""
    cell = table.columns[-1][-1].as_buffer()
    broken = cell is not None and b"\n" in cell.to_pybytes()
    if broken and not tail(path, form).rstrip().endswith(b'"'):
        raise _open_quote(path, row)


def _open_quote(path: Path, row: int) -> UserError:
    return UserError(f"{path}: row {row} opens a quote that is never closed; close it, or double one of the text")


def layout(path: Path, form: Form) -> Layout:
    """Raises UserError for a file without a header, one that is no UTF-8, and a delimiter that cannot be told."""
    with text_bytes(path, replace(form, delimiter=None)) as file:
        text = (file.read(HEAD) + file.readline()).decode(errors="surrogateescape")
    form = replace(form, delimiter=form.delimiter or _delimiter(path, text, form))
    first = next(_rows(text, form.delimiter or "", form), [])
    if form.header:
        _check_header(path, text, first, form)
        return Layout(form, list(form.header), list(form.header))
    try:
        "".join(first).encode()
    except UnicodeEncodeError:
        raise UserError(f"{path}: the header is not UTF-8; {encoding_remedy(path, form)}") from None
    names = [name.strip() for name in first]
    header = f"{form.setting}header=[…], a name for each column"
    if not any(names):
        raise UserError(f"{path}: the file has no header; its first line names the columns, or give {header}")
    try:
        unique(path, names)
    except UserError as error:
        raise UserError(f"{error}; where the first line is a row, give {header}") from error
    return Layout(form, first, names)


def _check_header(path: Path, text: str, first: list[str], form: Form) -> None:
    """UserError where the file has a header of its own, or where no row has as many cells as the one that is given."""
    width = len(form.header)
    if sum(a.strip() == b for a, b in zip(first, form.header, strict=False)) > width / 2:
        remedy = f"leave {form.setting}header out, rename columns with {form.setting}columns"
        raise UserError(f"{path}: its first line is a header, {', '.join(first)}; {remedy}")
    if not any(len(row) == width for row in islice(_rows(text, form.delimiter or "", form), SAMPLE)):
        raise UserError(f"{path}: {_no_delimiter(width, text, form)}")


def _no_delimiter(width: int, text: str, form: Form) -> str:
    shown = next(iter(text.strip().splitlines()), "")[:80]
    why = f"no delimiter gives its first rows so many cells ({shown!r})"
    return f"{form.setting}header names {width} columns, but {why}; name every column, and {_remedy(form)}"


def _delimiter(path: Path, text: str, form: Form) -> str:
    """The sign that sets the cells of most columns apart; raises UserError where two do so alike."""
    if len(form.header) == 1:
        return ALONE
    widths = {sign: list(map(len, islice(_rows(text, sign, form), SAMPLE))) for sign in SIGNS}
    if form.header:
        return _of_width(path, text, widths, form)
    wide = {sign: counts for sign, counts in widths.items() if counts and counts[0] > 1}
    if len(wide) > 1:  # names may hold a sign, but then rows hardly hold it as often
        wide = {sign: counts for sign, counts in wide.items() if len(set(counts)) == 1} or wide
    most = max((counts[0] for counts in wide.values()), default=0)
    best = [sign for sign, counts in wide.items() if counts[0] == most]
    return _only(path, best, form) if best else DEFAULT.get(kind_of(path), ",")


def _of_width(path: Path, text: str, widths: dict[str, list[int]], form: Form) -> str:
    """The sign under which the first rows are as wide as the given header; blanks, where no other sign divides."""
    width = len(form.header)
    fitting = {sign: counts.count(width) for sign, counts in widths.items() if width in counts}
    other = any(len(set(counts)) == 1 and counts[0] > 1 for counts in widths.values())
    if not fitting and not other and any(len(row) == width for row in islice(_rows(text, BLANKS, form), SAMPLE)):
        return BLANKS
    if not fitting:
        raise UserError(f"{path}: {_no_delimiter(width, text, form)}")
    return _only(path, [sign for sign, count in fitting.items() if count == max(fitting.values())], form)


def _only(path: Path, signs: list[str], form: Form) -> str:
    if len(signs) > 1:
        raise UserError(
            f"{path}: {' or '.join(map(SIGNS.__getitem__, signs))} may set its cells apart; {_remedy(form)}"
        )
    return signs[0]


def _remedy(form: Form) -> str:
    return f"give {form.setting}delimiter=';' (a tab is '{form.setting}delimiter=\"\\t\"')"


def _rows(text: str, sign: str, form: Form) -> Iterator[list[str]]:
    """Rows that are not blank; a cell longer than csv takes ends them."""
    quoting: Any = csv.QUOTE_MINIMAL if form.quotes else csv.QUOTE_NONE
    try:
        yield from filter(
            None,
            map(str.split, text.splitlines())
            if sign == BLANKS
            else csv.reader(StringIO(text, newline=""), delimiter=sign, quoting=quoting),
        )
    except csv.Error:
        return
