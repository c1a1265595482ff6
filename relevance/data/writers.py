"""Tables of one schema → a file, chunk by chunk, whole or not at all.

with streamed(Path("scored.csv"), schema) as writer: writer.write_table(chunk)  →  scored.csv, at the end
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from relevance.atomic_io import atomic_file, with_filename
from relevance.data.jsonl import json_lines, json_values
from relevance.errors import UserError


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
    _check_types(path, schema)
    with (
        atomic_file(path) as part,
        part.open("wb") as file,
        closing(_Named(WRITERS[path.suffix.lower()](file, schema), file, part)) as writer,
    ):
        yield writer


def writable(path: Path) -> None:
    """Raise UserError where no table can be written to `path`."""
    if path.suffix.lower() not in WRITERS:
        raise UserError(f"{path}: unknown kind of file {path.suffix!r}; allowed: {', '.join(WRITERS)}")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name the file to write")


def _check_types(path: Path, schema: pa.Schema) -> None:
    raw = [field for field in schema if "binary" in str(field.type)]
    if raw and path.suffix.lower() != ".parquet":
        raise UserError(f"{path}: column {raw[0].name} has type {raw[0].type}, which is no text; write .parquet")


class _Named:
    """A writer whose errors say which file it writes."""

    def __init__(self, writer: Writer, file: BinaryIO, part: Path):
        self.writer, self.file, self.part = writer, file, part

    def write_table(self, table: pa.Table) -> None:
        with with_filename(self.part):
            self.writer.write_table(table)

    def close(self) -> None:
        with with_filename(self.part), self.file:  # on leaving, the file writes what its buffer holds
            self.writer.close()


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
    return pa.table(
        {name: json_values(column) if pa.types.is_nested(column.type) else column for name, column in columns}
    )


WRITERS: dict[str, Callable[[BinaryIO, pa.Schema], Writer]] = {
    ".parquet": pq.ParquetWriter,
    ".csv": lambda file, schema: _Delimited(file, schema, ","),
    ".tsv": lambda file, schema: _Delimited(file, schema, "\t"),
    ".jsonl": _Jsonl,
}
