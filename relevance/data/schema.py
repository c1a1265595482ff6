"""Chunks of one file under one schema: jsonl lines further down may bring other columns and other types.

{left: string, price: int64} and {left: string, note: bool, price: double} → {left: string, price: double, note: bool}
"""

from collections.abc import Sequence

import pyarrow as pa

from relevance.data.jsontext import encoded


def having(table: pa.Table, names: Sequence[str], rows: int) -> pa.Table:
    """`table` of so many rows with a column of nulls for each of `names` it lacks."""
    absent = [name for name in names if name not in table.column_names]
    if not absent:
        return table
    return pa.table({name: table[name] for name in table.column_names} | {name: pa.nulls(rows) for name in absent})


def union(one: pa.Schema, other: pa.Schema) -> pa.Schema:
    """Every column of both, in the order they were met; types that nothing else can join are joined as text."""
    if one.equals(other):
        return one
    names = [*one.names, *(name for name in other.names if name not in one.names)]
    return pa.schema([_field(name, one, other) for name in names])


def fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """`table` under a schema that is the union of its own and others."""
    if table.schema.equals(schema):
        return table
    whole = having(table, schema.names, len(table))
    return pa.table({field.name: _column(whole[field.name], field.type) for field in schema}, schema)


def _field(name: str, one: pa.Schema, other: pa.Schema) -> pa.Field:
    found = [pa.schema([schema.field(name)]) for schema in (one, other) if name in schema.names]
    try:
        return pa.field(name, pa.unify_schemas(found, promote_options="permissive").field(name).type)
    except pa.ArrowTypeError:
        return pa.field(name, pa.string())


def _column(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_string(kind) and not pa.types.is_string(column.type):
        return encoded(column)
    return column.cast(kind)
