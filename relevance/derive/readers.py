"""A file of one format → its rows and the columns that are wanted, under our names, as text; unreadable rows as faults.

columns={item_id: id}, where={locale: us}: id=17.0 locale="us" → item_id="17"; id=18.0 locale="es" → left out
"""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from relevance.data import readers
from relevance.data.contract import as_text
from relevance.data.delimited import layout, read_delimited
from relevance.data.faults import Fault, Loaded, faulty_rows, unique
from relevance.data.text_files import Form, kind_of, text_bytes, whole_text
from relevance.derive.commands import FileOptions
from relevance.derive.layouts import RATINGS, google_tree, is_google, nested_ratings
from relevance.errors import UserError, did_you_mean, shorten

SWALLOWED = "a quote opened here closes rows further on"
SWALLOWED_REMEDY = (
    "close the quote, double one that belongs to the text, or read.*.quotes=false where no quote has a meaning"
)
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},]', re.DOTALL)
# the file, how it is read, and their columns to read; the others are known by name alone
Reader = Callable[[Path, Form, Collection[str]], Loaded]


def _parquet(path: Path, _: Form, wanted: Collection[str]) -> Loaded:
    names = pq.read_schema(path).names
    unique(path, names)
    table = pq.read_table(path, columns=[name for name in names if name in wanted], partitioning=None)
    rows = pq.read_metadata(path).num_rows
    named = {name: table[name] if name in table.column_names else pa.nulls(rows) for name in names}
    return Loaded(pa.table(named), np.arange(1, rows + 1))


def _delimited(path: Path, form: Form, _: Collection[str]) -> Loaded:
    if kind_of(path) == ".txt" and is_google(path, form):
        return google_tree(path, form)
    form = layout(path, form).form
    return _without_swallowed(read_delimited(path, form), form.delimiter or "")


def _without_swallowed(loaded: Loaded, delimiter: str) -> Loaded:
    """`loaded` less rows that swallowed others, which become faults; only tabs tell, texts hold all other delimiters.

    3 <tab> "rustic bed / 4 <tab> "king" bed: a cell that holds as many delimiters as whole rows have.
    """
    cells = len(loaded.table.column_names) - 1
    values: dict[int, str] = {}
    for column in loaded.table.columns if delimiter == "\t" and cells else ():
        raw = column.cast(pa.binary())
        at = np.flatnonzero(pc.match_substring(raw, b"\n").to_numpy())
        some = raw.take(pa.array(at))
        lines, tabs = (pc.count_substring(some, sign).to_numpy() for sign in (b"\n", b"\t"))
        for row in np.flatnonzero(tabs == lines * cells):
            values[loaded.rows[at[row]]] = shorten(some[int(row)].as_py().decode(errors="replace"))
    fault = Fault.of(SWALLOWED, SWALLOWED_REMEDY, dict(sorted(values.items())))
    return loaded.without([fault] if values else [])


def _json_list(path: Path, form: Form, wanted: Collection[str]) -> Loaded:
    """A list of objects; entries that are no sound ones come back as faults, and NaN is null."""
    entries = _parsed(path, form)
    if not isinstance(entries, list):
        raise UserError(f"{path}: holds {shorten(entries)}, not a list of objects; write one list, or .jsonl")
    return _of_entries(entries, wanted, "rows are the entries of the list, from 1")


def _parsed(path: Path, form: Form) -> Any:
    try:
        return _json_entries(whole_text(path, form), object_pairs_hook=_object, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as cause:
        raise UserError(f"{path}: cannot be read as JSON: {cause}; fetch it anew, or write it as .jsonl") from cause


def _of_entries(entries: list, wanted: Collection[str], counted: str) -> Loaded:
    faults = list(_entry_faults(entries))
    good = np.setdiff1d(np.arange(len(entries)), faulty_rows(faults) - 1)
    objects = {int(at) + 1: {name: entries[at][name] for name in wanted if name in entries[at]} for at in good}
    faults += readers.no_text_faults(objects, wanted)
    read = readers.objects_table(list(objects.values()))
    named = set(read.column_names).union(*(entries[at] for at in good))
    unread = dict.fromkeys(sorted(named.difference(read.column_names)), pa.nulls(len(good)))
    table = pa.table({name: read[name] for name in read.column_names} | unread)
    return Loaded(table, good + 1, tuple(faults), counted)


def _judgements(path: Path, form: Form, wanted: Collection[str]) -> Loaded:
    """A .json or .jsonl of judgements: of queries with their ratings, or flat as any other."""
    lines = kind_of(path) == ".jsonl"
    if lines and not _holds_ratings(path, form):
        return readers.read_jsonl(path, form, wanted)
    content = _lines(path, form) if lines else _parsed(path, form)
    try:
        rows = nested_ratings(content)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return _json_list(path, form, wanted) if rows is None else _of_entries(rows, wanted, RATINGS)


def _holds_ratings(path: Path, form: Form) -> bool:
    """Whether the first line is a query with ratings."""
    with text_bytes(path, form) as file:
        try:
            return nested_ratings(json.loads(next(filter(bytes.strip, file), b""))) is not None
        except (ValueError, RecursionError):
            return False


def _lines(path: Path, form: Form) -> list:
    entries = []
    for number, line in enumerate(whole_text(path, form).splitlines(), start=1):
        try:
            entries += [json.loads(line, object_pairs_hook=_object)] if line.strip() else []
        except (ValueError, RecursionError) as cause:
            raise UserError(f"{path}: line {number} cannot be read as JSON: {cause}; mend or remove it") from cause
    return entries


class Deep(str):
    """The text of an entry that is nested too deeply."""


def _json_entries(text: str, **parsing: Any) -> Any:
    """What json.loads gives, with a Deep for each entry of a list that it cannot follow."""
    try:
        return json.loads(text, **parsing)
    except RecursionError:
        if not text.lstrip().startswith("["):
            raise
    entries = []
    for entry in _split(text):
        try:
            entries.append(json.loads(entry, **parsing))
        except RecursionError:
            entries.append(Deep(entry))
    return entries


def _split(text: str) -> Iterator[str]:
    """The texts of a list's entries; raises ValueError for a list that is not closed."""
    depth, start, some = 0, text.index("[") + 1, False
    for token in TOKEN.finditer(text):
        sign = token[0]
        depth += (sign in "[{") - (sign in "]}")
        if (sign == "," and depth == 1) or depth == 0:
            entry = text[start : token.start()]
            if entry.strip() or some or sign == ",":
                yield entry
            some, start = True, token.end()
        if depth == 0:
            if text[start:].strip():
                raise ValueError("something stands behind the list")
            return
    raise ValueError("maximum recursion depth exceeded in a list that is not closed")


class _Twice(dict):
    """An object with a key given twice."""


def _object(pairs: list[tuple]) -> dict:
    made = dict(pairs)
    return made if len(made) == len(pairs) else _Twice(made)


def _entry_faults(entries: list) -> Iterator[Fault]:
    for problem, remedy, bad in (
        ("entry is no object", "write one JSON object for each row", lambda e: type(e) not in (dict, _Twice, Deep)),
        ("a key is given twice", "keep one of the values", lambda e: type(e) is _Twice),
        ("entry is nested too deeply", "write its inner values as text, or leave them out", lambda e: type(e) is Deep),
        ("half a surrogate pair", "write the whole character", lambda e: type(e) is dict and _half(e)),
    ):
        at = np.flatnonzero([bad(entry) for entry in entries])
        if len(at):
            yield Fault(problem, remedy, at + 1, [shorten(entries[place]) for place in at])


def _half(entry: dict) -> bool:
    """Whether a text in it stands for no character, as "\\ud800" alone does."""
    try:
        json.dumps(entry, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


READERS: dict[str, Reader] = {
    ".parquet": _parquet,
    ".csv": _delimited,
    ".tsv": _delimited,
    ".jsonl": readers.read_jsonl,
    ".json": _json_list,
    ".txt": _delimited,
}
DELIMITED = (".csv", ".tsv", ".txt")
OF_JUDGEMENTS = READERS | {".json": _judgements, ".jsonl": _judgements}


AS_IT_IS = ("category",)  # a path may be a list; every other column is text
NAMED = 30  # columns or values of a file that an error names


@dataclass(frozen=True)
class Part:
    """What one file gives; its rows are those of `loaded`, at fault or not, and those left out."""

    loaded: Loaded
    left: int  # rows that options.where leaves out
    values: str  # what stands in the columns of options.where
    names: list[str]  # of all its columns, as the file has them


def read_part(path: Path, name: str, form: Form, options: FileOptions, wanted: Mapping[str, bool]) -> Part:
    """The columns `wanted` (ours: whether a file must have it) of the file at `path`, which a person calls `name`."""
    theirs = _their_names(form.setting, options, wanted)
    read = (OF_JUDGEMENTS if form.setting == "read.judgements." else READERS)[kind_of(path)]
    readers.check_form(path, form)
    with readers.parse_errors(Path(name)):
        loaded = read(path, form, {*theirs.values(), *options.where})
    names = loaded.table.column_names
    if len(loaded.table):
        must = {ours: column for ours, column in theirs.items() if wanted[ours] or ours in options.columns}
        check_columns(name, names, must, f"{form.setting}columns")
        check_columns(name, names, {column: column for column in options.where}, f"{form.setting}where")
        if not set(theirs.values()) & set(names):  # of a tree, whose columns are all optional
            check_columns(name, names, dict(reversed(theirs.items())), f"{form.setting}columns")
    here = {ours: column for ours, column in theirs.items() if column in names or wanted[ours]}
    table = _plain(loaded.table, [*here.values(), *options.where])
    good = ~np.isin(loaded.rows, faulty_rows(loaded.faults))  # the jsonl reader leaves some at fault in the table
    fits, values = _fitting(table, options.where, name)
    sound = pa.table({ours: table[column] for ours, column in here.items()}).filter(pa.array(good & fits))
    decoded = readers.decode_table(replace(loaded, table=sound, rows=loaded.rows[good & fits]), path, form, here)
    texts = {ours: decoded.table[ours] if ours in AS_IT_IS else as_text(decoded.table, ours, name) for ours in here}
    faults = tuple(replace(fault, remedy=fault.remedy.replace(str(path), name)) for fault in decoded.faults)
    return Part(replace(decoded, table=pa.table(texts), faults=faults), int((good & ~fits).sum()), values, names)


def _their_names(setting: str, options: FileOptions, wanted: Mapping[str, bool]) -> dict[str, str]:
    """The file's name of each column, less those that options.columns unnames."""
    names = {ours: options.columns.get(ours, ours) for ours in wanted}
    if needed := [ours for ours, theirs in names.items() if theirs is None and wanted[ours]]:
        raise UserError(f"{setting}columns={{{needed[0]}: null}}: is needed; name a column of the file")
    return {ours: theirs for ours, theirs in names.items() if theirs is not None}


def check_columns(name: str, present: Collection[str], needed: Mapping[str, str], setting: str) -> None:
    """UserError where columns `needed` (ours: theirs) are not among those `present` in the file `name`."""
    lacking = {ours: theirs for ours, theirs in needed.items() if theirs not in present}
    if not lacking:
        return
    listed = ", ".join([*list(present)[:NAMED], *["…"] * (len(present) > NAMED)])
    ours, hint = next(iter(lacking)), did_you_mean(lacking.values(), present)
    value = "value" if setting.endswith("where") else "column of the file"
    header = f"; where the first line is a row: {setting.rpartition('.')[0]}.header=[…]"
    raise UserError(
        f"{name}: has no column {', '.join(lacking.values())}; {hint}present: {listed}; "
        f"name it with {setting}={{{ours}: <{value}>}}{header if kind_of(Path(name)) in DELIMITED else ''}"
    )


def _plain(table: pa.Table, names: Collection[str]) -> pa.Table:
    """The columns `names`, null where the table has none; bytes count as text, not-a-number as missing."""
    absent = pa.nulls(len(table), pa.string())
    columns = {name: table[name] if name in table.column_names else absent for name in names}
    table = readers.plain_strings(pa.table(columns))
    return pa.table({name: _known(table[name]) for name in table.column_names})


def _known(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_large_binary(column.type) or pa.types.is_binary_view(column.type):
        column = column.cast(pa.binary())
    if pa.types.is_binary(column.type):
        return pa.chunked_array([chunk.view(pa.string()) for chunk in column.chunks], pa.string())
    if pa.types.is_floating(column.type):
        return pc.if_else(pc.is_nan(column), None, column)
    return column


def _fitting(table: pa.Table, where: Mapping[str, str], name: str) -> tuple[np.ndarray, str]:
    """[N], whether a row has the values of `where`; and some that are there."""
    fits, present = np.ones(len(table), bool), []
    for column, value in where.items():
        texts = as_text(table, column, name)
        fits &= pc.fill_null(pc.equal(texts, value), False).to_numpy()
        some = pc.unique(pc.drop_null(texts)).cast(pa.binary())[:NAMED].to_pylist()
        present.append(f"{column} holds {', '.join(text.decode(errors='replace') for text in some) or 'nothing'}")
    return fits, "; ".join(present)
