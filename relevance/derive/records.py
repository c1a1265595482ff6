"""A file that is one JSON list of objects → its rows, each numbered by its place in the list.

[{"id": "1229111", "title": "Targus ...", "attr_t_colour": "Black"}, ...] with wanted={id, title} → id, title
"""

import json
from collections.abc import Collection
from pathlib import Path

import numpy as np

from relevance.data.faults import Fault, shorten
from relevance.data.jsonl import columns
from relevance.data.loaded import Loaded
from relevance.data.utf8 import REMEDY
from relevance.errors import UserError


def read(path: Path, wanted: Collection[str]) -> Loaded:
    """Raises UserError for a file that is no such list; entries that are no objects come back as a fault."""
    try:
        entries = json.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as cause:
        raise UserError(f"{path.name}: is not UTF-8 at byte {cause.start:,}; {REMEDY}") from cause
    except (ValueError, RecursionError) as cause:
        raise UserError(
            f"{path.name}: cannot be read as JSON: {cause}; fetch it anew, or write it as .jsonl"
        ) from cause
    if not isinstance(entries, list):
        raise UserError(f"{path.name}: holds {shorten(entries)}, not a list of objects; write one list, or .jsonl")
    objects = [{name: entry[name] for name in wanted if name in entry} for entry in entries if isinstance(entry, dict)]
    good = np.array([isinstance(entry, dict) for entry in entries], bool)
    odd = np.flatnonzero(~good)
    values = [shorten(entries[at]) for at in odd]
    faults = (Fault("entry is no object", "write one JSON object for each row", odd + 1, values),) if len(odd) else ()
    return Loaded(columns(objects), np.flatnonzero(good) + 1, faults, "rows are the entries of the list, from 1")
