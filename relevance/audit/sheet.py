"""Pairs of each rule and label → a csv for people to grade, which does not say what the table thinks of them.

query_item q1 | i4 label=2 source="chorus" → key="p9c1f…", task="query_item", left="usb", right="Volt ...", grade=""
"""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from relevance import whole
from relevance.audit.opened import Opened
from relevance.data.faults import guard
from relevance.data.keys import together
from relevance.errors import UserError

COLUMNS = ("key", "task", "left", "right", "grade")
PAIR = ("task", "left_id", "left", "right_id", "right")
BETWEEN, NOTHING = "\x1f", "\x1e"  # in what is digested: no text is likely to hold them
BOM = b"\xef\xbb\xbf"  # without it spreadsheets read UTF-8 as something else
PART = 1 << 17  # rows digested at a time


def digests(table: pa.Table, name: str = "pair") -> np.ndarray:
    """A number [N], uint64, of each row's task, ids and texts and of nothing else; `name` makes it another one."""
    from pandas.util import hash_array

    salt = hashlib.sha256(name.encode()).hexdigest()[:16]
    columns = [pc.fill_null(table[column], NOTHING) for column in PAIR]
    joined = pc.binary_join_element_wise(*columns, BETWEEN)
    parts = [joined.slice(start, PART) for start in range(0, len(joined), PART)]
    hashed = [hash_array(part.to_numpy(zero_copy_only=False), hash_key=salt, categorize=False) for part in parts]
    return np.concatenate([np.empty(0, np.uint64), *hashed])


def first_of_each(digest: np.ndarray) -> np.ndarray:
    """Places, ascending, of the rows [N] that stand for their pair: the first of each."""
    return np.sort(np.unique(digest, return_index=True)[1])


def strata(found: Opened) -> np.ndarray:
    """A number [N] for each task, rule and label; rows without a rule are of one."""
    source = found.table["source"].combine_chunks().dictionary_encode("encode").indices.to_numpy()
    return together(found.keys.task, source, found.label)


def sheet(found: Opened, n: int, seed: int) -> pa.Table:
    """At most `n` pairs of each task, rule and label, in the order of their keys, with an empty grade.

    Which ones depends on `seed` and on each pair alone, not on its place in the file.
    """
    digest = digests(found.table)
    first = first_of_each(digest)
    stratum = strata(found)[first]
    order = np.lexsort((digests(found.table, f"seed {seed}")[first], stratum))
    starts = np.flatnonzero(np.diff(stratum[order], prepend=-1))
    place = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    chosen = first[order[place < n]]
    chosen = chosen[np.argsort(digest[chosen])]
    table = found.table.select(["task", "left", "right"]).take(pa.array(chosen))
    blank = pa.array([""] * len(chosen), pa.string())
    columns = (pa.array([f"p{one:016x}" for one in digest[chosen]]), *map(guard, table.columns), blank)
    return pa.table(dict(zip(COLUMNS, columns, strict=True)))


def write(table: pa.Table, path: Path) -> None:
    """Write the csv; raises UserError where a file stands there: it may hold somebody's grades."""
    if path.suffix != ".csv":
        raise UserError(f"output={path}: give the csv to write, output=FILE.csv")
    if path.exists():
        raise UserError(f"output={path}: the file exists and may hold grades; remove it or give another name")
    with whole.file(path) as part, part.open("wb") as file:
        file.write(BOM)
        pa.csv.write_csv(table, file)
