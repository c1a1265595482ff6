"""The catalogue and the tree of types → each item once, with its text and its type; each type once, with its parent.

item_id="1229111" title="Targus ..." category="Office / Screens" → item_id, text, type="Office > Screens"
type="Screens" parent="Office" → type, name="Screens", parent="Office"; a parent without a row of its own is a root
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.cli import echo
from relevance.data.contract import blank
from relevance.derive.commands import DeriveOptions
from relevance.derive.files import check_columns, read_inputs
from relevance.derive.paths import BAD, JOINT, NO_WRITINGS, SCHEMA, Writings, join_writings, place_paths, read_paths
from relevance.derive.quarantine import PLACE, Quarantine, too_long
from relevance.derive.texts import (
    ABSENT,
    LISTED,
    absent,
    as_ids,
    fill_template,
    folded,
    near_id,
    spaced,
    template_fields,
)
from relevance.errors import UserError

ITEMS = "items"
ITEM_NAMES = ("item_id", "title", "product_type", "category")  # and what read.text names
EMPTY = ("text is empty", "give the item a title or remove the row", "item_id")
REPEATED = ("item_id is given twice, with another text or type", "keep one of the rows", "item_id")
NO_PATH = (BAD[0], f"{BAD[1]}; set aside, the item stays without a type", "category")
LISTS = (
    "product_type is a list written as text",
    "read it as a path, read.items.columns={category: product_type, product_type: null}; set aside, the item stays "
    "without a type",
    "product_type",
)
LONG = ("product_type is longer than read.longest", "shorten it; set aside, the item stays without a type", "item_id")


@dataclass(frozen=True)
class Items:
    table: pa.Table  # item_id, text, type (null where unknown), file, row
    nodes: pa.Table  # SCHEMA, file, row: the types that the items' own columns name, and where first
    joined: int = 0  # writings of types that another one stands for


def read_items(options: DeriveOptions, quarantine: Quarantine) -> Items:
    if options.items is None:
        return Items(_empty("item_id", "text", "type"), _empty(*SCHEMA.names))
    fields = template_fields(options.read.text)
    wanted = {name: name == "item_id" or name in fields for name in [*ITEM_NAMES[:1], *ITEM_NAMES[2:], *fields]}
    raw = quarantine.take(ITEMS, read_inputs(options, ITEMS, wanted))
    kind, nodes, rows = _types(raw, options, quarantine)
    nodes, writings = join_writings(nodes, rows)
    text = fill_template(options.read.text, raw, str(options.items))
    columns = {"item_id": as_ids(raw["item_id"]), "text": text, "type": writings.applied(kind)}
    table = pa.table(columns | {name: raw[name] for name in PLACE})
    return Items(_sound(table, options.read.longest, quarantine), nodes, writings.joined)


def _empty(*names: str) -> pa.Table:
    return pa.table(dict.fromkeys(names, pa.array([], pa.string())) | dict.fromkeys(PLACE, pa.array([], pa.int64())))


def _types(raw: pa.Table, options: DeriveOptions, quarantine: Quarantine) -> tuple[pa.Array, pa.Table, np.ndarray]:
    """The type of each item [N], the types that its columns name, and how many items each."""
    column = _type_column(raw, options)
    if column == "category":
        paths = read_paths(raw["category"], options.read, f"items={options.items}: category")
        quarantine.note(ITEMS, raw, paths.bad, NO_PATH, in_use=True)
        return paths.ends, place_paths(paths.nodes, raw), paths.rows
    kind = as_ids(raw["product_type"]) if column else pa.chunked_array([pa.nulls(len(raw), pa.string())])
    lists = pc.fill_null(pc.match_substring_regex(kind, LISTED), False)
    quarantine.note(ITEMS, raw, lists, LISTS, in_use=True)
    long = _longer(kind, options.read.longest)
    quarantine.note(ITEMS, raw, long, LONG, in_use=True)
    kind = pc.if_else(pc.or_(absent(kind), pc.or_(long, lists)), None, kind).combine_chunks()
    counts = pc.value_counts(pc.drop_null(kind)).field("counts").to_numpy()
    return kind, place_paths(_alone(kind), raw), counts


def _longer(texts: pa.ChunkedArray, longest: int) -> pa.ChunkedArray:
    return pc.fill_null(pc.greater(pc.utf8_length(texts), longest), False)


def _type_column(raw: pa.Table, options: DeriveOptions) -> str | None:
    """Which column says the type of an item: the one that the user names, or the one that is there."""
    present = [name for name in ("product_type", "category") if name in raw.column_names]
    named = [name for name in present if options.read.items.columns.get(name)]
    if len(present) > 1 and len(named) != 1:
        read, unname = "'read.items.columns={product_type: product_type}'", "'read.items.columns={category: null}'"
        remedy = f"leave one out: name the one to read, {read}, or unname the other, {unname}"
        raise UserError(f"items={options.items}: has product_type and category; {remedy}")
    return next(iter(named or present), None)


def _alone(kind: pa.Array) -> pa.Table:
    """Types that only items name."""
    known = pc.drop_null(pc.unique(kind))
    columns = [known, known, pa.nulls(len(known), pa.string()), pc.index_in(known, kind).cast(pa.int64())]
    return pa.table(columns, [*SCHEMA.names, "at"])


def _sound(table: pa.Table, longest: int, quarantine: Quarantine) -> pa.Table:
    table = quarantine.without(
        ITEMS,
        table,
        (lambda t: absent(t["item_id"]), ("item_id is empty", "give the item an id", "text")),
        (lambda t: blank(t["text"]), EMPTY),
        (lambda t: _longer(t["text"], longest), too_long(longest, "item_id")),
    )
    return quarantine.first_rows(ITEMS, table, "item_id", (("text", "type"), REPEATED))


TAXONOMY = "taxonomy"
TYPE_NAMES = ("type", "parent", "name", "category")
UNNAMED = "'read.taxonomy.columns={category: null}'"
TWICE = ("type has two parents", "keep one of the rows: a tree has one parent for each type", "type")
RENAMED = ("type has two names", "keep one of the rows, or give each type an id of its own", "type")
CIRCLE = ("type is its own ancestor", "give one type of the circle another parent, or none", "type")
NAMELESS = ("type is empty", "name the type or remove the row", "parent")
PATHLESS = ("category is empty", "write the path of the type or remove the row", "category")
ORPHAN = ("parent is no type of the tree", "add a row for it, mend it, or leave it empty for a root", "parent")
LISTED_TYPE = ("type is a list written as text", "write the name or the id of one type", "type")
ROOTS = pa.array([*ABSENT.to_pylist(), "0", "-1", "na", "root", "<root>", "(root)"])  # where no row has this type
UNKNOWN = ("type is not in the taxonomy", "add it with its parent; set aside, the item stays without a type")


@dataclass(frozen=True)
class Types:
    table: pa.Table  # SCHEMA, sorted by type
    parents: np.ndarray  # [T], place of the parent in the table, -1 for none
    added: int  # of them, known as a parent alone
    writings: Writings


def read_taxonomy(options: DeriveOptions, items: Items, quarantine: Quarantine) -> Types:
    """The tree of the taxonomy file, or without one that of the types which the items name."""
    kind, table, rows, writings = ITEMS, items.nodes, False, NO_WRITINGS
    if options.taxonomy:
        kind, (table, rows, writings) = TAXONOMY, _read_file(options, quarantine)
    differences = (("parent",), TWICE), (("name",), RENAMED)
    table, added = _whole(quarantine.first_rows(kind, table, "type", *differences, in_use=not rows))
    bad = in_circle(_places(table))
    if bad.any():  # paths make none
        table, more = _whole(quarantine.without(TAXONOMY, table, (lambda t: bad, CIRCLE)))
        added += more
    return Types(table.select(SCHEMA.names), _places(table), added, writings)


def _read_file(options: DeriveOptions, quarantine: Quarantine) -> tuple[pa.Table, bool, Writings]:
    """The types (SCHEMA, file, row), and whether each is a row of the file; paths name a type once for each parent."""
    parts = read_inputs(options, TAXONOMY, dict.fromkeys(TYPE_NAMES, False))
    for name, part in parts.items():
        if "category" not in part.loaded.table.column_names and len(part.names):
            needed = {column: options.read.taxonomy.columns.get(column) or column for column in ("type", "parent")}
            check_columns(name, part.names, needed, f"read.{TAXONOMY}.columns")
    raw = _in_one_form(quarantine.take(TAXONOMY, parts), options)
    if "category" in raw.column_names:
        return _of_paths(raw, options, quarantine)
    return _of_rows(raw, options.read.longest, quarantine)


def _in_one_form(raw: pa.Table, options: DeriveOptions) -> pa.Table:
    """`raw` with type and parent, or with category alone: what the user names, else what is there."""
    columns, where = options.read.taxonomy.columns, f"taxonomy={options.taxonomy}"
    present = [name for name in TYPE_NAMES if name in raw.column_names]
    named = [name for name in present if columns.get(name)]
    if "category" not in present:
        return raw
    if "type" in present and ("type" in named) != ("category" in named):
        return raw.drop_columns(["category"] if "type" in named else [name for name in present if name != "category"])
    if "type" in present:
        raise UserError(f"{where}: has type and category; name the one to read, or unname the other, {UNNAMED}")
    if "parent" in present and not _has_paths(raw["category"], options.read.separator):
        return raw.rename_columns([{"category": "type"}.get(name, name) for name in raw.column_names])
    beside = [name for name in present if name != "category"]
    if wanted := [name for name in beside if name in named or (name == "parent" and "category" not in named)]:
        raise UserError(f"{where}: has {wanted[0]} beside category, whose paths say it; unname one, {UNNAMED}")
    if beside:
        echo(f"{where}: {' and '.join(beside)} not read: the paths of category say it")
    return raw.drop_columns(beside)


def _has_paths(column: pa.ChunkedArray, separator: str) -> bool:
    if not pa.types.is_string(column.type):
        return not pa.types.is_null(column.type)
    return bool(pc.any(pc.or_(pc.match_substring(column, separator), pc.match_substring_regex(column, LISTED))).as_py())


def _of_paths(raw: pa.Table, options: DeriveOptions, quarantine: Quarantine) -> tuple[pa.Table, bool, Writings]:
    paths = read_paths(raw["category"], options.read, f"taxonomy={options.taxonomy}: category")
    quarantine.note(TAXONOMY, raw, paths.bad, BAD)
    empty = pc.is_null(paths.ends).to_numpy(zero_copy_only=False) & ~paths.bad
    quarantine.note(TAXONOMY, raw, empty, PATHLESS)
    nodes, writings = join_writings(place_paths(paths.nodes, raw), paths.rows)
    ends = writings.applied(paths.ends).drop_null()
    quarantine.alike(TAXONOMY, len(ends) - len(pc.unique(ends)))
    return nodes, False, writings


def _of_rows(raw: pa.Table, longest: int, quarantine: Quarantine) -> tuple[pa.Table, bool, Writings]:
    kind, parent = as_ids(raw["type"]), as_ids(raw["parent"])
    name = spaced(raw["name"]) if "name" in raw.column_names else kind
    named = "name" in raw.column_names and not pc.all(absent(name)).as_py()
    rootless = pc.and_(pc.is_in(pc.utf8_lower(parent), ROOTS), pc.invert(pc.is_in(parent, kind.combine_chunks())))
    parent = pc.if_else(pc.or_(blank(parent), rootless), None, parent)
    columns = [kind, pc.if_else(absent(name), kind, name), parent, *(raw[place] for place in PLACE)]
    table = quarantine.without(
        TAXONOMY,
        pa.table(columns, [*SCHEMA.names, *PLACE]),
        (lambda t: absent(t["type"]), NAMELESS),
        (lambda t: pc.match_substring_regex(t["type"], LISTED), LISTED_TYPE),
        (lambda t: np.any([_longer(t[name], longest) for name in SCHEMA.names], axis=0), too_long(longest, "type")),
    )
    table, writings = join_writings(table, np.ones(len(table), np.int64))
    if named:  # a parent that is no row is at fault, and its type a root
        there = pc.is_in(table["parent"], table["type"].combine_chunks())
        quarantine.note(TAXONOMY, table, pc.and_(pc.is_valid(table["parent"]), pc.invert(there)), ORPHAN, True)
        table = table.set_column(2, "parent", pc.if_else(there, table["parent"], None))
    return table, True, writings


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


def assigned(items: pa.Table, types: Types, quarantine: Quarantine) -> tuple[pa.Table, int]:
    """`items` with the place `t` of their type, null for none; how many other writings of types they use."""
    known = types.table["type"].combine_chunks()
    at, joined = pc.index_in(items["type"], known), 0
    if at.null_count > items["type"].null_count:
        again = pc.index_in(types.writings.applied(items["type"]), known)
        joined = len(pc.unique(items["type"].filter(pc.and_(pc.is_null(at), pc.is_valid(again)))))
        paths = pc.index_in(folded(items["type"]), _name_paths(types))
        at = pc.coalesce(at, again, paths)
    strange = pc.and_(pc.is_valid(items["type"]), pc.is_null(at)).to_numpy()
    if strange.any():
        hint = near_id(items["type"].filter(pa.array(strange)), types.table["type"], "the taxonomy")
        quarantine.note("items", items, strange, (UNKNOWN[0], hint + UNKNOWN[1], "type"), in_use=True)
    return items.append_column("t", at.cast(pa.int32())), joined


def _name_paths(types: Types) -> pa.Array:
    """[T], the folded names from the root down to each type, as a category path has them; null where two share one."""
    names, parents = types.table["name"].to_pylist(), types.parents.tolist()
    paths: list[str] = []
    for at, name in enumerate(names):
        path = name
        while (at := parents[at]) >= 0:
            path = f"{names[at]}{JOINT}{path}"
        paths.append(path)
    texts = folded(pa.array(paths, pa.string())).to_pylist()
    counts = Counter(texts)
    return pa.array([text if counts[text] == 1 else None for text in texts], pa.string())
