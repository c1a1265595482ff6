"""The start of a delimited file → its delimiter and the names of its columns, for all readers alike.

"query;item_id;label" / "red lamp, large;1;2" → ";", since a header of three cells is wider than one of none
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import StringIO
from itertools import islice
from pathlib import Path

from relevance.data.faults import unique
from relevance.data.text_files import BLANKS, HEAD, Form, encoding_remedy, kind_of, text_bytes
from relevance.errors import UserError

SIGNS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
ALONE = "\x1f"  # of a file of one column: no text is likely to hold it
DEFAULT = {".csv": ",", ".tsv": "\t"}
SAMPLE = 50  # rows that are looked at


@dataclass(frozen=True)
class Layout:
    """How a delimited file is laid out."""

    form: Form  # with its delimiter
    cells: list[str]  # of its first row, as they stand there, or of the header that was given
    names: list[str]  # the same without blanks around them


def layout(path: Path, form: Form) -> Layout:
    """Raises UserError for a file without a header, one that is no UTF-8, and a delimiter that cannot be told."""
    with text_bytes(path, replace(form, delimiter=None)) as file:
        text = (file.read(HEAD) + file.readline()).decode(errors="surrogateescape")
    form = replace(form, delimiter=form.delimiter or _delimiter(path, text, form))
    first = next(_rows(text, form.delimiter or "", form), [])
    if form.header:
        _check_no_header(path, first, form)
        return Layout(form, list(form.header), list(form.header))
    try:
        "".join(first).encode()
    except UnicodeEncodeError:
        raise UserError(f"{path}: the header is not UTF-8; {encoding_remedy(path, form)}") from None
    names = [name.strip() for name in first]
    if not any(names):
        raise UserError(f"{path}: the file has no header; its first line names the columns, or give {_header(form)}")
    try:
        unique(path, names)
    except UserError as error:
        raise UserError(f"{error}; where the first line is a row, give {_header(form)}") from error
    return Layout(form, first, names)


def _header(form: Form) -> str:
    return f"{form.setting}header=[…], a name for each column"


def _check_no_header(path: Path, first: list[str], form: Form) -> None:
    same = sum(a.strip() == b for a, b in zip(first, form.header, strict=False))
    if same > len(form.header) / 2:
        raise UserError(
            f"{path}: its first line is a header, {', '.join(first)}; leave {form.setting}header out, rename columns "
            f"with {form.setting}columns"
        )


def _delimiter(path: Path, text: str, form: Form) -> str:
    """The sign that sets the cells of most columns apart; raises UserError where two do so alike."""
    if len(form.header) == 1:
        return ALONE
    if form.header:
        return _of_width(path, text, form)
    widths = {sign: list(map(len, islice(_rows(text, sign, form), SAMPLE))) for sign in SIGNS}
    wide = {sign: counts for sign, counts in widths.items() if counts and counts[0] > 1}
    if len(wide) > 1:  # names may hold a sign, but then rows hardly hold it as often
        wide = {sign: counts for sign, counts in wide.items() if len(set(counts)) == 1} or wide
    most = max((counts[0] for counts in wide.values()), default=0)
    best = [sign for sign, counts in wide.items() if counts[0] == most]
    return _only(path, best, form) if best else DEFAULT.get(kind_of(path), ",")


def _of_width(path: Path, text: str, form: Form) -> str:
    """The sign under which the first rows have as many cells as the header that is given."""
    width, counts = len(form.header), {}
    for sign in (*SIGNS, BLANKS):
        rows = [len(row) for row in islice(_rows(text, sign, form), SAMPLE)]
        counts[sign] = sum(cells == width for cells in rows)
    most = max(counts.values())
    best = [sign for sign, count in counts.items() if count == most]
    if BLANKS in best and len(best) > 1:  # a tab, too, is a blank
        best.remove(BLANKS)
    if not most:
        first = next(_rows(text, ",", form), [])
        raise UserError(
            f"{path}: {form.setting}header names {width} columns, but no delimiter gives its first rows so many cells "
            f"({','.join(first)[:80]!r}); name every column, and {_remedy(form)}"
        )
    return _only(path, best, form)


def _only(path: Path, signs: list[str], form: Form) -> str:
    if len(signs) > 1:
        names = " or ".join(SIGNS.get(sign, "blanks") for sign in signs)
        raise UserError(f"{path}: {names} may set its cells apart; {_remedy(form)}")
    return signs[0]


def _remedy(form: Form) -> str:
    return f"give {form.setting}delimiter=';' (a tab is '{form.setting}delimiter=\"\\t\"')"


def _rows(text: str, sign: str, form: Form) -> Iterator[list[str]]:
    """Rows that are not blank; a cell longer than csv takes ends them."""
    if sign == BLANKS:
        yield from filter(None, map(str.split, text.splitlines()))
        return
    try:
        yield from filter(
            None,
            csv.reader(
                StringIO(text, newline=""), delimiter=sign, quoting=csv.QUOTE_MINIMAL if form.quotes else csv.QUOTE_NONE
            ),
        )
    except csv.Error:
        return
