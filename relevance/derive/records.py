"""A file that is one JSON list of objects → its rows, each numbered by its place in the list.

[{"id": "1229111", "title": "Targus ...", "attr_t_colour": "Black"}, ...] with wanted={id, title} → id, title, and
attr_t_colour by name alone
"""

import json
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from relevance.data.faults import Fault, faulty, shorten
from relevance.data.jsonl import columns, no_texts
from relevance.data.loaded import Loaded
from relevance.data.utf8 import REMEDY
from relevance.errors import UserError

COUNTED = "rows are the entries of the list, from 1"


class _Twice(dict):
    """An object with a key given twice."""


KINDS = (dict, _Twice)


def read(path: Path, wanted: Collection[str]) -> Loaded:
    """Raises UserError for a file that is no such list; entries that are no sound objects come back as faults.

    NaN, which some write for what is missing, is null.
    """
    entries = _entries(path)
    faults = list(_faults(entries))
    good = np.setdiff1d(np.arange(len(entries)), faulty(faults) - 1)
    objects = [{name: entries[at][name] for name in wanted if name in entries[at]} for at in good]
    rows = good + 1
    faults += [fault for fault in no_texts(objects, rows, wanted) if len(fault.rows)]
    read = columns(objects)
    named = set(read.column_names).union(*(entries[at] for at in good))
    unread = dict.fromkeys(sorted(named.difference(read.column_names)), pa.nulls(len(good)))
    table = pa.table({name: read[name] for name in read.column_names} | unread)
    return Loaded(table, rows, tuple(faults), COUNTED)


def _entries(path: Path) -> list:
    try:
        entries = json.loads(
            path.read_bytes().decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=lambda _: None
        )
    except UnicodeDecodeError as cause:
        raise UserError(f"{path}: is not UTF-8 at byte {cause.start:,}; {REMEDY}") from cause
    except (ValueError, RecursionError) as cause:
        raise UserError(f"{path}: cannot be read as JSON: {cause}; fetch it anew, or write it as .jsonl") from cause
    if not isinstance(entries, list):
        raise UserError(f"{path}: holds {shorten(entries)}, not a list of objects; write one list, or .jsonl")
    return entries


def _object(pairs: list[tuple]) -> dict:
    made = dict(pairs)
    return made if len(made) == len(pairs) else _Twice(made)


def _faults(entries: list) -> Iterator[Fault]:
    def told(problem: str, remedy: str, bad: list[bool]) -> Iterator[Fault]:
        if any(bad):
            at = np.flatnonzero(bad)
            yield Fault(problem, remedy, at + 1, [shorten(entries[one]) for one in at])

    yield from told("entry is no object", "write one JSON object for each row", [type(e) not in KINDS for e in entries])
    yield from told("a key is given twice", "keep one of the values", [type(e) is _Twice for e in entries])
    yield from told(
        "half a surrogate pair", "write the whole character", [type(e) is dict and _half(e) for e in entries]
    )


def _half(entry: dict) -> bool:
    """Whether a text in it stands for no character, as "\\ud800" alone does."""
    try:
        json.dumps(entry, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False
