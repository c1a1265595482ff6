"""The catalogue → each item once, with its text and the id of its type.

item_id="1229111" title="Targus ..." category="Office / Screens" → item_id, text, type="Office > Screens"
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.data.pairs import as_text, blank, present
from relevance.derive import files, paths, template
from relevance.derive.normal import spaced
from relevance.derive.options import DeriveOptions
from relevance.derive.quarantine import PLACE, Quarantine
from relevance.errors import UserError

KIND = "items"
EMPTY = ("text is empty", "give the item a title or remove the row")
REPEATED = ("item_id is given twice, with another text or type", "keep one of the rows")


@dataclass(frozen=True)
class Items:
    table: pa.Table  # item_id, text, type (null where unknown), file, row
    nodes: pa.Table  # paths.SCHEMA: the types that the items' own columns tell of
    alike: int  # rows left out because an earlier one says the same


def read(options: DeriveOptions, quarantine: Quarantine) -> Items:
    """Raises UserError for a file or a column that is not there; rows at fault go to `quarantine`."""
    own = options.read.items
    wanted = dict.fromkeys(["item_id", "product_type", "category", *template.fields(options.read.text)])
    raw = quarantine.take(KIND, files.read(options.items, KIND, own, wanted))
    present(raw.column_names, ["item_id"], str(options.items), "read.items.columns")
    kind, nodes = _types(raw, options)
    text = template.filled(options.read.text, raw, str(options.items))
    columns = {"item_id": spaced(as_text(raw, "item_id", options.items)), "text": text, "type": kind}
    table = pa.table(columns | {name: raw[name] for name in PLACE})
    return _sound(table, nodes, options.read.longest, quarantine)


def _types(raw: pa.Table, options: DeriveOptions) -> tuple[pa.Array | pa.ChunkedArray, pa.Table]:
    """The type of each item [N] and the types told of."""
    if {"product_type", "category"} <= set(raw.column_names):
        raise UserError(
            f"items={options.items}: has product_type and category; leave one out of read.items.columns, "
            "or name another column of the file by it"
        )
    if "category" in raw.column_names:
        return paths.read(raw["category"], options.read.separator, f"items={options.items}: category")
    if "product_type" not in raw.column_names:
        return pa.nulls(len(raw), pa.string()), paths.SCHEMA.empty_table()
    kind = spaced(as_text(raw, "product_type", options.items))
    kind = pc.if_else(blank(kind), None, kind)
    known = pc.drop_null(pc.unique(kind))
    return kind, pa.table([known, known, pa.nulls(len(known), pa.string())], schema=paths.SCHEMA)


def _sound(table: pa.Table, nodes: pa.Table, longest: int, quarantine: Quarantine) -> Items:
    for bad, told in (
        (lambda t: blank(t["item_id"]), ("item_id is empty", "give the item an id", "text")),
        (lambda t: blank(t["text"]), (*EMPTY, "item_id")),
        (lambda t: pc.greater(pc.utf8_length(t["text"]), longest), too_long(longest, "item_id")),
    ):
        table = quarantine.without(KIND, table, bad(table).to_numpy(), told)
    first, again, other = _repeats(table)
    quarantine.note(KIND, table, again & other, (*REPEATED, "item_id"))
    return Items(table.filter(pa.array(first)), nodes, int((again & ~other).sum()))


def too_long(longest: int, shown: str) -> tuple[str, str, str]:
    """What is wrong with a text of more than `longest` characters."""
    return f"text is longer than {longest:,} characters", "shorten it, or raise read.longest", shown


def _repeats(table: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[N] whether a row is the first of its id, [N] whether it is not, [N] whether it differs from the first."""
    codes = [
        table[name].combine_chunks().dictionary_encode("encode").indices.to_numpy()
        for name in ("item_id", "text", "type")
    ]
    _, first, place = np.unique(codes[0], return_index=True, return_inverse=True)
    lead = first[place]
    other = (codes[1] != codes[1][lead]) | (codes[2] != codes[2][lead])
    again = lead != np.arange(len(lead))
    return ~again, again, other
