"""Pairs of each rule and label → a csv for people to grade blindly, and the graded csv → grades of rows of the table.

query_item q1 | i4 label=2 source="chorus" → key="p9c1f…", task="query_item", left="usb", right="Volt ...", grade=""
key="p9c1f…", grade="2" → row 412, grade 2; key="p03ab…", grade="" → row 77, ungraded
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from relevance.atomic_io import atomic_file
from relevance.audit.opened import Opened
from relevance.data.contract import blank, labels
from relevance.data.delimited import read_delimited
from relevance.data.entities import combined
from relevance.data.faults import Fault, Loaded, faults_error, guard_formulas, shorten
from relevance.data.readers import parse_errors
from relevance.errors import UserError

COLUMNS = ("key", "task", "left", "right", "grade")
PAIR = ("task", "left_id", "left", "right_id", "right")
SEPARATOR, NULL = "\x1f", "\x1e"  # in what is digested: no text is likely to hold them
BOM = b"\xef\xbb\xbf"  # without it spreadsheets read UTF-8 as something else
DIGESTED = 1 << 17  # rows at a time
KEY = r"^p[0-9a-f]{16}$"
DELIMITERS = (",", ";", "\t")
NEEDED = ("key", "grade")
REREAD = "mend the file and read it again"
GRADE_REMEDY = "leave the cell empty, or use 0 (irrelevant), 1 (partially relevant) or 2 (relevant)"


def grading_sheet(pairs: Opened, n: int, seed: int) -> pa.Table:
    """At most `n` pairs of each task, rule and label, in the order of their keys, with an empty grade.

    Which ones depends on `seed` and on each pair alone, not on its place in the file.
    """
    digest = pair_digests(pairs.table)
    first = first_of_each(digest)
    stratum = _strata(pairs)[first]
    order = np.lexsort((pair_digests(pairs.table, f"seed {seed}")[first], stratum))
    starts = np.flatnonzero(np.diff(stratum[order], prepend=-1))
    place = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    chosen = first[order[place < n]]
    chosen = chosen[np.argsort(digest[chosen])]
    table = pairs.table.select(["task", "left", "right"]).take(pa.array(chosen))
    blank = pa.array([""] * len(chosen), pa.string())
    columns = (pa.array([f"p{one:016x}" for one in digest[chosen]]), *map(guard_formulas, table.columns), blank)
    return pa.table(dict(zip(COLUMNS, columns, strict=True)))


def _strata(pairs: Opened) -> np.ndarray:
    """A number [N] for each task, rule and label; rows without a rule are of one."""
    source = pairs.table["source"].combine_chunks().dictionary_encode("encode").indices.to_numpy()
    return combined(pairs.keys.task, source, pairs.label)


def pair_digests(table: pa.Table, name: str = "pair") -> np.ndarray:
    """A number [N], uint64, of each row's task, ids and texts and of nothing else; `name` makes it another one."""
    from pandas.util import hash_array

    salt = hashlib.sha256(name.encode()).hexdigest()[:16]
    columns = [pc.fill_null(table[column], NULL) for column in PAIR]
    joined = pc.binary_join_element_wise(*columns, SEPARATOR)
    parts = [joined.slice(start, DIGESTED) for start in range(0, len(joined), DIGESTED)]
    hashed = [hash_array(part.to_numpy(zero_copy_only=False), hash_key=salt, categorize=False) for part in parts]
    return np.concatenate([np.empty(0, np.uint64), *hashed])


def first_of_each(digest: np.ndarray) -> np.ndarray:
    """Places, ascending, of the rows [N] that stand for their pair: the first of each."""
    return np.sort(np.unique(digest, return_index=True)[1])


def write_sheet(table: pa.Table, path: Path) -> None:
    """Write the csv; raises UserError where a file stands there: it may hold somebody's grades."""
    if path.suffix != ".csv":
        raise UserError(f"output={path}: give the csv to write, output=FILE.csv")
    if path.exists():
        raise UserError(f"output={path}: the file exists and may hold grades; remove it or give another name")
    with atomic_file(path) as part, part.open("wb") as file:
        file.write(BOM)
        pa.csv.write_csv(table, file)


@dataclass(frozen=True, eq=False)
class Grades:
    """What one person said."""

    name: str  # of the file
    at: np.ndarray  # [k] places of the graded rows in the table
    grade: np.ndarray  # [k]
    ungraded: np.ndarray  # [u] places of the rows left empty


def read_grades(path: Path, digest: np.ndarray, places: np.ndarray) -> Grades:
    """The grades in the csv at `path` of the rows at `places` [M], whose digests are `digest` [M].

    Cells may be set apart by commas, semicolons or tabs, as spreadsheets save them. Raises one UserError with every
    grade that is none, every key that is no pair of the table and every pair graded twice.
    """
    loaded = _loaded(path)
    key, grade = (pc.utf8_trim_whitespace(loaded.table[name]) for name in NEEDED)
    empty = blank(grade).to_numpy()
    label = labels(grade)
    number = np.array([int(one[1:], 16) for one in pc.if_else(_fits(key), key, "p0").to_pylist()], np.uint64)
    order = np.argsort(digest)
    at = order[np.minimum(np.searchsorted(digest, number, sorter=order), len(order) - 1)]
    known = _fits(key).to_numpy() & (digest[at] == number)
    bad = {
        "grade": np.asarray(pc.is_null(label)) & ~empty,
        "key": ~known,
        "twice": _twice(at, known & ~empty),
    }
    faults = (*loaded.faults, *_faults(loaded, bad))
    if faults:
        raise faults_error(str(path), faults, loaded.counted, REREAD)
    return Grades(str(path), places[at[~empty]], label.to_numpy()[~empty].astype(np.int64), places[at[empty]])


def _loaded(path: Path) -> Loaded:
    """The columns key and grade as text; the others are not looked at, whatever a spreadsheet made of them."""
    if path.suffix.lower() not in (".csv", ".tsv", ".txt"):
        raise UserError(f"graded={path}: is no csv; save the spreadsheet as csv and give that file")
    if not path.is_file():
        raise UserError(f"graded={path}: no such file; give the csv that sample wrote and people filled in")
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        header = file.readline()
    delimiter = max(DELIMITERS, key=header.count)
    with parse_errors(path):
        loaded = read_delimited(path, delimiter)
    missing = [name for name in NEEDED if name not in loaded.table.column_names]
    if missing:
        present = ", ".join(loaded.table.column_names)
        raise UserError(f"{path}: missing column {', '.join(missing)}; present: {present}; keep the columns of sample")
    if not len(loaded.table) and not loaded.faults:
        raise UserError(f"{path}: the file holds no rows; give the csv that sample wrote")
    utf8 = [pc.fill_null(_decoded(loaded.table[name], name, path), "") for name in NEEDED]
    return Loaded(pa.table(utf8, names=list(NEEDED)), loaded.rows, loaded.faults, loaded.counted)


def _decoded(column: pa.ChunkedArray, name: str, path: Path) -> pa.ChunkedArray:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        raise UserError(f"{path}: column {name} is not UTF-8; save the file as UTF-8 csv") from error
    return column


def _fits(key: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.match_substring_regex(key, KEY)


def _twice(at: np.ndarray, graded: np.ndarray) -> np.ndarray:
    """[n] bool, the graded rows whose pair another graded row has too."""
    counts = np.bincount(at[graded], minlength=int(at.max(initial=0)) + 1)
    return graded & (counts[at] > 1)


def _faults(loaded: Loaded, bad: dict[str, np.ndarray]) -> Iterator[Fault]:
    for name, column, problem, remedy in (
        ("grade", "grade", "grade is not 0, 1 or 2", GRADE_REMEDY),
        ("key", "key", "key is no pair of the table", "give the table the sample was drawn from, or remove the row"),
        (
            "twice",
            "key",
            "a pair is graded twice",
            "keep one of its rows; a second person's grades are a file of their own",
        ),
    ):
        rows = np.flatnonzero(bad[name])
        if len(rows):
            values = [shorten(value) for value in loaded.table[column].take(pa.array(rows)).to_pylist()]
            yield Fault(problem, remedy, loaded.rows[rows], values)
