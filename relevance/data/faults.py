"""Rows that break the contract → one error that names them all, or a quarantine file.

Fault("label is not 0, 1 or 2", "use 0 irrelevant, ...", rows=[3, 9], values=["two", "1.5"])
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from relevance.atomic_io import atomic_file
from relevance.errors import UserError

SET_ASIDE = "or set data.on_bad_row=quarantine to set these rows aside and go on without them"
NONE_LEFT = "no row is left; mend the file"
LISTED = 20  # rows an error spells out for each kind of fault
WIDTH = 100  # characters of a value that a person is shown
LISTING = ("file", "row", "problem", "value", "remedy")  # then cells of the row
SHOWN = ("task", "left", "right", "label", "split", "left_id", "right_id", "source", "weight")


@dataclass(frozen=True)
class Fault:
    """The rows of a file that break one rule."""

    problem: str
    remedy: str
    rows: np.ndarray  # [k], numbers as a person counts them in the file
    values: Sequence[str]  # [k], what stands there


def faulty_rows(faults: Sequence[Fault]) -> np.ndarray:
    """The numbers of all rows named by `faults`, each once, ascending."""
    return np.unique(np.concatenate([np.empty(0, np.int64), *(fault.rows for fault in faults)]))


def merge_faults(faults: Sequence[Fault]) -> tuple[Fault, ...]:
    """One fault for each rule, in the order they were met first."""
    rules: dict[str, list[Fault]] = {}
    for fault in faults:
        rules.setdefault(fault.problem, []).append(fault)
    return tuple(
        replace(
            same[0],
            rows=np.concatenate([fault.rows for fault in same]),
            values=[value for fault in same for value in fault.values],
        )
        for same in rules.values()
    )


def shorten(value: object) -> str:
    """`value` as an error shows it: quoted, on one line, at most WIDTH characters."""
    text = repr(value) if value is not None else "null"
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def faults_error(file: str, faults: Sequence[Fault], counted: str, remedy: str) -> UserError:
    """One error over every fault; `counted` says how rows are numbered, `remedy` what else helps."""
    lines = [f"{file}: {_rows(len(faulty_rows(faults)))} at fault ({counted})"]
    for fault in faults:
        lines.append(f"  {fault.problem}: {_rows(len(fault.rows))}; remedy: {fault.remedy}")
        shown = zip(fault.rows[:LISTED], fault.values[:LISTED], strict=True)
        lines += [f"    {file} row {row}: {value}" for row, value in shown]
        if len(fault.rows) > LISTED:
            lines.append(f"    … and {len(fault.rows) - LISTED:,} more")
    return UserError("\n".join([*lines, f"  {remedy}"]))


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"


def write_quarantine(path: Path, file: str, faults: Sequence[Fault], table: pa.Table, rows: np.ndarray) -> None:
    """Write every fault as `list_faults` has it to the csv at `path`, whole or not at all."""
    with atomic_file(path) as part:
        pa.csv.write_csv(list_faults(file, faults, table, rows), part)


def listing_schema(cells: Sequence[str]) -> pa.Schema:
    """The schema of `list_faults` for a table of these columns."""
    return pa.schema([(name, pa.string()) for name in (*LISTING, *cells)])


def list_faults(file: str, faults: Sequence[Fault], table: pa.Table, rows: np.ndarray) -> pa.Table:
    """A row of texts for each fault: file, row, problem, value, remedy, then the row's cells.

    `table` holds the rows that could be read, `rows` their numbers; other rows get empty cells.
    """
    numbers = np.concatenate([fault.rows for fault in faults])
    kind = np.repeat(np.arange(len(faults)), [len(fault.rows) for fault in faults])
    about = (
        pa.array([file] * len(numbers), pa.string()),
        pa.array(numbers),
        pa.array([fault.problem for fault in faults]).take(pa.array(kind)),
        pa.array([value for fault in faults for value in fault.values], pa.string()),
        pa.array([fault.remedy for fault in faults]).take(pa.array(kind)),
    )
    columns = dict(zip(LISTING, about, strict=True))
    at = np.searchsorted(rows, numbers)
    absent = ~np.isin(numbers, rows)
    at = pa.array(np.where(absent, 0, at), mask=absent)
    columns |= {name: table[name].take(at) for name in SHOWN if name in table.column_names}
    return pa.table({name: guard_formulas(column) for name, column in columns.items()})


def guard_formulas(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Cells a spreadsheet would run as a formula get a leading quote."""
    return pc.replace_substring_regex(column.cast(pa.string()), r"^([=+\-@\t\r])", r"'\1")
