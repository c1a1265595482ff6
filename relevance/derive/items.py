"""The catalogue → each item once, with its text and the id of its type.

item_id="1229111" title="Targus ..." category="Office / Screens" → item_id, text, type="Office > Screens"
"""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from relevance.data.contract import blank
from relevance.derive.files import read_inputs
from relevance.derive.options import DeriveOptions
from relevance.derive.paths import BAD, SCHEMA, place_paths, read_paths
from relevance.derive.quarantine import PLACE, Quarantine, too_long
from relevance.derive.texts import fill_template, repeats, spaced, template_fields
from relevance.errors import UserError

KIND = "items"
ITEM_NAMES = ("item_id", "title", "product_type", "category")  # and what read.text names
EMPTY = ("text is empty", "give the item a title or remove the row")
REPEATED = ("item_id is given twice, with another text or type", "keep one of the rows")
PATHLESS = (BAD[0], f"{BAD[1]}; set aside, the item stays without a type", "category")
LONG = ("product_type is longer than read.longest", "shorten it; set aside, the item stays without a type", "item_id")


@dataclass(frozen=True)
class Items:
    table: pa.Table  # item_id, text, type (null where unknown), file, row
    nodes: pa.Table  # paths.SCHEMA, file, row: the types that the items' own columns tell of, and where first


def read_items(options: DeriveOptions, quarantine: Quarantine) -> Items:
    """Raises UserError for a file or a column that is not there; rows at fault go to `quarantine`."""
    fields = template_fields(options.read.text)
    wanted = {name: name == "item_id" or name in fields for name in [*ITEM_NAMES[:1], *ITEM_NAMES[2:], *fields]}
    raw = quarantine.take(KIND, read_inputs(options, KIND, wanted))
    kind, nodes = _types(raw, options, quarantine)
    text = fill_template(options.read.text, raw, str(options.items))
    columns = {"item_id": spaced(raw["item_id"]), "text": text, "type": kind}
    table = pa.table(columns | {name: raw[name] for name in PLACE})
    return Items(_sound(table, options.read.longest, quarantine), nodes)


def _types(raw: pa.Table, options: DeriveOptions, quarantine: Quarantine) -> tuple[pa.Array, pa.Table]:
    """The type of each item [N] and the types that its columns tell of."""
    if {"product_type", "category"} <= set(raw.column_names):
        raise UserError(
            f"items={options.items}: has product_type and category; leave one out of read.items.columns, "
            "or name another column of the file by it"
        )
    if "category" in raw.column_names:
        paths = read_paths(raw["category"], options.read, f"items={options.items}: category")
        quarantine.note(KIND, raw, paths.bad, PATHLESS, kept=True)
        return paths.ends, place_paths(paths.nodes, raw)
    if "product_type" not in raw.column_names:
        return pa.nulls(len(raw), pa.string()), place_paths(_alone(pa.array([], pa.string())), raw)
    kind = spaced(raw["product_type"])
    long = pc.fill_null(pc.greater(pc.utf8_length(kind), options.read.longest), False)
    quarantine.note(KIND, raw, long.to_numpy(), LONG, kept=True)
    kind = pc.if_else(pc.or_(blank(kind), long), None, kind).combine_chunks()
    return kind, place_paths(_alone(kind), raw)


def _alone(kind: pa.Array) -> pa.Table:
    """Types that nothing but an item tells of."""
    known = pc.drop_null(pc.unique(kind))
    columns = [known, known, pa.nulls(len(known), pa.string()), pc.index_in(known, kind).cast(pa.int64())]
    return pa.table(columns, [*SCHEMA.names, "at"])


def _sound(table: pa.Table, longest: int, quarantine: Quarantine) -> pa.Table:
    for bad, fault in (
        (lambda t: blank(t["item_id"]), ("item_id is empty", "give the item an id", "text")),
        (lambda t: blank(t["text"]), (*EMPTY, "item_id")),
        (lambda t: pc.greater(pc.utf8_length(t["text"]), longest), too_long(longest, "item_id")),
    ):
        table = quarantine.without(KIND, table, bad(table).to_numpy(), fault)
    first, again, other = repeats(table, "item_id", ("text", "type"))
    quarantine.note(KIND, table, again & other, (*REPEATED, "item_id"))
    quarantine.alike(KIND, int((again & ~other).sum()))
    return table.filter(pa.array(first))
