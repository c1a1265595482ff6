"""The rows of a file that could be read, those at fault, and the one error or the listing that names every fault.

Loaded(table=3 rows, rows=[1, 2, 4], faults=[Fault("torn row", "give every row ...", rows=[3], values=["3 cells"])])
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.errors import UserError, plural

SET_ASIDE = "or set data.on_bad_row=quarantine to set these rows aside and go on without them"
NONE_LEFT = "no row is left; mend the file"
LISTED = 20  # rows of each kind of fault that an error lists
LISTING = ("file", "row", "problem", "value", "remedy")  # then cells of the row
SHOWN = ("task", "left", "right", "label", "split", "left_id", "right_id", "source", "weight")


@dataclass(frozen=True)
class Fault:
    problem: str
    remedy: str
    rows: np.ndarray  # [k], numbers as a person counts them in the file
    values: Sequence[str]  # [k], what stands there

    @classmethod
    def of(cls, problem: str, remedy: str, values: Mapping[int, str]) -> "Fault":
        """That of the rows which `values` number."""
        return cls(problem, remedy, np.array([*values], np.int64), [*values.values()])


@dataclass(frozen=True)
class Loaded:
    table: pa.Table
    rows: np.ndarray  # [N] numbers of the table's rows in the file, ascending
    faults: tuple[Fault, ...] = ()
    counted: str = "rows are counted from 1"
    signs: int = 0  # texts whose control characters were read as signs of cp1252

    def check(self, file: str, set_aside: bool) -> None:
        """UserError with every fault where they are not to be set aside, or leave no row."""
        if self.faults and not (set_aside and len(self.table)):
            raise faults_error(file, self.faults, self.counted, SET_ASIDE if len(self.table) else NONE_LEFT)

    def without(self, faults: Sequence[Fault]) -> "Loaded":
        """The same with these faults added and their rows taken out of the table."""
        if not faults:
            return self
        good = ~np.isin(self.rows, faulty_rows(faults))
        table = self.table.filter(pa.array(good))
        return replace(self, table=table, rows=self.rows[good], faults=(*self.faults, *faults))


def joined(parts: Sequence[Loaded]) -> Loaded:
    """Consecutive parts of one file as one."""
    table = pa.concat_tables([part.table for part in parts])
    rows = np.concatenate([part.rows for part in parts])
    faults = merge_faults([fault for part in parts for fault in part.faults])
    return replace(parts[-1], table=table, rows=rows, faults=faults, signs=sum(part.signs for part in parts))


def signs_note(file: str, texts: int) -> str:
    return f"{file}: {texts:,} texts hold control characters (U+0080 to U+009F), read as the signs of cp1252"


def faulty_rows(faults: Sequence[Fault]) -> np.ndarray:
    """The numbers of all rows that `faults` name, each once, ascending."""
    return np.unique(np.concatenate([np.empty(0, np.int64), *(fault.rows for fault in faults)]))


def merge_faults(faults: Sequence[Fault]) -> tuple[Fault, ...]:
    """A fault for each rule, in the order the rules were met first."""
    merged: dict[str, Fault] = {}
    for fault in faults:
        if known := merged.get(fault.problem):
            rows, values = np.concatenate([known.rows, fault.rows]), [*known.values, *fault.values]
            fault = replace(known, rows=rows, values=values)
        merged[fault.problem] = fault
    return tuple(merged.values())


def unique(path: Path, names: Sequence[str]) -> None:
    """Raise UserError where the file names a column twice."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(f"{path}: column {', '.join(twice)} is given twice; rename or remove one")


def faults_error(file: str, faults: Sequence[Fault], counted: str, remedy: str) -> UserError:
    """One error for all faults; `counted` says how rows are numbered, `remedy` what else helps."""
    lines = [f"{file}: {plural(len(faulty_rows(faults)), 'row')} at fault ({counted})"]
    for fault in faults:
        lines.append(f"  {fault.problem}: {plural(len(fault.rows), 'row')}; remedy: {fault.remedy}")
        shown = zip(fault.rows[:LISTED], fault.values[:LISTED], strict=True)
        lines += [f"    {file} row {row}: {value}" for row, value in shown]
        if len(fault.rows) > LISTED:
            lines.append(f"    … and {len(fault.rows) - LISTED:,} more")
    return UserError("\n".join([*lines, f"  {remedy}"]))


def quarantine_note(faults: Sequence[Fault], good: int, path: Path) -> str:
    """How many rows are at fault beside the `good` ones, why, and where they are listed."""
    bad = len(faulty_rows(faults))
    kinds = ", ".join(f"{fault.problem} {len(fault.rows):,}" for fault in faults)
    return f"quarantined: {bad:,} of {bad + good:,} rows ({kinds}) → {path}"


def listing_schema(cells: Sequence[str]) -> pa.Schema:
    return pa.schema([(name, pa.string()) for name in (*LISTING, *cells)])


def list_faults(file: str, faults: Sequence[Fault], table: pa.Table, rows: np.ndarray) -> pa.Table:
    """A row of texts for each fault: LISTING, then its cells of `table`, whose rows have the numbers `rows`."""
    numbers = np.concatenate([fault.rows for fault in faults])
    kind = pa.array(np.repeat(np.arange(len(faults)), [len(fault.rows) for fault in faults]))
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        "file": pa.array([file] * len(numbers), pa.string()),
        "row": pa.array(numbers),
        "problem": pa.array([fault.problem for fault in faults]).take(kind),
        "value": pa.array([value for fault in faults for value in fault.values], pa.string()),
        "remedy": pa.array([fault.remedy for fault in faults]).take(kind),
    }
    absent = ~np.isin(numbers, rows)
    at = pa.array(np.where(absent, 0, np.searchsorted(rows, numbers)), mask=absent)
    columns |= {name: table[name].take(at) for name in SHOWN if name in table.column_names}
    return pa.table({name: guard_formulas(column) for name, column in columns.items()})


def guard_formulas(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Cells that a spreadsheet would run as a formula get a leading quote."""
    return pc.replace_substring_regex(column.cast(pa.string()), r"^([=+\-@\t\r])", r"'\1")
