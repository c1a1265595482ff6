"""Chunks of one file under one schema: jsonl lines further down may bring other columns and other types.

{left: string, price: int64} and {left: string, note: bool, price: double} → {left: string, price: double, note: bool}

Tables of one schema → a file, chunk by chunk, whole or not at all.

with streamed(Path("scored.csv"), schema) as writer: writer.write_table(chunk)  →  scored.csv, at the end
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from relevance.atomic_io import atomic_file, with_filename
from relevance.data.jsonl import json_lines, json_values
from relevance.errors import UserError


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
        return json_values(column)
    return column.cast(kind)


class Writer(Protocol):
    """What takes the chunks; every table has the schema it was opened with."""

    def write_table(self, table: pa.Table) -> None: ...
    def close(self) -> None: ...


@contextmanager
def streamed(path: Path, schema: pa.Schema) -> Iterator[Writer]:
    """Writes beside `path` and takes its place at the end; after an error what stood at `path` is as it was.

    Raises UserError for a kind of file, or a type of column, that cannot be written.
    """
    writable(path)
    _holds(path, schema)
    with atomic_file(path) as part:
        file = part.open("wb")
        with closing(_Named(file, part)), closing(_Named(WRITERS[path.suffix.lower()](file, schema), part)) as writer:
            yield writer


def writable(path: Path) -> None:
    """Raise UserError where no table can be written to `path`."""
    if path.suffix.lower() not in WRITERS:
        raise UserError(f"{path}: unknown kind of file {path.suffix!r}; allowed: {', '.join(WRITERS)}")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name the file to write")


def _holds(path: Path, schema: pa.Schema) -> None:
    raw = [field for field in schema if "binary" in str(field.type)]
    if raw and path.suffix.lower() != ".parquet":
        raise UserError(f"{path}: column {raw[0].name} has type {raw[0].type}, which is no text; write .parquet")


class _Named:
    """A writer or a file whose errors say which one it was."""

    def __init__(self, inner: Writer | BinaryIO, part: Path):
        self.inner, self.part = inner, part

    def write_table(self, table: pa.Table) -> None:
        with with_filename(self.part):
            self.inner.write_table(table)

    def close(self) -> None:
        with with_filename(self.part):
            self.inner.close()


class _Delimited:
    """csv and tsv; lists and structs as JSON."""

    def __init__(self, file: BinaryIO, schema: pa.Schema, delimiter: str):
        options = pa.csv.WriteOptions(delimiter=delimiter)
        self.writer = pa.csv.CSVWriter(file, _flat(schema.empty_table()).schema, write_options=options)

    def write_table(self, table: pa.Table) -> None:
        self.writer.write_table(_flat(table))

    def close(self) -> None:
        self.writer.close()


class _Jsonl:
    """One object a line."""

    def __init__(self, file: BinaryIO, schema: pa.Schema):
        self.file = file

    def write_table(self, table: pa.Table) -> None:
        self.file.write("".join(json_lines(table).to_pylist()).encode())

    def close(self) -> None:
        """The file is closed by whoever opened it."""


def _flat(table: pa.Table) -> pa.Table:
    columns = zip(table.column_names, table.columns, strict=True)
    return pa.table({name: json_values(one) if pa.types.is_nested(one.type) else one for name, one in columns})


WRITERS: dict[str, Callable[[BinaryIO, pa.Schema], Writer]] = {
    ".parquet": pq.ParquetWriter,
    ".csv": lambda file, schema: _Delimited(file, schema, ","),
    ".tsv": lambda file, schema: _Delimited(file, schema, "\t"),
    ".jsonl": _Jsonl,
}
