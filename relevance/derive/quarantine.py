"""Rows of the inputs that are at fault → one error that names them all, or one csv of them.

judgements raw.csv row 17, "grade is none of the map": 'Exactt' → set aside, counted, listed in pairs.quarantine.csv
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.csv

from relevance import seal
from relevance.atomic_io import atomic_file
from relevance.config import OnBadRow
from relevance.data.faults import Fault, faults_error, faulty_rows, list_faults
from relevance.derive.files import Part
from relevance.derive.texts import repeats
from relevance.errors import UserError, first_line, shorten
from relevance.outputs import remove_listing

Mask: TypeAlias = np.ndarray | pa.Array | pa.ChunkedArray  # [N] bool
Why: TypeAlias = tuple[str, str, str]  # problem, remedy, the column whose value is shown
PLACE = ("file", "row")  # columns that say where a row of an input stands
SET_ASIDE = "or set on_bad_row=quarantine to set these rows aside and go on without them"


@dataclass(frozen=True)
class FileFault:
    """A fault of one file; `in_use` where its rows stay, less what is at fault."""

    kind: str
    file: str
    fault: Fault
    in_use: bool


class Quarantine:
    """Collects the faults of the inputs while they are read; `close` raises or writes them."""

    def __init__(self) -> None:
        self.faults: list[FileFault] = []
        self._rows: dict[str, Counter[str]] = {}  # of each kind of input: all, left, alike, signs
        self._files: list[tuple[str, str]] = []  # name, how its rows are counted

    @property
    def read(self) -> dict[str, int]:
        """Rows of each kind: all, and those of them that are not in use, by reason; no zeros."""
        counts = {}
        for kind, rows in self._rows.items():
            counts[f"{kind}: rows of the files"] = rows["all"]
            counts[f"{kind}: left out by read.{kind}.where"] = rows["left"]
            counts[f"{kind}: set aside"] = self._aside(kind)
            counts[f"{kind}: said again"] = rows["alike"]
            counts[f"{kind}: control characters read as signs of cp1252"] = rows["signs"]
        return {name: rows for name, rows in counts.items() if rows}

    def take(self, kind: str, parts: dict[str, Part]) -> pa.Table:
        """The rows of all files as one table, with the columns `file` and `row`; a column that a file lacks is null."""
        tables, rows = [], self._rows.setdefault(kind, Counter())
        for name, part in parts.items():
            loaded, columns = part.loaded, part.loaded.table
            self.faults += [FileFault(kind, name, fault, in_use=False) for fault in loaded.faults]
            place = {"file": np.full(len(columns), len(self._files)), "row": loaded.rows}
            tables.append(pa.table({column: columns[column] for column in columns.column_names} | place))
            self._files.append((name, loaded.counted))
            all_rows = part.left + len(columns) + len(faulty_rows(loaded.faults))
            rows.update(all=all_rows, left=part.left, signs=loaded.signs)
        try:
            return pa.concat_tables(tables, promote_options="permissive")
        except pa.ArrowException as cause:  # a category that is a text here and a list there: all else is text
            names = dict.fromkeys(name for part in parts.values() for name in part.loaded.table.column_names)
            why = f"the files write a column in different ways ({first_line(cause)}); write it in one"
            raise UserError(f"{', '.join(names)}: {why}") from cause

    def alike(self, kind: str, rows: int) -> None:
        """Count `rows` that repeat an earlier one and are not used."""
        self._rows.setdefault(kind, Counter())["alike"] += rows

    def without(self, kind: str, table: pa.Table, *rules: tuple[Callable[[pa.Table], Mask], Why]) -> pa.Table:
        """`table` less the rows that the first of the `rules` calls bad, less those that the next does, and so on."""
        for bad, why in rules:
            mask = np.asarray(bad(table))
            self.note(kind, table, mask, why)
            table = table.filter(pa.array(~mask)) if mask.any() else table
        return table

    def first_rows(
        self, kind: str, table: pa.Table, key: str, *differences: tuple[tuple[str, ...], Why], in_use: bool = False
    ) -> pa.Table:
        """The first row of each `key`; a later one is at fault where it differs in columns, else it repeats the first.

        Where they are `in_use`, rows count as used although the table has the first ones alone.
        """
        left = np.ones(len(table), bool)
        for columns, why in differences:
            again, other = repeats(table, key, columns)
            self.note(kind, table, left & other, why, in_use)
            left &= again & ~other
        if not in_use:
            self.alike(kind, int(left.sum()))
        return table.filter(pa.array(~again))

    def note(self, kind: str, table: pa.Table, bad: Mask, why: Why, in_use: bool = False) -> None:
        """The rows `bad` [N] of a table are at fault, and stay in it."""
        if not np.any(bad):
            return
        problem, remedy, shown = why
        faulty = table.filter(pa.array(np.asarray(bad)))
        files, rows = (faulty[name].to_numpy() for name in PLACE)
        for file in np.unique(files):
            at = files == file
            values = [shorten(value) for value in faulty[shown].filter(pa.array(at)).to_pylist()]
            self.faults.append(FileFault(kind, self._files[file][0], Fault(problem, remedy, rows[at], values), in_use))

    def close(self, policy: OnBadRow, path: Path) -> None:
        """Write the faults to `path`; UserError where they are errors, or a kind of input has no row left."""
        if not self.faults:
            remove_listing(path)
            return
        by_file = _by_file(self.faults)
        files = [(name, counted, by_file[name]) for name, counted in dict.fromkeys(self._files) if name in by_file]
        if policy is OnBadRow.error:
            errors = [str(faults_error(name, faults, counted, "")).rstrip() for name, counted, faults in files]
            raise UserError("\n".join([*errors, f"  {SET_ASIDE}"]))
        tables = [list_faults(name, faults, pa.table({}), np.empty(0, np.int64)) for name, _, faults in files]
        with atomic_file(path) as part:
            pa.csv.write_csv(pa.concat_tables(tables), part)
        seal.write(path, "derive")
        unused = {kind: rows["left"] + self._aside(kind) + rows["alike"] for kind, rows in self._rows.items()}
        if empty := [kind for kind, rows in self._rows.items() if 0 < rows["all"] == unused[kind]]:
            raise UserError(f"{' and '.join(empty)}: no row is left; why each is set aside is listed in {path}")

    def counts(self) -> list[dict[str, Any]]:
        """input, problem, rows and whether they are kept in use, for each kind of fault."""
        totals: Counter[tuple[str, str, bool]] = Counter()
        for entry in self.faults:
            totals[entry.kind, entry.fault.problem, entry.in_use] += len(entry.fault.rows)
        return [
            {"input": kind, "problem": problem, "rows": rows, "kept": in_use}
            for (kind, problem, in_use), rows in totals.items()
        ]

    def _aside(self, kind: str) -> int:
        """Rows of a kind that are at fault and not in use, each once."""
        entries = [entry for entry in self.faults if entry.kind == kind and not entry.in_use]
        return sum(len(faulty_rows(faults)) for faults in _by_file(entries).values())


def _by_file(entries: Iterable[FileFault]) -> dict[str, list[Fault]]:
    faults: dict[str, list[Fault]] = {}
    for entry in entries:
        faults.setdefault(entry.file, []).append(entry.fault)
    return faults


def too_long(longest: int, shown: str) -> Why:
    """Problem, remedy and column `shown` of a text of more than `longest` characters."""
    return f"text is longer than {longest:,} characters", "shorten it, or raise read.longest", shown
