"""Types and their parents → each type once, in a tree.

type="Screens" parent="Office" → type, name="Screens", parent="Office"; a parent without a row of its own is a root
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.data.pairs import as_text, blank, present
from relevance.derive import files, paths
from relevance.derive.normal import spaced
from relevance.derive.options import DeriveOptions
from relevance.derive.quarantine import PLACE, Quarantine
from relevance.derive.tree import in_circle

KIND = "taxonomy"
TWICE = ("type has two parents", "keep one of the rows: a tree has one parent for each type", "type")
CIRCLE = ("type is its own ancestor", "give one type of the circle another parent, or none", "type")
UNKNOWN = ("type is not in the taxonomy", "add it with its parent; set aside, the item stays without a type")


@dataclass(frozen=True)
class Types:
    table: pa.Table  # paths.SCHEMA, sorted by type
    parents: np.ndarray  # [T], place of the parent in the table, -1 for none


def read(options: DeriveOptions, nodes: pa.Table, quarantine: Quarantine) -> Types:
    """The tree of the taxonomy file, or without one that of `nodes`, which the items tell of."""
    if options.taxonomy is None:
        place = {name: np.zeros(len(nodes), np.int64) for name in PLACE}
        table = nodes
        for name, column in place.items():
            table = table.append_column(name, pa.array(column))
    else:
        table = _file(options, quarantine)
    table = _once(table, quarantine)
    table = _whole(table)
    parents = places(table)
    bad = in_circle(parents)
    if bad.any():
        table = _whole(quarantine.without(KIND, table, bad, CIRCLE))
        parents = places(table)
    return Types(table.select(paths.SCHEMA.names), parents)


def _file(options: DeriveOptions, quarantine: Quarantine) -> pa.Table:
    wanted = ("type", "parent", "name", "category")
    raw = quarantine.take(KIND, files.read(options.taxonomy, KIND, options.read.taxonomy, wanted))
    if "category" in raw.column_names:
        where = f"taxonomy={options.taxonomy}: category"
        ends, nodes = paths.read(raw["category"], options.read.separator, where)
        first = pc.index_in(nodes["type"], ends)  # the row that ends in it; -1 for a type that is only passed through
        at = pc.fill_null(first, 0)
        return pa.table([*nodes.columns, *(raw[name].take(at) for name in PLACE)], [*nodes.column_names, *PLACE])
    present(raw.column_names, ["type", "parent"], str(options.taxonomy), "read.taxonomy.columns")
    kind, parent = (spaced(as_text(raw, name, options.taxonomy)) for name in ("type", "parent"))
    name = spaced(as_text(raw, "name", options.taxonomy)) if "name" in raw.column_names else kind
    parent = pc.if_else(blank(parent), None, parent)
    table = pa.table([kind, pc.if_else(blank(name), kind, name), parent], schema=paths.SCHEMA)
    for column in PLACE:
        table = table.append_column(column, raw[column])
    return quarantine.without(
        KIND, table, blank(kind).to_numpy(), ("type is empty", "name the type or remove the row", "parent")
    )


def _once(table: pa.Table, quarantine: Quarantine) -> pa.Table:
    """The first row of each type; a later one of another parent is at fault."""
    codes = [table[name].combine_chunks().dictionary_encode("encode").indices.to_numpy() for name in ("type", "parent")]
    _, first, place = np.unique(codes[0], return_index=True, return_inverse=True)
    lead = first[place] if len(first) else place
    quarantine.note(KIND, table, codes[1] != codes[1][lead], TWICE)
    return table.filter(pa.array(lead == np.arange(len(lead))))


def _whole(table: pa.Table) -> pa.Table:
    """With a row for each parent that has none, sorted by type."""
    known = table["type"].combine_chunks()
    missing = pc.drop_null(pc.unique(table["parent"]))
    missing = missing.filter(pc.invert(pc.is_in(missing, known)))
    zero = pa.array(np.zeros(len(missing), np.int64))
    roots = pa.table([missing, missing, pa.nulls(len(missing), pa.string()), zero, zero], schema=table.schema)
    return pa.concat_tables([table, roots]).sort_by("type")


def places(table: pa.Table) -> np.ndarray:
    """[T], the place of each type's parent, -1 for none."""
    return pc.fill_null(pc.index_in(table["parent"], table["type"].combine_chunks()), -1).to_numpy()


def assigned(items: pa.Table, types: Types, quarantine: Quarantine) -> tuple[pa.Table, int]:
    """`items` with the place `t` of their type, null where they have none; and how many have none.

    A type that the taxonomy does not know is at fault; the item stays, without a type.
    """
    at = pc.index_in(items["type"], types.table["type"].combine_chunks())
    strange = pc.and_(pc.is_valid(items["type"]), pc.is_null(at)).to_numpy()
    if strange.any():
        quarantine.note("items", items, strange, (*UNKNOWN, "type"), kept=True)
    return items.append_column("t", at.cast(pa.int32())), items["type"].null_count
