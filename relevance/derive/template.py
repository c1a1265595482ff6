"""An item's columns → its text.

"{title}, {brand} ({colour})" of title="USB-C cable", brand=null, colour="black" → "USB-C cable (black)": what stands
before an empty field goes with it, and so does a bracket around it
"""

from collections.abc import Iterator
from string import Formatter

import pyarrow as pa
import pyarrow.compute as pc

from relevance.data.pairs import as_text, blank
from relevance.derive.normal import spaced
from relevance.errors import UserError

BRACKETS = {"(": ")", "[": "]"}


def fields(template: str) -> list[str]:
    """The columns that a template names; raises UserError for one that names none or cannot be read."""
    try:
        parts = [part for part in Formatter().parse(template) if part[1] is not None]
    except ValueError as cause:
        raise UserError(f"read.text={template}: {cause}; write columns in braces, {{title}}") from cause
    if not parts or not all(name for _, name, _, _ in parts):
        raise UserError(f"read.text={template}: names no column; write columns in braces, {{title}}")
    if formed := [name for _, name, form, turned in parts if form or turned]:
        raise UserError(f"read.text={template}: {{{formed[0]}}} has a format; write the column's name alone in braces")
    return list(dict.fromkeys(name for _, name, _, _ in parts))


def filled(template: str, table: pa.Table, name: str) -> pa.ChunkedArray:
    """The texts [N] of a table that has every column the template names.

    Raises UserError, which calls the table `name`, for a column that is neither text nor number.
    """
    text = pa.chunked_array([pa.repeat("", len(table))])
    for number, (before, field, after) in enumerate(_pieces(template)):
        lead: pa.ChunkedArray | str = before
        if number:  # what stands between two fields stands there alone where nothing comes before it
            lead = pc.if_else(blank(text), before[len(before.rstrip("([")) :], before)
        if field is None:
            piece = pc.if_else(blank(text), "", lead)
        else:
            value = as_text(table, field, name)
            piece = pc.if_else(blank(value), "", _joined(lead, value, after))
        text = _joined(text, piece)
    return spaced(text)


def _pieces(template: str) -> Iterator[tuple[str, str | None, str]]:
    """Each field with the words before it and the bracket after it that closes one before it; words at the end."""
    words, names = [""], []
    for literal, name, _, _ in Formatter().parse(template):
        words[-1] += literal  # a doubled brace is a literal of its own
        if name is not None:
            names.append(name)
            words.append("")
    for at, name in enumerate(names):
        bracket = BRACKETS.get(words[at][-1:])
        after = bracket if bracket and words[at + 1].startswith(bracket) else ""
        words[at + 1] = words[at + 1].removeprefix(after)
        yield words[at], name, after
    yield words[-1], None, ""


def _joined(*texts: pa.ChunkedArray | str) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(*texts, "")
