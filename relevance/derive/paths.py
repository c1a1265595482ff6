"""Category paths → the types they pass through and the one they end in.

"Furniture / Beds" with separator "/" → ends in "Furniture > Beds", named "Beds", whose parent is "Furniture"
[{"id": "abcat02", "name": "Audio"}, {"id": "abcat0208", "name": "Radios"}] → ends in "abcat0208", parent "abcat02"
"""

from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa

from relevance.errors import UserError

SCHEMA = pa.schema([("type", pa.string()), ("name", pa.string()), ("parent", pa.string())])
JOINT = " > "  # of the names that make the id of a type without one


class Node(NamedTuple):
    type: str
    name: str
    parent: str | None


def read(column: pa.ChunkedArray, separator: str, where: str) -> tuple[pa.Array, pa.Table]:
    """The type [N] in which each path ends, null where it is empty, and all types (SCHEMA), each once.

    A path is a text with `separator`, a list of names, or a list of objects with id and name. Raises UserError, which
    calls the column `where`, for anything else.
    """
    different = column.combine_chunks().dictionary_encode() if pa.types.is_string(column.type) else column
    listed = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    if pa.types.is_string(column.type):
        paths = [_of_text(value, separator) for value in different.dictionary.to_pylist()]
    elif listed:
        paths = [_of_list(value or [], where) for value in column.to_pylist()]
    elif pa.types.is_null(column.type):
        paths = [[]] * len(column)
    else:
        raise UserError(f"{where} has type {column.type}; write a path as text, such as A {separator} B, or as a list")
    ends = pa.array([path[-1].type if path else None for path in paths], pa.string())
    return (ends.take(different.indices) if pa.types.is_string(column.type) else ends), _table(paths)


def _of_text(value: str, separator: str) -> list[Node]:
    return _named([part.strip() for part in value.split(separator) if part.strip()])


def _named(names: list[str]) -> list[Node]:
    ids = [JOINT.join(names[: at + 1]) for at in range(len(names))]
    return [Node(*one) for one in zip(ids, names, [None, *ids], strict=False)]


def _of_list(entries: list, where: str) -> list[Node]:
    if all(isinstance(entry, str) for entry in entries):
        return _named([entry.strip() for entry in entries if entry.strip()])
    if not all(isinstance(entry, dict) and entry.get("id") for entry in entries):
        raise UserError(f"{where}: {str(entries)[:100]} is no path; its entries are names, or objects with id and name")
    ids = [str(entry["id"]) for entry in entries]
    names = [str(entry.get("name") or entry["id"]) for entry in entries]
    return [Node(*one) for one in zip(ids, names, [None, *ids], strict=False)]


def _table(paths: Iterable[list[Node]]) -> pa.Table:
    nodes = dict.fromkeys(node for path in paths for node in path)
    return pa.Table.from_pylist([node._asdict() for node in nodes], SCHEMA)
