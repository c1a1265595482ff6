"""Rows of the inputs that are at fault → one error that names them all, or one csv of them.

judgements raw.csv row 17, "grade is none of the map": 'Exactt' → set aside, counted, listed in pairs.quarantine.csv
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from relevance import seal
from relevance.atomic_io import atomic_file
from relevance.config import OnBadRow
from relevance.data.faults import Fault, faults_error, faulty_rows, list_faults
from relevance.derive.readers import Part
from relevance.errors import UserError, first_line, shorten
from relevance.outputs import remove_listing

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
        self._rows: dict[str, int] = {}  # of each kind, those that cannot be read among them
        self._left: dict[str, int] = {}  # left out by where
        self._alike: dict[str, int] = {}
        self._signs: dict[str, int] = {}  # texts whose control characters were read as signs of cp1252
        self._files: list[tuple[str, str]] = []  # name, how its rows are counted

    @property
    def read(self) -> dict[str, int]:
        """Rows of each kind: all, and those of them that are not in use, by reason; no zeros."""
        counts = {}
        for kind, rows in self._rows.items():
            counts[f"{kind}: rows of the files"] = rows
            counts[f"{kind}: left out by read.{kind}.where"] = self._left[kind]
            counts[f"{kind}: set aside"] = self._aside(kind)
            counts[f"{kind}: said again"] = self._alike.get(kind, 0)
            counts[f"{kind}: control characters read as signs of cp1252"] = self._signs[kind]
        return {name: rows for name, rows in counts.items() if rows}

    def used(self, kind: str) -> int:
        """Rows of a kind that are in use so far."""
        return self._rows[kind] - self._left[kind] - self._aside(kind) - self._alike.get(kind, 0)

    def take(self, kind: str, parts: dict[str, Part]) -> pa.Table:
        """The rows of all files as one table, with the columns `file` and `row`."""
        tables, names = [], dict.fromkeys(name for part in parts.values() for name in part.loaded.table.column_names)
        for name, part in parts.items():
            loaded = part.loaded
            self.faults += [FileFault(kind, name, fault, in_use=False) for fault in loaded.faults]
            place = {"file": np.full(len(loaded.rows), len(self._files)), "row": loaded.rows}
            tables.append(pa.table({name: loaded.table[name] for name in loaded.table.column_names} | place))
            self._files.append((name, loaded.counted))
        self._signs[kind] = sum(part.loaded.signs for part in parts.values())
        self._left[kind] = sum(part.left for part in parts.values())
        self._rows[kind] = self._left[kind] + sum(
            len(part.loaded.rows) + len(faulty_rows(part.loaded.faults)) for part in parts.values()
        )
        return _joined(tables, names)

    def alike(self, kind: str, rows: int) -> None:
        """Count `rows` that repeat an earlier one and are not used."""
        self._alike[kind] = self._alike.get(kind, 0) + rows

    def without(self, kind: str, table: pa.Table, bad: np.ndarray, why: tuple[str, str, str]) -> pa.Table:
        """`table` less its rows `bad` [N]; `why` is the problem, the remedy and the column whose value is shown."""
        self.note(kind, table, bad, why)
        return table.filter(pa.array(~bad)) if bad.any() else table

    def note(
        self, kind: str, table: pa.Table, bad: np.ndarray, why: tuple[str, str, str], in_use: bool = False
    ) -> None:
        """The same, but the rows stay in the table."""
        if not bad.any():
            return
        problem, remedy, shown = why
        faulty = table.filter(pa.array(bad))
        files, rows = (faulty[name].to_numpy() for name in PLACE)
        for file in np.unique(files):
            at = files == file
            values = [shorten(value) for value in faulty[shown].filter(pa.array(at)).to_pylist()]
            self.faults.append(FileFault(kind, self._files[file][0], Fault(problem, remedy, rows[at], values), in_use))

    def close(self, policy: OnBadRow, path: Path) -> None:
        """Write the faults to `path`; UserError where they are errors, or a kind of input has no row left."""
        if self.faults and policy is OnBadRow.error:
            raise UserError("\n".join([*self._errors(), f"  {SET_ASIDE}"]))
        if not self.faults:
            remove_listing(path)
            return
        empty = pa.table({})
        tables = [list_faults(name, faults, empty, np.empty(0, np.int64)) for name, _, faults in self._by_file()]
        with atomic_file(path) as part:
            pa.csv.write_csv(pa.concat_tables(tables), part)
        seal.write(path, "derive")
        if empty_kinds := [kind for kind in self._rows if not self.used(kind)]:
            raise UserError(f"{' and '.join(empty_kinds)}: no row is left; why each is set aside is listed in {path}")

    def counts(self) -> list[dict[str, Any]]:
        """input, problem, rows and whether they are kept in use, for each kind of fault."""
        totals: dict[tuple[str, str, bool], int] = {}
        for entry in self.faults:
            key = entry.kind, entry.fault.problem, entry.in_use
            totals[key] = totals.get(key, 0) + len(entry.fault.rows)
        return [
            {"input": kind, "problem": problem, "rows": rows, "kept": kept}
            for (kind, problem, kept), rows in totals.items()
        ]

    def _aside(self, kind: str) -> int:
        """Rows of a kind that are at fault and not in use, each once."""
        faults: dict[str, list[Fault]] = {}
        for entry in self.faults:
            if entry.kind == kind and not entry.in_use:
                faults.setdefault(entry.file, []).append(entry.fault)
        return sum(len(faulty_rows(of_file)) for of_file in faults.values())

    def _errors(self) -> list[str]:
        return [str(faults_error(name, faults, counted, "")).rstrip() for name, counted, faults in self._by_file()]

    def _by_file(self) -> list[tuple[str, str, Sequence[Fault]]]:
        return [
            (name, counted, faults)
            for name, counted in dict.fromkeys(self._files)
            if (faults := [entry.fault for entry in self.faults if entry.file == name])
        ]


def too_long(longest: int, shown: str) -> tuple[str, str, str]:
    """Problem, remedy and column `shown` of a text of more than `longest` characters."""
    return f"text is longer than {longest:,} characters", "shorten it, or raise read.longest", shown


def _joined(tables: list[pa.Table], names: Iterable[str]) -> pa.Table:
    """One table of all; a column that a file lacks is null there."""
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as cause:  # a category that is a text here and a list there: all else is text
        raise UserError(
            f"{', '.join(names)}: the files write a column in different ways ({first_line(cause)}); write it in one"
        ) from cause
