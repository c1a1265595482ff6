"""The catalogue and the tree of types → each item once, with its text and its type; each type once, with its parent.

item_id="1229111" title="Targus ..." category="Office / Screens" → item_id, text, type="Office > Screens"
"Furniture / Beds" with separator "/" → ends in "Furniture > Beds", named "Beds", whose parent is "Furniture"
[{"id": "abcat02", "name": "Audio"}, {"id": "abcat0208", "name": "Radios"}] → ends in "abcat0208", parent "abcat02"
type="Screens" parent="Office" → type, name="Screens", parent="Office"; a parent without a row of its own is a root
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.data.contract import blank
from relevance.derive.commands import DeriveOptions, ReadOptions
from relevance.derive.files import read_inputs
from relevance.derive.quarantine import PLACE, Quarantine, too_long
from relevance.derive.readers import check_columns
from relevance.derive.texts import fill_template, repeats, spaced, template_fields
from relevance.errors import UserError

SCHEMA = pa.schema([("type", pa.string()), ("name", pa.string()), ("parent", pa.string())])
JOINT = " > "  # of the names that make the id of a type without one
BAD = (
    "category is no path",
    "write names with read.separator between them, a list of names, or of objects with id and name",
    "category",
)


class Node(NamedTuple):
    type: str
    name: str
    parent: str | None


class Paths(NamedTuple):
    ends: pa.Array  # [N], the type in which each path ends, null where it is empty or no path
    nodes: pa.Table  # SCHEMA and `at`, the first row whose path passes through it; the same type once for each parent
    bad: np.ndarray  # [N], whether what stands there is no path


def read_paths(column: pa.ChunkedArray, options: ReadOptions, where: str) -> Paths:
    """A path is a text with options.separator, a list of names, or a list of objects with id and name.

    No name is longer than options.longest. Raises UserError, which calls the column `where`, for a column of anything
    else.
    """
    if pa.types.is_null(column.type):
        column = column.cast(pa.string())
    if pa.types.is_string(column.type):
        encoded = column.combine_chunks().dictionary_encode("encode")
        codes = encoded.indices.to_numpy()
        present, first = np.unique(codes, return_index=True)
        values = encoded.dictionary.to_pylist()
        paths = [_short(_of_text(values[code] or "", options.separator), options.longest) for code in present]
        return _paths(paths, first, np.searchsorted(present, codes))
    if not _listed(column.type):
        raise UserError(
            f"{where} has type {column.type}; write a path as text, such as A {options.separator} B, or as a list "
            "of names or of objects with id and name"
        )
    paths = [_short(_of_list(value), options.longest) for value in column]
    return _paths(paths, np.arange(len(paths)), np.arange(len(paths)))


def place_paths(nodes: pa.Table, raw: pa.Table) -> pa.Table:
    """`nodes` with the file and the row that stand at `at` in `raw`."""
    place = raw.select(PLACE).take(nodes["at"])
    return pa.table([*nodes.select(SCHEMA.names).columns, *place.columns], [*SCHEMA.names, *PLACE])


def _listed(kind: pa.DataType) -> bool:
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return False
    inner = kind.value_type
    named = pa.types.is_struct(inner) and inner.get_field_index("id") >= 0
    return named or pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_null(inner)


def _paths(paths: Sequence[list[Node] | None], first: np.ndarray, codes: np.ndarray) -> Paths:
    """`paths` are the different ones, None for what is none, `first` their first rows; `codes` [N] pick one."""
    ends = pa.array([path[-1].type if path else None for path in paths], pa.string())
    bad = np.array([path is None for path in paths], bool)
    nodes: dict[Node, int] = {}
    for at in np.argsort(first, kind="stable"):
        for node in paths[at] or ():
            nodes.setdefault(node, int(first[at]))
    return Paths(ends.take(pa.array(codes)), _table(nodes), bad[codes])


def _table(nodes: dict[Node, int]) -> pa.Table:
    table = pa.Table.from_pylist([node._asdict() for node in nodes], SCHEMA)
    return table.append_column("at", pa.array(nodes.values(), pa.int64()))


def _short(path: list[Node] | None, longest: int) -> list[Node] | None:
    return path if path is not None and all(len(node.name) <= longest for node in path) else None


def _of_text(value: str, separator: str) -> list[Node] | None:
    if value.lstrip().startswith(("[", "{")):  # JSON in a cell: its signs would become names
        return None
    return _named(value.split(separator))


def _named(names: Iterable[str]) -> list[Node]:
    names = [spaced for name in names if (spaced := " ".join(name.split()))]
    ids = [JOINT.join(names[: at + 1]) for at in range(len(names))]
    return [Node(*node) for node in zip(ids, names, [None, *ids], strict=False)]


def _of_list(value: pa.ListScalar) -> list[Node] | None:
    try:
        entries = value.as_py() or []
    except UnicodeDecodeError:
        return None
    if all(isinstance(entry, str) for entry in entries):
        return _named(entries)
    if not all(isinstance(entry, dict) and entry["id"] not in (None, "") for entry in entries):
        return None
    ids = [str(entry["id"]) for entry in entries]
    names = [str(entry.get("name") or entry["id"]) for entry in entries]
    return [Node(*node) for node in zip(ids, names, [None, *ids], strict=False)]


ITEMS = "items"
ITEM_NAMES = ("item_id", "title", "product_type", "category")  # and what read.text names
EMPTY = ("text is empty", "give the item a title or remove the row")
REPEATED = ("item_id is given twice, with another text or type", "keep one of the rows")
NO_PATH = (BAD[0], f"{BAD[1]}; set aside, the item stays without a type", "category")
LONG = ("product_type is longer than read.longest", "shorten it; set aside, the item stays without a type", "item_id")


@dataclass(frozen=True)
class Items:
    table: pa.Table  # item_id, text, type (null where unknown), file, row
    nodes: pa.Table  # SCHEMA, file, row: the types that the items' own columns name, and where first


def read_items(options: DeriveOptions, quarantine: Quarantine) -> Items:
    """Without a file of them none; raises UserError for a file or a column that is not there."""
    if options.items is None:
        return Items(_empty("item_id", "text", "type"), _empty(*SCHEMA.names))
    fields = template_fields(options.read.text)
    wanted = {name: name == "item_id" or name in fields for name in [*ITEM_NAMES[:1], *ITEM_NAMES[2:], *fields]}
    raw = quarantine.take(ITEMS, read_inputs(options, ITEMS, wanted))
    kind, nodes = _types(raw, options, quarantine)
    text = fill_template(options.read.text, raw, str(options.items))
    columns = {"item_id": spaced(raw["item_id"]), "text": text, "type": kind}
    table = pa.table(columns | {name: raw[name] for name in PLACE})
    return Items(_sound(table, options.read.longest, quarantine), nodes)


def _empty(*names: str) -> pa.Table:
    return pa.table(dict.fromkeys(names, pa.array([], pa.string())) | dict.fromkeys(PLACE, pa.array([], pa.int64())))


def _types(raw: pa.Table, options: DeriveOptions, quarantine: Quarantine) -> tuple[pa.Array, pa.Table]:
    """The type of each item [N] and the types that its columns name."""
    if {"product_type", "category"} <= set(raw.column_names):
        raise UserError(
            f"items={options.items}: has product_type and category; leave one out of read.items.columns, "
            "or name another column of the file by it"
        )
    if "category" in raw.column_names:
        paths = read_paths(raw["category"], options.read, f"items={options.items}: category")
        quarantine.note(ITEMS, raw, paths.bad, NO_PATH, in_use=True)
        return paths.ends, place_paths(paths.nodes, raw)
    if "product_type" not in raw.column_names:
        return pa.nulls(len(raw), pa.string()), place_paths(_alone(pa.array([], pa.string())), raw)
    kind = spaced(raw["product_type"])
    long = pc.fill_null(pc.greater(pc.utf8_length(kind), options.read.longest), False)
    quarantine.note(ITEMS, raw, long.to_numpy(), LONG, in_use=True)
    kind = pc.if_else(pc.or_(blank(kind), long), None, kind).combine_chunks()
    return kind, place_paths(_alone(kind), raw)


def _alone(kind: pa.Array) -> pa.Table:
    """Types that only items name."""
    known = pc.drop_null(pc.unique(kind))
    columns = [known, known, pa.nulls(len(known), pa.string()), pc.index_in(known, kind).cast(pa.int64())]
    return pa.table(columns, [*SCHEMA.names, "at"])


def _sound(table: pa.Table, longest: int, quarantine: Quarantine) -> pa.Table:
    for bad, fault in (
        (lambda t: blank(t["item_id"]), ("item_id is empty", "give the item an id", "text")),
        (lambda t: blank(t["text"]), (*EMPTY, "item_id")),
        (lambda t: pc.greater(pc.utf8_length(t["text"]), longest), too_long(longest, "item_id")),
    ):
        table = quarantine.without(ITEMS, table, bad(table).to_numpy(), fault)
    first, again, other = repeats(table, "item_id", ("text", "type"))
    quarantine.note(ITEMS, table, again & other, (*REPEATED, "item_id"))
    quarantine.alike(ITEMS, int((again & ~other).sum()))
    return table.filter(pa.array(first))


TAXONOMY = "taxonomy"
TYPE_NAMES = ("type", "parent", "name", "category")
TWICE = ("type has two parents", "keep one of the rows: a tree has one parent for each type", "type")
RENAMED = ("type has two names", "keep one of the rows, or give each type an id of its own", "type")
CIRCLE = ("type is its own ancestor", "give one type of the circle another parent, or none", "type")
NAMELESS = ("type is empty", "name the type or remove the row", "parent")
PATHLESS = ("category is empty", "write the path of the type or remove the row", "category")
UNKNOWN = ("type is not in the taxonomy", "add it with its parent; set aside, the item stays without a type")


@dataclass(frozen=True)
class Types:
    table: pa.Table  # SCHEMA, sorted by type
    parents: np.ndarray  # [T], place of the parent in the table, -1 for none
    added: int  # of them, known as a parent alone


def read_taxonomy(options: DeriveOptions, items: Items, quarantine: Quarantine) -> Types:
    """The tree of the taxonomy file, or without one that of the types which the items name."""
    if options.taxonomy:
        once = _first_rows(TAXONOMY, *_read_file(options, quarantine), quarantine)
    else:
        once = _first_rows(ITEMS, items.nodes, False, quarantine)
    table, added = _whole(once)
    bad = in_circle(_places(table))
    if bad.any():  # paths make none
        table, more = _whole(quarantine.without(TAXONOMY, table, bad, CIRCLE))
        added += more
    return Types(table.select(SCHEMA.names), _places(table), added)


def _read_file(options: DeriveOptions, quarantine: Quarantine) -> tuple[pa.Table, bool]:
    """The types (SCHEMA, file, row), and whether each is a row of the file; paths name a type once for each parent."""
    parts = read_inputs(options, TAXONOMY, dict.fromkeys(TYPE_NAMES, False))
    for name, part in parts.items():
        if "category" not in part.loaded.table.column_names:
            needed = {column: options.read.taxonomy.columns.get(column, column) for column in ("type", "parent")}
            check_columns(name, part.names, needed, f"read.{TAXONOMY}.columns")
    raw = quarantine.take(TAXONOMY, parts)
    if "category" in raw.column_names:
        return _of_paths(raw, options, quarantine), False
    return _of_rows(raw, options.read.longest, quarantine), True


def _of_paths(raw: pa.Table, options: DeriveOptions, quarantine: Quarantine) -> pa.Table:
    paths = read_paths(raw["category"], options.read, f"taxonomy={options.taxonomy}: category")
    quarantine.note(TAXONOMY, raw, paths.bad, BAD)
    empty = pc.is_null(paths.ends).to_numpy(zero_copy_only=False) & ~paths.bad
    quarantine.note(TAXONOMY, raw, empty, PATHLESS)
    used = len(paths.ends) - paths.ends.null_count
    quarantine.alike(TAXONOMY, used - len(pc.unique(paths.ends.drop_null())))
    return place_paths(paths.nodes, raw)


def _of_rows(raw: pa.Table, longest: int, quarantine: Quarantine) -> pa.Table:
    kind, parent = spaced(raw["type"]), spaced(raw["parent"])
    name = spaced(raw["name"]) if "name" in raw.column_names else kind
    parent = pc.if_else(blank(parent), None, parent)
    table = pa.table([kind, pc.if_else(blank(name), kind, name), parent], schema=SCHEMA)
    for column in PLACE:
        table = table.append_column(column, raw[column])
    table = quarantine.without(TAXONOMY, table, blank(table["type"]).to_numpy(), NAMELESS)
    lengths = (pc.fill_null(pc.utf8_length(table[name]), 0).to_numpy() for name in SCHEMA.names)
    return quarantine.without(TAXONOMY, table, np.maximum.reduce(list(lengths)) > longest, too_long(longest, "type"))


def _first_rows(kind: str, table: pa.Table, rows: bool, quarantine: Quarantine) -> pa.Table:
    """The first row of each type; a later one of another parent or name is at fault, and where types are `rows` of a
    file it is not used."""
    first, again, moved = repeats(table, "type", ("parent",))
    _, _, renamed = repeats(table, "type", ("name",))
    quarantine.note(kind, table, moved, TWICE, in_use=not rows)
    quarantine.note(kind, table, renamed & ~moved, RENAMED, in_use=not rows)
    if rows:
        quarantine.alike(kind, int((again & ~moved & ~renamed).sum()))
    return table.filter(pa.array(first))


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
    quarantine.note("items", items, strange, (*UNKNOWN, "type"), in_use=True)
    return items.append_column("t", at.cast(pa.int32()))
