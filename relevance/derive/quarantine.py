"""Rows of the inputs that are at fault → one error that names them all, or one csv of them.

judgements raw.csv row 17, "grade is none of the map": 'Exactt' → set aside, counted, listed in pairs.quarantine.csv
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from relevance import whole
from relevance.config import OnBadRow
from relevance.data.faults import Fault, error, faulty, listed, shorten
from relevance.data.loaded import Loaded
from relevance.errors import UserError

SET_ASIDE = "or set on_bad_row=quarantine to set these rows aside and go on without them"
PLACE = ("file", "row")  # columns that say where a row stands


@dataclass(frozen=True)
class Found:
    """A fault of one file; `kept` where its rows stay in use, less what is at fault."""

    kind: str
    file: str
    fault: Fault
    kept: bool


class Quarantine:
    """Collects what is at fault while inputs are read; `close` decides what becomes of it."""

    def __init__(self) -> None:
        self.found: list[Found] = []
        self.read: dict[str, int] = {}  # rows of each kind, those that cannot be read among them
        self._files: list[tuple[str, str]] = []  # name, how its rows are counted

    def take(self, kind: str, parts: dict[str, Loaded]) -> pa.Table:
        """The rows of all files as one table, with the columns `file` and `row`."""
        tables = []
        for name, part in parts.items():
            self.found += [Found(kind, name, fault, kept=False) for fault in part.faults]
            place = {"file": np.full(len(part.rows), len(self._files)), "row": part.rows}
            tables.append(pa.table({name: part.table[name] for name in part.table.column_names} | place))
            self._files.append((name, part.counted))
        self.read[kind] = sum(len(part.rows) + len(faulty(part.faults)) for part in parts.values())
        return pa.concat_tables(tables, promote_options="permissive")

    def without(self, kind: str, table: pa.Table, bad: np.ndarray, told: tuple[str, str, str]) -> pa.Table:
        """`table` less its rows `bad` [N]; `told` is the problem, the remedy and the column whose value is shown."""
        self.note(kind, table, bad, told)
        return table.filter(pa.array(~bad)) if bad.any() else table

    def note(self, kind: str, table: pa.Table, bad: np.ndarray, told: tuple[str, str, str], kept: bool = False) -> None:
        """The same, and the rows stay where they are."""
        problem, remedy, shown = told
        own = table.filter(pa.array(bad))
        files, rows = (own[name].to_numpy() for name in PLACE)
        for file in np.unique(files):
            at = files == file
            values = [shorten(value) for value in own[shown].filter(pa.array(at)).to_pylist()]
            self.found.append(Found(kind, self._files[file][0], Fault(problem, remedy, rows[at], values), kept))

    def close(self, policy: OnBadRow, path: Path) -> None:
        """Raise UserError over all faults, or write them to `path`; an earlier file makes way."""
        if self.found and policy is OnBadRow.error:
            raise UserError("\n".join([*self._told(), f"  {SET_ASIDE}"]))
        if not self.found:
            path.unlink(missing_ok=True)
            return
        empty = pa.table({})
        tables = [listed(name, faults, empty, np.empty(0, np.int64)) for name, _, faults in self._by_file()]
        with whole.file(path) as part:
            pa.csv.write_csv(pa.concat_tables(tables), part)

    def counts(self) -> list[dict[str, object]]:
        """Kind, problem, rows and whether these were kept, of each kind of fault."""
        totals: dict[tuple[str, str, bool], int] = {}
        for one in self.found:
            key = one.kind, one.fault.problem, one.kept
            totals[key] = totals.get(key, 0) + len(one.fault.rows)
        return [
            {"input": kind, "problem": problem, "rows": rows, "kept": kept}
            for (kind, problem, kept), rows in totals.items()
        ]

    def _told(self) -> list[str]:
        return [str(error(name, faults, counted, "")).rstrip() for name, counted, faults in self._by_file()]

    def _by_file(self) -> list[tuple[str, str, Sequence[Fault]]]:
        return [
            (name, counted, found)
            for name, counted in dict.fromkeys(self._files)
            if (found := [one.fault for one in self.found if one.file == name])
        ]
