"""An item's columns → its text.

"{title}, {brand} ({colour})" of title="USB-C cable", brand=null, colour="black" → "USB-C cable (black)": what stands
before an empty field goes with it
"""

from functools import reduce
from string import Formatter

import pyarrow as pa
import pyarrow.compute as pc

from relevance.data.pairs import as_text, blank, present
from relevance.derive.normal import spaced
from relevance.errors import UserError


def fields(template: str) -> list[str]:
    """The columns that a template names; raises UserError for one that names none or cannot be read."""
    try:
        names = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    except ValueError as cause:
        raise UserError(f"read.text={template}: {cause}; write columns in braces, {{title}}") from cause
    if not names or not all(names):
        raise UserError(f"read.text={template}: names no column; write columns in braces, {{title}}")
    return names


def filled(template: str, table: pa.Table, name: str) -> pa.ChunkedArray:
    """The texts [N]; raises UserError, which calls the table `name`, for a column that is not there."""
    present(table.column_names, fields(template), name, "read.items.columns")
    pieces = []
    for before, field, _, _ in Formatter().parse(template):
        if field is None:
            pieces.append(before)
        else:
            value = as_text(table, field, name)
            written = pc.binary_join_element_wise(before, value, "")
            pieces.append(pc.if_else(blank(value), "", written))
    empty = pa.chunked_array([pa.repeat("", len(table))])
    return spaced(reduce(lambda left, right: pc.binary_join_element_wise(left, right, ""), pieces, empty))
