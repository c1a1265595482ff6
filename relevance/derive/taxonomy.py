"""Types and their parents → each type once, in a tree, and who stands above whom.

type="Screens" parent="Office" → type, name="Screens", parent="Office"; a parent without a row of its own is a root
parents=[-1, 0, 0, 1] → ancestors (node, ancestor, steps): (3, 3, 0), (3, 1, 1), (3, 0, 2), ...
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.data.contract import blank
from relevance.derive.columns import check_columns
from relevance.derive.files import read_inputs
from relevance.derive.items import Items
from relevance.derive.options import DeriveOptions
from relevance.derive.paths import BAD, SCHEMA, place_paths, read_paths
from relevance.derive.quarantine import PLACE, Quarantine, too_long
from relevance.derive.texts import repeats, spaced

KIND = "taxonomy"
TYPE_NAMES = ("type", "parent", "name", "category")
TWICE = ("type has two parents", "keep one of the rows: a tree has one parent for each type", "type")
RENAMED = ("type has two names", "keep one of the rows, or give each type an id of its own", "type")
CIRCLE = ("type is its own ancestor", "give one type of the circle another parent, or none", "type")
NAMELESS = ("type is empty", "name the type or remove the row", "parent")
PATHLESS = ("category is empty", "write the path of the type or remove the row", "category")
UNKNOWN = ("type is not in the taxonomy", "add it with its parent; set aside, the item stays without a type")


@dataclass(frozen=True)
class Types:
    table: pa.Table  # paths.SCHEMA, sorted by type
    parents: np.ndarray  # [T], place of the parent in the table, -1 for none
    added: int  # of them, known as a parent alone


@dataclass(frozen=True)
class _Source:
    """Types as an input tells of them: once or more, with or without a row for each parent."""

    table: pa.Table  # paths.SCHEMA, file, row
    kind: str  # of input
    rows: bool  # whether each type is a row of a file, which is not used where it is at fault


def read_taxonomy(options: DeriveOptions, items: Items, quarantine: Quarantine) -> Types:
    """The tree of the taxonomy file, or without one that of the types which the items tell of."""
    source = _read_file(options, quarantine) if options.taxonomy else _Source(items.nodes, "items", rows=False)
    table, added = _whole(_once(source, quarantine))
    bad = in_circle(_places(table))
    if bad.any():  # paths make none
        table, more = _whole(quarantine.without(KIND, table, bad, CIRCLE))
        added += more
    return Types(table.select(SCHEMA.names), _places(table), added)


def _read_file(options: DeriveOptions, quarantine: Quarantine) -> _Source:
    parts = read_inputs(options, KIND, dict.fromkeys(TYPE_NAMES, False))
    for name, part in parts.items():
        if "category" not in part.loaded.table.column_names:
            needed = {column: options.read.taxonomy.columns.get(column, column) for column in ("type", "parent")}
            check_columns(name, part.names, needed, f"read.{KIND}.columns")
    raw = quarantine.take(KIND, parts)
    if "category" in raw.column_names:
        return _of_paths(raw, options, quarantine)
    return _Source(_of_rows(raw, options.read.longest, quarantine), KIND, rows=True)


def _of_paths(raw: pa.Table, options: DeriveOptions, quarantine: Quarantine) -> _Source:
    paths = read_paths(raw["category"], options.read, f"taxonomy={options.taxonomy}: category")
    quarantine.note(KIND, raw, paths.bad, BAD)
    empty = pc.is_null(paths.ends).to_numpy(zero_copy_only=False) & ~paths.bad
    quarantine.note(KIND, raw, empty, PATHLESS)
    used = len(paths.ends) - paths.ends.null_count
    quarantine.alike(KIND, used - len(pc.unique(paths.ends.drop_null())))
    return _Source(place_paths(paths.nodes, raw), KIND, rows=False)


def _of_rows(raw: pa.Table, longest: int, quarantine: Quarantine) -> pa.Table:
    kind, parent = spaced(raw["type"]), spaced(raw["parent"])
    name = spaced(raw["name"]) if "name" in raw.column_names else kind
    parent = pc.if_else(blank(parent), None, parent)
    table = pa.table([kind, pc.if_else(blank(name), kind, name), parent], schema=SCHEMA)
    for column in PLACE:
        table = table.append_column(column, raw[column])
    table = quarantine.without(KIND, table, blank(table["type"]).to_numpy(), NAMELESS)
    lengths = (pc.fill_null(pc.utf8_length(table[name]), 0).to_numpy() for name in SCHEMA.names)
    return quarantine.without(KIND, table, np.maximum.reduce(list(lengths)) > longest, too_long(longest, "type"))


def _once(source: _Source, quarantine: Quarantine) -> pa.Table:
    """The first row of each type; a later one of another parent or name is at fault."""
    first, again, moved = repeats(source.table, "type", ("parent",))
    _, _, renamed = repeats(source.table, "type", ("name",))
    quarantine.note(source.kind, source.table, moved, TWICE, kept=not source.rows)
    quarantine.note(source.kind, source.table, renamed & ~moved, RENAMED, kept=not source.rows)
    if source.rows:
        quarantine.alike(source.kind, int((again & ~moved & ~renamed).sum()))
    return source.table.filter(pa.array(first))


def _whole(table: pa.Table) -> tuple[pa.Table, int]:
    """With a row for each parent that has none, sorted by type; and how many have none."""
    known = table["type"].combine_chunks()
    missing = pc.drop_null(pc.unique(table["parent"]))
    missing = missing.filter(pc.invert(pc.is_in(missing, known)))
    zero = pa.array(np.zeros(len(missing), np.int64))
    roots = pa.table([missing, missing, pa.nulls(len(missing), pa.string()), zero, zero], schema=table.schema)
    return pa.concat_tables([table, roots]).sort_by("type"), len(missing)


def _places(table: pa.Table) -> np.ndarray:
    """[T], the place of each type's parent, -1 for none."""
    return pc.fill_null(pc.index_in(table["parent"], table["type"].combine_chunks()), -1).to_numpy()


def in_circle(parents: np.ndarray) -> np.ndarray:
    """[T] bool, whether a type is its own ancestor; `parents` [T] are places, -1 for none."""
    jumps = np.append(parents, -1)  # -1 leads to itself
    for _ in range(max(1, len(parents)).bit_length()):
        jumps = jumps[jumps]  # 2, 4, 8 ... steps up
    circle = np.zeros(len(parents) + 1, bool)
    circle[jumps] = True  # after more steps than there are types, all who still go on are spread over the circles
    return circle[:-1]


def ancestors(parents: np.ndarray, steps: int) -> pa.Table:
    """node, ancestor, steps: each type with itself and its ancestors up to `steps` steps above it."""
    node, above, rows = np.arange(len(parents)), np.arange(len(parents)), []
    for step in range(steps + 1):
        rows.append((node, above, np.full(len(node), step)))
        above = parents[above]
        node, above = node[above >= 0], above[above >= 0]
        if not len(node):
            break
    columns = [np.concatenate(column) for column in zip(*rows, strict=True)]
    return pa.table(columns, ["node", "ancestor", "steps"])


def assigned(items: pa.Table, types: Types, quarantine: Quarantine) -> pa.Table:
    """`items` with the place `t` of their type, null where they have none.

    A type that the taxonomy does not know is at fault; the item stays, without a type.
    """
    at = pc.index_in(items["type"], types.table["type"].combine_chunks())
    strange = pc.and_(pc.is_valid(items["type"]), pc.is_null(at)).to_numpy()
    quarantine.note("items", items, strange, (*UNKNOWN, "type"), kept=True)
    return items.append_column("t", at.cast(pa.int32()))
