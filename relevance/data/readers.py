"""A file of pairs → an Arrow table under our column names, whole or in parts, with the number of each row in the file.

pairs.csv "query,item,label / NA,,2" with columns={left: query, right: item} → left="NA" right="" label="2":
in csv and tsv every cell is text, an empty cell is empty text and no word means "missing".
"""

import csv
import json
from codecs import BOM_UTF8
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq

from relevance.cli import echo
from relevance.data.contract import with_signs
from relevance.data.delimited import PLAIN, read_delimited, stream_delimited
from relevance.data.faults import Fault, Loaded, signs_note, unique
from relevance.data.text_files import PACKED, Form, encoding_remedy, kind_of, legacy_remedy, text_bytes
from relevance.errors import UserError, did_you_mean, shorten

BUFFER = 1 << 18  # bytes of a parquet column read at once
BLOCK = 1 << 25  # bytes the jsonl parser holds at once: the longest possible line
DEEP = 500  # brackets of a line from which on it is looked at by itself
STREAMED = Form(setting="")
LINES = "rows are the lines of the file, counted from 1"


def read_table(path: Path, columns: dict[str, str], form: Form = PLAIN) -> Loaded:
    """The file at `path`, `columns` (ours: theirs) renamed, texts as valid UTF-8; rows that cannot be read are faults.

    Raises UserError for a file that cannot be read or holds no rows, and for a column that is missing or given twice.
    """
    _check_readable(path, "data.path", form)
    with parse_errors(path):
        loaded = READERS[kind_of(path)](path, form)
    loaded.check(str(path), set_aside=True)
    if not len(loaded.table):
        raise UserError(f"{path}: the file holds no rows")
    loaded = _renamed(path, loaded, columns, form)
    if loaded.signs:
        echo(signs_note(str(path), loaded.signs))
    return loaded


def stream_table(path: Path, columns: dict[str, str], rows: int, form: Form = STREAMED) -> Iterator[Loaded]:
    """The same in parts of rows, faults, or both; memory does not grow with the file.

    A jsonl part has the columns and types of its own lines; only the first needs each column that is renamed.
    """
    _check_readable(path, "input", form)
    columns_seen = False
    with parse_errors(path):
        for part in STREAMS[kind_of(path)](path, rows, form):
            for piece in _pieces(part, rows):
                names = piece.table.column_names
                wanted = {ours: theirs for ours, theirs in columns.items() if theirs in names or not columns_seen}
                columns_seen = columns_seen or bool(names)
                yield _renamed(path, piece, wanted if columns_seen else {}, form)


def _pieces(part: Loaded, rows: int) -> Iterator[Loaded]:
    """A part cut to at most `rows` rows; its faults go with the first piece."""
    faults = part.faults
    for start in range(0, max(len(part.rows), len(faults)), rows):
        yield replace(part, table=part.table[start : start + rows], rows=part.rows[start : start + rows], faults=faults)
        faults = ()


def _check_readable(path: Path, setting: str, form: Form) -> None:
    allowed = f"{', '.join(READERS)}, all but parquet packed as {', '.join(PACKED)}, too"
    if kind_of(path) not in READERS:
        raise UserError(f"{path}: unknown kind of file {path.suffix!r}; allowed: {allowed}")
    if not path.is_file():
        raise UserError(f"{path}: no such file; give {setting}=FILE ({allowed})")
    if not path.stat().st_size:
        raise UserError(f"{path}: the file is empty; it needs rows with task, left, right and label")
    check_form(path, form)


def check_form(path: Path, form: Form) -> None:
    """UserError where settings of text are given for a file that has no use of them."""
    if form.header and kind_of(path) in (".parquet", ".jsonl", ".json"):
        raise UserError(f"{path}: {form.setting}header is of files without column names; this has them: leave it out")


@contextmanager
def parse_errors(path: Path) -> Iterator[None]:
    """Turns the error of a parser that cannot read a file into a UserError."""
    try:
        yield
    except (pa.ArrowException, csv.Error, OSError, EOFError) as cause:
        raise UserError(f"{path}: cannot be read as {path.suffix}: {cause}; write the file anew") from cause


def _renamed(path: Path, loaded: Loaded, columns: dict[str, str], form: Form) -> Loaded:
    """`loaded` under our names and decoded; raises UserError where `columns` does not fit it."""
    present, setting = loaded.table.column_names, f"{form.setting}columns"
    for ours, theirs in columns.items():
        if theirs not in present:
            shown = f"{did_you_mean(theirs, present)}present: {', '.join(present)}"
            raise UserError(f"{setting}.{ours}={theirs}: {path} has no such column; {shown}")
    ours_of = {theirs: ours for ours, theirs in columns.items()}
    if len(ours_of) < len(columns):
        raise UserError(f"{setting}={columns}: one column of the file is given twice; name each once")
    names = [ours_of.get(name, name) for name in present]
    unique(path, names)
    return decode_table(replace(loaded, table=loaded.table.rename_columns(names)), path, form, ("left", "right"))


def decode_table(loaded: Loaded, path: Path, form: Form, texts: Collection[str]) -> Loaded:
    """Text columns as plain strings; rows that are not UTF-8 become faults. `texts` may hold signs of cp1252."""
    table = plain_strings(loaded.table)
    loaded = replace(loaded, table=table).without(list(undecodable(table, loaded.rows, path, form)))
    table = loaded.table
    for at, name in enumerate(table.column_names):
        if name in texts and pa.types.is_string(table[name].type):
            column, count = with_signs(table[name])
            if count:
                loaded = replace(loaded, table=loaded.table.set_column(at, name, column), signs=loaded.signs + count)
    return loaded


def plain_strings(table: pa.Table) -> pa.Table:
    fields = []
    for field in table.schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        text = pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
        fields.append(pa.field(field.name, pa.string() if text else kind))
    return table.cast(pa.schema(fields))


def undecodable(table: pa.Table, rows: np.ndarray, path: Path, form: Form = PLAIN) -> Iterator[Fault]:
    """The cells that are no UTF-8, a fault for each column."""
    wrong = {}
    for name in table.column_names:
        if not pa.types.is_string(table.schema.field(name).type):
            continue
        try:
            table[name].validate(full=True)
        except pa.ArrowInvalid:  # rare: only now is it worth to look at each value
            cells = [cell or b"" for cell in table[name].cast(pa.binary()).to_pylist()]
            at = [row for row, cell in enumerate(cells) if cell.decode(errors="ignore").encode() != cell]
            wrong[name] = at, [cells[row] for row in at]
    if not wrong:
        return
    if kind_of(path) == ".parquet":
        remedy = legacy_remedy((cell for _, cells in wrong.values() for cell in cells), None)
    else:
        remedy = _remedy(path, form)
    for name, (at, cells) in wrong.items():
        yield Fault(f"{name} is not UTF-8", remedy, rows[at], [*map(shorten, cells)])


_remedy = cache(encoding_remedy)  # parts of one file ask again and again


def read_parquet(path: Path, _: Form = PLAIN, wanted: Collection[str] | None = None) -> Loaded:
    """The columns `wanted` (None: all); the others are null."""
    names = pq.read_schema(path).names
    unique(path, names)
    read = names if wanted is None else [name for name in names if name in wanted]
    table, rows = pq.read_table(path, columns=read, partitioning=None), pq.read_metadata(path).num_rows
    columns = {name: table[name] if name in read else pa.nulls(rows) for name in names}
    return Loaded(pa.table(columns), np.arange(1, rows + 1))


def _stream_parquet(path: Path, rows: int, _: Form) -> Iterator[Loaded]:
    unique(path, pq.read_schema(path).names)
    last = 0
    with pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False) as file:  # or it takes in whole row groups
        for batch in file.iter_batches(rows):
            yield Loaded(pa.Table.from_batches([batch]), np.arange(last + 1, last + 1 + len(batch)))
            last += len(batch)


def read_jsonl(path: Path, form: Form = PLAIN, wanted: Collection[str] | None = None) -> Loaded:
    """By Arrow's parser where lines are steady, else line by line; in `wanted` (None: all) a value must be text."""
    with text_bytes(path, form) as file:
        return _read_lines(file if file.seekable() else BytesIO(file.read()), 1, form, wanted)


def _stream_jsonl(path: Path, rows: int, form: Form) -> Iterator[Loaded]:
    """`rows` lines of the file at a time: names and types of columns are those of the lines at hand."""
    with text_bytes(path, form) as file:
        number = 1
        while lines := list(islice(file, rows)):
            yield _read_lines(BytesIO(b"".join(lines)), number, form)
            number += len(lines)


def _read_lines(file: BinaryIO, number: int, form: Form, wanted: Collection[str] | None = None) -> Loaded:
    """The lines of `file`, of which the first has this number."""
    lines, deep = _count_lines(file)
    file.seek(0)
    if deep:  # Arrow's parser has no limit of its own but the stack's
        return _read_each_line(file, number, form, wanted)
    try:
        keys = _object(file.readline())
        file.seek(0)
        schema = pa.schema([(key, pa.string()) for key, value in keys.items() if isinstance(value, str)])
        parsing = pa.json.ParseOptions(explicit_schema=schema)
        table = pa.json.read_json(file, pa.json.ReadOptions(block_size=BLOCK), parsing)
    except (ValueError, RecursionError):  # pa.ArrowInvalid is one
        return _read_each_line(file, number, form, wanted)
    if any(_guessed(field, keys.get(field.name)) for field in table.schema) or len(table) != lines:
        return _read_each_line(file, number, form, wanted)
    names = [*keys, *(name for name in table.column_names if name not in keys)]
    return Loaded(table.select(names), np.arange(number, number + lines), counted=LINES)


def _count_lines(file: BinaryIO) -> tuple[int, bool]:
    """How many lines there are, and whether one may nest values deeper than a parser can follow."""
    lines, deep = 0, False
    for line in file:
        lines += 1
        if len(line) > DEEP and not deep:
            deep = line.count(b"[") + line.count(b"{") > DEEP
    return lines, deep


def _guessed(field: pa.Field, first: object) -> bool:
    """Whether the parser may have changed values: a text taken for a date, an integer of 64 bits for a float."""
    return pa.types.is_temporal(field.type) or (pa.types.is_floating(field.type) and not isinstance(first, float))


def _read_each_line(file: BinaryIO, number: int, form: Form, wanted: Collection[str] | None) -> Loaded:
    objects: dict[int, dict[str, Any]] = {}  # by the number of the line
    torn: dict[int, str] = {}
    undecoded: dict[int, str] = {}
    file.seek(0)
    for row, line in enumerate(file, start=number):
        if not line.strip():
            continue
        try:
            objects[row] = _object(line.removeprefix(BOM_UTF8) if row == 1 else line)
        except UnicodeDecodeError as cause:
            undecoded[row] = f"{cause}: {shorten(line)}"
        except (ValueError, RecursionError) as cause:
            torn[row] = f"{cause}: {shorten(line)}"
    faults = [Fault.of("torn line", "write one JSON object a line, in UTF-8", torn)] if torn else []
    if undecoded:
        file.seek(0)
        faults.append(Fault.of("line is not UTF-8", legacy_remedy(file, form), undecoded))
    return of_objects(objects, faults, wanted, LINES)


def of_objects(
    objects: dict[int, dict[str, Any]], faults: list[Fault], wanted: Collection[str] | None, counted: str
) -> Loaded:
    """The rows of `objects` (by number) beside `faults` of others, null where one has no such key.

    In the columns `wanted` (None: all) a value that is no text among texts is a fault; the others are null.
    """
    names = list(dict.fromkeys(name for record in objects.values() for name in record))
    if wanted is not None:
        names.sort()  # an error lists them
    read = [name for name in names if wanted is None or name in wanted]
    table = pa.table({
        name: _column([record.get(name) for record in objects.values()]) if name in read else pa.nulls(len(objects))
        for name in names
    })  # fmt: skip
    loaded = Loaded(table, np.array([*objects], np.int64), tuple(faults), counted)
    return loaded.without(list(_no_text_faults(objects, read)))


def _column(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):  # texts among numbers, integers beyond 64 bits
        return pa.array([value if value is None or isinstance(value, str) else json.dumps(value) for value in values])


def _no_text_faults(objects: dict[int, dict[str, Any]], names: Collection[str]) -> Iterator[Fault]:
    """Lists, objects, true and false in a column of texts: they would read as texts."""
    for name in names:
        values = {row: record.get(name) for row, record in objects.items()}
        kinds = set(map(type, values.values()))
        if str in kinds and kinds & {dict, list, bool}:
            odd = {row: shorten(value) for row, value in values.items() if isinstance(value, dict | list | bool)}
            yield Fault.of(f"{name} is no text", "give a text in quotes", odd)


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


READERS: dict[str, Callable[[Path, Form], Loaded]] = {
    ".parquet": read_parquet,
    ".csv": read_delimited,
    ".tsv": read_delimited,
    ".jsonl": read_jsonl,
    ".txt": read_delimited,
}
STREAMS: dict[str, Callable[[Path, int, Form], Iterator[Loaded]]] = {
    ".parquet": _stream_parquet,
    ".jsonl": _stream_jsonl,
    **dict.fromkeys((".csv", ".tsv", ".txt"), lambda path, _, form: stream_delimited(path, form)),
}
