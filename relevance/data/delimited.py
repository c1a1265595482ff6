"""A csv or tsv file → its rows as text, each numbered; rows with too many or too few cells come back as faults.

"query_item,usb c cable,2" under "task,left,right,label" → torn row: 3 cells, not 4
"""

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from relevance.data import utf8
from relevance.data.faults import Fault, shorten
from relevance.data.loaded import BLOCK, Loaded, unique
from relevance.errors import UserError


def read(path: Path, delimiter: str) -> Loaded:
    """Every cell as text. Raises UserError for a header that is absent or no UTF-8, and for an open quote."""
    names = _header(path, delimiter)
    torn: list[pa.csv.InvalidRow] = []

    def set_aside(row: pa.csv.InvalidRow) -> str:
        torn.append(row)
        return "skip"

    table = pa.csv.read_csv(
        path,
        pa.csv.ReadOptions(use_threads=False, block_size=BLOCK),  # one thread: only so are torn rows numbered
        pa.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=set_aside),
        pa.csv.ConvertOptions(check_utf8=False, column_types=dict.fromkeys(names, pa.string())),
    )
    _closed(path, table, torn)
    numbers = np.array([row.number - 1 for row in torn], np.int64)  # the parser counts the header as row 1
    values = [_torn(row) for row in torn]
    rows = np.setdiff1d(np.arange(1, len(table) + len(torn) + 1), numbers, assume_unique=True)
    remedy = "give every row as many cells as the header; quote a cell that holds the delimiter"
    faults = (Fault("torn row", remedy, numbers, values),) if torn else ()
    return Loaded(table, rows, faults, "rows are counted from 1 after the header, blank lines left out")


def _header(path: Path, delimiter: str) -> list[str]:
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            names = next((row for row in csv.reader(file, delimiter=delimiter) if row), [])
        "".join(names).encode()
    except UnicodeEncodeError:
        raise UserError(f"{path}: the header (from byte 0) is not UTF-8; {utf8.REMEDY}") from None
    if not names:
        raise UserError(f"{path}: the file has no header; its first line names the columns")
    unique(path, names)
    return names


def _torn(row: pa.csv.InvalidRow) -> str:
    lines = row.text.count("\n") + 1
    over = f" over {lines} lines" if lines > 1 else ""
    return f"{row.actual_columns} cells{over}, not {row.expected_columns}: {shorten(row.text)}"


def _closed(path: Path, table: pa.Table, torn: list[pa.csv.InvalidRow]) -> None:
    """The parser takes what follows a quote that is never closed as one cell, whatever rows are in it: refuse it."""
    swallowing = [row.number - 1 for row in torn if "\n" in row.text and row.text.count('"') % 2]
    rows = len(table) + len(torn)
    if not swallowing and len(table) and not (torn and torn[-1].number - 1 == rows):
        last = table.columns[-1][-1].as_buffer()
        if last is not None and b"\n" in last.to_pybytes() and not _ends_in_quote(path):
            swallowing = [rows]
    if swallowing:
        raise UserError(
            f"{path}: row {swallowing[0]} opens a quote that is never closed; close it, or double a quote "
            "that belongs to the text"
        )


def _ends_in_quote(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 64))
        return file.read().rstrip().endswith(b'"')
