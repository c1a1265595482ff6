"""Tables of one schema → a file, chunk by chunk, whole or not at all; no Python loop over rows.

left=["usb", null], score=[0.5, NaN] → {"left": "usb", "score": 0.5} and {"left": null, "score": null}
"""

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from io import BufferedWriter, FileIO
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from relevance.atomic_io import atomic_file, with_filename
from relevance.errors import UserError

ESCAPES = {chr(code): json.dumps(chr(code))[1:-1] for code in range(32)}


class Writer(Protocol):
    def write_table(self, table: pa.Table) -> None: ...
    def close(self) -> None: ...


@contextmanager
def streamed(path: Path, schema: pa.Schema) -> Iterator[Writer]:
    """A writer beside `path`, whose file takes its place at the end; UserError for what no such file can hold."""
    writable(path)
    raw = [field for field in schema if "binary" in str(field.type)]
    if raw and path.suffix.lower() != ".parquet":
        raise UserError(f"{path}: column {raw[0].name} has type {raw[0].type}, which is no text; write .parquet")
    with (
        atomic_file(path) as part,
        BufferedWriter(_NamedFile(str(part), "w")) as file,
        closing(WRITERS[path.suffix.lower()](file, schema)) as writer,
    ):
        yield writer


def writable(path: Path) -> None:
    """Raise UserError where no table can be written to `path`."""
    if path.suffix.lower() not in WRITERS:
        raise UserError(f"{path}: unknown kind of file {path.suffix!r}; allowed: {', '.join(WRITERS)}")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name the file to write")


class _NamedFile(FileIO):
    """A file whose errors say which file it is."""

    def write(self, data: Any) -> int:
        with with_filename(Path(self.name)):
            return super().write(data)


class _Delimited:
    """csv and tsv; lists and structs as JSON."""

    def __init__(self, file: BinaryIO, schema: pa.Schema, delimiter: str):
        options = pa.csv.WriteOptions(delimiter=delimiter)
        self.writer = pa.csv.CSVWriter(file, _flat(schema.empty_table()).schema, write_options=options)
        self.close = self.writer.close

    def write_table(self, table: pa.Table) -> None:
        self.writer.write_table(_flat(table))


def _flat(table: pa.Table) -> pa.Table:
    columns = {name: table[name] for name in table.column_names}
    return pa.table({name: json_values(c) if pa.types.is_nested(c.type) else c for name, c in columns.items()})


class _Jsonl:
    def __init__(self, file: BinaryIO, schema: pa.Schema):
        self.file = file

    def write_table(self, table: pa.Table) -> None:
        self.file.write("".join(json_lines(table).to_pylist()).encode())

    def close(self) -> None:
        """The file is closed by whoever opened it."""


def json_lines(table: pa.Table) -> pa.Array:
    """[N], an object for each row, with its line break."""
    parts: list[pa.Array | str] = []
    for name in table.column_names:
        parts.append(f"{', ' if parts else '{'}{json.dumps(name, ensure_ascii=False)}: ")
        parts.append(pc.fill_null(json_values(table[name]), "null").combine_chunks())
    return pc.binary_join_element_wise(*parts, "}\n", "")


def json_values(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """[N], the JSON of each value; null stays null. Dates, times and decimals are texts, as JSON knows neither."""
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return column.cast(pa.string())
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_finite(column), column, None).cast(pa.string())
    if pa.types.is_nested(kind):  # rare, and Arrow has no way: value by value
        texts = [json.dumps(value, ensure_ascii=False, default=str) for value in column.to_pylist()]
        return pc.if_else(column.is_null(), None, pa.chunked_array([texts], pa.string()))
    return _quoted(column.cast(pa.string()))


def _quoted(text: pa.ChunkedArray) -> pa.ChunkedArray:
    text = pc.replace_substring(pc.replace_substring(text, "\\", "\\\\"), '"', '\\"')
    if pc.any(pc.match_substring_regex(text, r"[\x00-\x1f]")).as_py():
        for character, escape in ESCAPES.items():
            text = pc.replace_substring(text, character, escape)
    return pc.binary_join_element_wise('"', text, '"', "")


WRITERS: dict[str, Callable[[BinaryIO, pa.Schema], Writer]] = {
    ".parquet": pq.ParquetWriter,
    ".csv": lambda file, schema: _Delimited(file, schema, ","),
    ".tsv": lambda file, schema: _Delimited(file, schema, "\t"),
    ".jsonl": _Jsonl,
}
