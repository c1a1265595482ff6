"""A file of one format → its rows, each with its number; rows that cannot be read come back as faults.

.parquet, .csv, .tsv, .jsonl and .json, one list of objects: [{"id": "1229111", "title": "Targus ..."}, ...]
"""

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from relevance.data.delimited import read_delimited
from relevance.data.faults import UTF8_REMEDY, Fault, Loaded, faulty_rows, shorten, unique
from relevance.data.readers import no_text_faults, objects_table, read_jsonl
from relevance.derive.options import FileOptions
from relevance.errors import UserError

SWALLOWED = "a quote opened here closes rows further on"
SWALLOWED_REMEDY = (
    "close the quote, double one that belongs to the text, or read.*.quotes=false where no quote has a meaning"
)
ENTRIES = "rows are the entries of the list, from 1"
# the file, how it is read, and their columns that are asked for; the others are known by name alone
Reader = Callable[[Path, FileOptions, Collection[str]], Loaded]


def _parquet(path: Path, _: FileOptions, wanted: Collection[str]) -> Loaded:
    names = pq.read_schema(path).names
    unique(path, names)
    table = pq.read_table(path, columns=[name for name in names if name in wanted], partitioning=None)
    rows = pq.read_metadata(path).num_rows
    named = {name: table[name] if name in table.column_names else pa.nulls(rows) for name in names}
    return Loaded(pa.table(named), np.arange(1, rows + 1))


def _delimited(path: Path, options: FileOptions, delimiter: str) -> Loaded:
    delimiter = options.delimiter or delimiter
    return _without_swallowed(read_delimited(path, delimiter, options.quotes), delimiter)


def _without_swallowed(loaded: Loaded, delimiter: str) -> Loaded:
    """`loaded` less rows that swallowed others, which become faults; only tabs tell, texts hold all other delimiters.

    3 <tab> "rustic bed / 4 <tab> "king" bed: the quote that row 3 opens is closed in row 4. A quote that closes in the
    column it was opened in leaves a row of the right length, whose cell holds as many delimiters as whole rows have.
    """
    cells = len(loaded.table.column_names) - 1
    bad, values = np.zeros(len(loaded.table), bool), {}
    for column in loaded.table.columns if delimiter == "\t" and cells else ():
        raw = column.cast(pa.binary())
        at = np.flatnonzero(pc.match_substring(raw, b"\n").to_numpy())
        some = raw.take(pa.array(at))
        lines, tabs = (pc.count_substring(some, sign).to_numpy() for sign in (b"\n", b"\t"))
        for row in np.flatnonzero(tabs == lines * cells):
            bad[at[row]] = True
            values[at[row]] = shorten(some[int(row)].as_py().decode(errors="replace"))
    if not bad.any():
        return loaded
    fault = Fault(SWALLOWED, SWALLOWED_REMEDY, loaded.rows[bad], [values[at] for at in np.flatnonzero(bad)])
    table = loaded.table.filter(pa.array(~bad))
    return replace(loaded, table=table, rows=loaded.rows[~bad], faults=(*loaded.faults, fault))


def _json_list(path: Path, wanted: Collection[str]) -> Loaded:
    """Raises UserError for a file that is no list of objects; entries that are no sound ones come back as faults.

    NaN, which some write for what is missing, is null.
    """
    entries = _entries(path)
    faults = list(_entry_faults(entries))
    good = np.setdiff1d(np.arange(len(entries)), faulty_rows(faults) - 1)
    objects = {int(at) + 1: {name: entries[at][name] for name in wanted if name in entries[at]} for at in good}
    faults += no_text_faults(objects, wanted)
    read = objects_table(list(objects.values()))
    named = set(read.column_names).union(*(entries[at] for at in good))
    unread = dict.fromkeys(sorted(named.difference(read.column_names)), pa.nulls(len(good)))
    table = pa.table({name: read[name] for name in read.column_names} | unread)
    return Loaded(table, good + 1, tuple(faults), ENTRIES)


def _entries(path: Path) -> list:
    try:
        entries = json.loads(
            path.read_bytes().decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=lambda _: None
        )
    except UnicodeDecodeError as cause:
        raise UserError(f"{path}: is not UTF-8 at byte {cause.start:,}; {UTF8_REMEDY}") from cause
    except (ValueError, RecursionError) as cause:
        raise UserError(f"{path}: cannot be read as JSON: {cause}; fetch it anew, or write it as .jsonl") from cause
    if not isinstance(entries, list):
        raise UserError(f"{path}: holds {shorten(entries)}, not a list of objects; write one list, or .jsonl")
    return entries


class _Twice(dict):
    """An object with a key given twice."""


def _object(pairs: list[tuple]) -> dict:
    made = dict(pairs)
    return made if len(made) == len(pairs) else _Twice(made)


def _entry_faults(entries: list) -> Iterator[Fault]:
    for problem, remedy, bad in (
        ("entry is no object", "write one JSON object for each row", lambda e: type(e) not in (dict, _Twice)),
        ("a key is given twice", "keep one of the values", lambda e: type(e) is _Twice),
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
    ".csv": lambda path, options, _: _delimited(path, options, ","),
    ".tsv": lambda path, options, _: _delimited(path, options, "\t"),
    ".jsonl": lambda path, _, wanted: read_jsonl(path, wanted),
    ".json": lambda path, _, wanted: _json_list(path, wanted),
}
