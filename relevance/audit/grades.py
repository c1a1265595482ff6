"""A graded csv → grades of rows of the table; every row that cannot be one is named.

key="p9c1f...", grade="2" → row 412, grade 2; key="p03ab...", grade="" → row 77, ungraded
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.data import delimited, faults
from relevance.data.faults import Fault, shorten
from relevance.data.loaded import Loaded
from relevance.data.pairs import blank, labels
from relevance.data.readers import explained
from relevance.errors import UserError

KEY = r"^p[0-9a-f]{16}$"
DELIMITERS = (",", ";", "\t")
NEEDED = ("key", "grade")
AGAIN = "mend the file and read it again"
NEXT = "leave the cell empty, or use 0 (irrelevant), 1 (partially relevant) or 2 (relevant)"


@dataclass(frozen=True, eq=False)
class Grades:
    """What one person said."""

    name: str  # of the file
    at: np.ndarray  # [k] places of the graded rows in the table
    grade: np.ndarray  # [k]
    ungraded: np.ndarray  # [u] places of the rows left empty


def read(path: Path, digest: np.ndarray, places: np.ndarray) -> Grades:
    """The grades in the csv at `path` of the rows at `places` [M], whose digests are `digest` [M].

    Cells may be set apart by commas, semicolons or tabs, as spreadsheets save them. Raises one UserError with every
    grade that is none, every key that is no pair of the table and every pair graded twice.
    """
    loaded = _loaded(path)
    key, grade = (pc.utf8_trim_whitespace(loaded.table[name]) for name in NEEDED)
    empty = blank(grade).to_numpy()
    given = labels(grade)
    number = np.array([int(one[1:], 16) for one in pc.if_else(_fits(key), key, "p0").to_pylist()], np.uint64)
    order = np.argsort(digest)
    at = order[np.minimum(np.searchsorted(digest, number, sorter=order), len(order) - 1)]
    known = _fits(key).to_numpy() & (digest[at] == number)
    bad = {
        "grade": np.asarray(pc.is_null(given)) & ~empty,
        "key": ~known,
        "twice": _twice(at, known & ~empty),
    }
    found = (*loaded.faults, *_faults(loaded, bad))
    if found:
        raise faults.error(str(path), found, loaded.counted, AGAIN)
    return Grades(str(path), places[at[~empty]], given.to_numpy()[~empty].astype(np.int64), places[at[empty]])


def _loaded(path: Path) -> Loaded:
    """The columns key and grade as text; the others are not looked at, whatever a spreadsheet made of them."""
    if path.suffix.lower() not in (".csv", ".tsv", ".txt"):
        raise UserError(f"graded={path}: is no csv; save the spreadsheet as csv and give that file")
    if not path.is_file():
        raise UserError(f"graded={path}: no such file; give the csv that sample wrote and people filled in")
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        header = file.readline()
    delimiter = max(DELIMITERS, key=header.count)
    with explained(path):
        loaded = delimited.read(path, delimiter)
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
        ("grade", "grade", "grade is not 0, 1 or 2", NEXT),
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
