"""Category paths → the types on them; types written in several ways → the commonest way each.

"Furniture / Beds" with separator "/", or "['Furniture', 'Beds']" → ends in "Furniture > Beds", named "Beds"
[{"id": "abcat02", "name": "Audio"}, {"id": "abcat0208", "name": "Radios"}] → ends in "abcat0208", parent "abcat02"
type="Home > Lamps" of 7 rows, "HOME > LAMPS" of 2 → both "Home > Lamps"; ids with two names stay two types
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.derive.commands import ReadOptions
from relevance.derive.quarantine import PLACE
from relevance.derive.texts import ABSENT, as_id, folded, listed
from relevance.errors import UserError

SCHEMA = pa.schema([("type", pa.string()), ("name", pa.string()), ("parent", pa.string())])
NOTHING = frozenset(ABSENT.to_pylist())
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
    rows: np.ndarray  # how many paths pass through each of the nodes


def read_paths(column: pa.ChunkedArray, options: ReadOptions, where: str) -> Paths:
    """Paths as texts with options.separator, lists of names or of id and name; UserError, which names `where`."""
    if pa.types.is_null(column.type):
        column = column.cast(pa.string())
    if pa.types.is_string(column.type):
        encoded = column.combine_chunks().dictionary_encode("encode")
        codes = encoded.indices.to_numpy()
        present, first = np.unique(codes, return_index=True)
        values = encoded.dictionary.to_pylist()
        paths = [_of_text(values[code] or "", options.separator) for code in present]
        return _paths(paths, first, np.searchsorted(present, codes), options.longest)
    if not _listed(column.type):
        remedy = f"such as A {options.separator} B, or as a list of names or of objects with id and name"
        raise UserError(f"{where} has type {column.type}; write a path as text, {remedy}")
    rows = np.arange(len(column))
    return _paths(list(map(_of_list, column)), rows, rows, options.longest)


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


def _paths(paths: Sequence[list[Node] | None], first: np.ndarray, codes: np.ndarray, longest: int) -> Paths:
    """`paths` are the different ones, None for what is none, `first` their first rows; `codes` [N] pick one."""
    paths = [None if path and any(len(node.name) > longest for node in path) else path for path in paths]
    ends = pa.array([path[-1].type if path else None for path in paths], pa.string())
    bad = np.array([path is None for path in paths], bool)
    nodes: dict[Node, int] = {}
    rows: Counter[Node] = Counter()
    counts = np.bincount(codes, minlength=len(paths))
    for at in np.argsort(first, kind="stable"):
        for node in paths[at] or ():
            nodes.setdefault(node, int(first[at]))
            rows[node] += int(counts[at])
    passing = np.array([rows[node] for node in nodes], np.int64)
    table = pa.Table.from_pylist([node._asdict() for node in nodes], SCHEMA)
    table = table.append_column("at", pa.array(nodes.values(), pa.int64()))
    return Paths(ends.take(pa.array(codes)), table, bad[codes], passing)


def _of_text(value: str, separator: str) -> list[Node] | None:
    value = value.strip()
    if value.lower() in NOTHING:
        return []
    if value.startswith(("[", "{", "(", "array(")):  # a list in a cell: its signs would become names
        entries = listed(value)
        if entries is not None or value[0] in "[{":
            return _of_entries(entries) if entries is not None else None
    return _named(value.split(separator))


def _named(names: Iterable[str]) -> list[Node]:
    names = [spaced for name in names if (spaced := " ".join(name.split()))]
    names = [as_id(name) for name in names] if len(names) == 1 else names  # an id alone
    ids = [JOINT.join(names[: at + 1]) for at in range(len(names))]
    return [Node(*node) for node in zip(ids, names, [None, *ids], strict=False)]


def _of_list(value: pa.ListScalar) -> list[Node] | None:
    try:
        return _of_entries(value.as_py() or [])
    except UnicodeDecodeError:
        return None


def _of_entries(entries: list) -> list[Node] | None:
    if all(isinstance(entry, str) for entry in entries):
        return _named(entries)
    if not all(isinstance(entry, dict) and entry.get("id") not in (None, "") for entry in entries):
        return None
    ids = [as_id(str(entry["id"])) for entry in entries]
    names = [str(entry.get("name") or at) for entry, at in zip(entries, ids, strict=True)]
    return [Node(*node) for node in zip(ids, names, [None, *ids], strict=False)]


@dataclass(frozen=True)
class Writings:
    """The writing of each type, by the key of its texts, where that stands for one type alone."""

    keys: pa.Array
    texts: pa.Array
    joined: int  # writings that another one stands for

    def applied(self, column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
        """Types [N] in the writing they are known by; others as they are."""
        values = pc.unique(column.drop_null())
        return self.of(_keys(values), values).take(pc.index_in(column, values))

    def of(self, keys: pa.Array, others: pa.Array) -> pa.Array:
        """The texts [N] of these keys [N]; of a key that stands for no type alone, that of `others` [N]."""
        return pc.coalesce(self.texts.take(pc.index_in(keys, self.keys)), others)


def join_writings(nodes: pa.Table, rows: np.ndarray) -> tuple[pa.Table, Writings]:
    """`nodes` (type, name, parent, ...), each of so many `rows` [N], in the commonest writing of their types."""
    nodes = nodes.combine_chunks()
    kind, name, parent = (nodes[column].combine_chunks() for column in SCHEMA.names)
    keys = _keys(kind)
    names = pa.table([keys, _keys(name)], ["key", "name"]).group_by("key").aggregate([("name", "count_distinct")])
    several = names["key"].filter(pc.greater(names["name_count_distinct"], 1))  # ids that fold alike, of several types
    above = parent.drop_null()
    uses = np.concatenate([rows, pc.invert(pc.is_in(_keys(above), keys)).cast(pa.int64())])  # 0: a row writes it itself
    texts = pa.concat_arrays([kind, above])
    types = _commonest(_keys(texts), texts, uses, several)
    called = _commonest(keys, name, rows, several)
    columns = [types.applied(kind), called.of(keys, name), types.applied(parent)]
    return pa.table([*columns, *nodes.columns[len(columns) :]], nodes.column_names), types


NO_WRITINGS = Writings(pa.array([], pa.string()), pa.array([], pa.string()), 0)


def _commonest(keys: pa.Array, texts: pa.Array, rows: np.ndarray, without: pa.ChunkedArray) -> Writings:
    """Of the texts [N] of each key that is not in `without`, the one of most `rows`, of equals the first by code."""
    table = pa.table([keys, texts, rows], ["key", "text", "rows"]).filter(pc.invert(pc.is_in(keys, without)))
    counts = table.group_by(["key", "text"]).aggregate([("rows", "sum")])
    ordered = counts.sort_by([("rows_sum", "descending"), ("text", "ascending")])
    first = ordered.group_by("key", use_threads=False).aggregate([("text", "first")])
    return Writings(first["key"].combine_chunks(), first["text_first"].combine_chunks(), len(counts) - len(first))


def _keys(texts: pa.Array) -> pa.Array:
    """[N], the folded texts without what nobody sees in them."""
    return pc.replace_substring_regex(folded(texts), r"\p{Cf}+", "")
