"""jsonl, one object a line → rows, each numbered by its line; and rows → jsonl, without a Python loop over rows.

{"task": "query_item", "left": "NA", "label": 2} → task="query_item" left="NA" label=2; what is no such line is a fault
left=["usb", null], score=[0.5, NaN] → {"left": "usb", "score": 0.5} and {"left": null, "score": null}: JSON has no word
for NaN and the infinite
"""

import json
from codecs import BOM_UTF8
from collections.abc import Collection, Iterator
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from relevance.data.faults import Fault, shorten
from relevance.data.loaded import BLOCK, Loaded

LINES = "rows are the lines of the file, counted from 1"
ESCAPES = {chr(code): json.dumps(chr(code))[1:-1] for code in range(32)}


def read_jsonl(path: Path, wanted: Collection[str] | None = None) -> Loaded:
    """Arrow's parser where each line is one object of steady types, else line by line.

    A value that is no text is a fault in the columns `wanted`, those that somebody will read; None: in all.
    """
    with path.open("rb") as file:
        return _parsed(file, 1, wanted)


def stream_jsonl(path: Path, rows: int) -> Iterator[Loaded]:
    """The same, `rows` lines of the file at a time: names and types of columns are those of the lines at hand."""
    with path.open("rb") as file:
        number = 1
        while lines := list(islice(file, rows)):
            yield _parsed(BytesIO(b"".join(lines)), number)
            number += len(lines)


def _parsed(file: BinaryIO, number: int, wanted: Collection[str] | None = None) -> Loaded:
    """The lines of `file`, of which the first has this number."""
    first, lines = _first_line_and_count(file)
    try:
        keys = _object(first)
        schema = pa.schema([(key, pa.string()) for key, value in keys.items() if isinstance(value, str)])
        table = pa.json.read_json(
            file, pa.json.ReadOptions(block_size=BLOCK), pa.json.ParseOptions(explicit_schema=schema)
        )
    except ValueError:  # pa.ArrowInvalid is one
        return _by_line(file, number, wanted)
    if any(_guessed(field, keys.get(field.name)) for field in table.schema) or len(table) != lines:
        return _by_line(file, number, wanted)
    names = [*keys, *(name for name in table.column_names if name not in keys)]
    return Loaded(table.select(names), np.arange(number, number + lines), counted=LINES)


def _first_line_and_count(file: BinaryIO) -> tuple[bytes, int]:
    first = file.readline()
    file.seek(0)
    lines, block = 0, b""
    while more := file.read(1 << 20):
        lines, block = lines + more.count(b"\n"), more
    file.seek(0)
    return first, lines + (not block.endswith(b"\n"))


def _guessed(field: pa.Field, first: object) -> bool:
    """Whether the parser may have changed values: a text taken for a date, an integer of 64 bits for a float."""
    return pa.types.is_temporal(field.type) or (pa.types.is_floating(field.type) and not isinstance(first, float))


def _by_line(file: BinaryIO, number: int, wanted: Collection[str] | None) -> Loaded:
    records: list[dict[str, Any]] = []
    rows: list[int] = []
    torn: list[tuple[int, str]] = []
    file.seek(0)
    for row, line in enumerate(file, start=number):
        if not line.strip():
            continue
        try:
            records.append(_object(line.removeprefix(BOM_UTF8) if row == 1 else line))
            rows.append(row)
        except (ValueError, RecursionError) as cause:
            torn.append((row, f"{cause}: {shorten(line)}"))
    table = columns(records)
    numbers = np.array(rows, np.int64)
    names = table.column_names if wanted is None else wanted
    faults = [_fault("torn line", "write one JSON object a line, in UTF-8", torn), *no_texts(records, numbers, names)]
    return Loaded(table, numbers, tuple(fault for fault in faults if len(fault.rows)), LINES)


def columns(records: list[dict[str, Any]]) -> pa.Table:
    """A column for each key, null where a record has none; a key of mixed types is text."""
    names = dict.fromkeys(name for record in records for name in record)
    return pa.table({name: _column([record.get(name) for record in records]) for name in names})


def _column(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):  # texts among numbers, integers beyond 64 bits
        return pa.array([value if value is None or isinstance(value, str) else json.dumps(value) for value in values])


def no_texts(records: list[dict[str, Any]], rows: np.ndarray, names: Collection[str]) -> Iterator[Fault]:
    """Lists, objects, true and false in a column that holds texts elsewhere: they would read as texts themselves."""
    for name in names:
        kinds = {type(record.get(name)) for record in records}
        if str in kinds and kinds & {dict, list, bool}:
            odd = [
                (int(row), shorten(record[name]))
                for row, record in zip(rows, records, strict=True)
                if isinstance(record.get(name), dict | list | bool)
            ]
            yield _fault(f"{name} is no text", "give a text in quotes", odd)


def _fault(problem: str, remedy: str, lines: list[tuple[int, str]]) -> Fault:
    return Fault(problem, remedy, np.array([row for row, _ in lines], np.int64), [value for _, value in lines])


def _object(line: bytes) -> dict[str, Any]:
    """One JSON object; raises ValueError for anything else, a key given twice and text that is not UTF-8."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a key is given twice")
        return dict(pairs)

    record = json.loads(line.decode(), object_pairs_hook=once)
    if not isinstance(record, dict):
        raise ValueError("not an object")
    json.dumps(record, ensure_ascii=False).encode()  # no half surrogates, however deep
    return record


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
    if pa.types.is_string(kind):
        return _quoted(column)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return column.cast(pa.string())
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_finite(column), column, None).cast(pa.string())
    if pa.types.is_nested(kind):  # rare, and Arrow has no way: value by value
        values = [
            None if value is None else json.dumps(value, ensure_ascii=False, default=str)
            for value in column.to_pylist()
        ]
        return pa.chunked_array([values], pa.string())
    return _quoted(column.cast(pa.string()))


def _quoted(text: pa.ChunkedArray) -> pa.ChunkedArray:
    text = pc.replace_substring(pc.replace_substring(text, "\\", "\\\\"), '"', '\\"')
    if pc.any(pc.match_substring_regex(text, r"[\x00-\x1f]")).as_py():
        for character, escape in ESCAPES.items():
            text = pc.replace_substring(text, character, escape)
    return pc.binary_join_element_wise('"', text, '"', "")
