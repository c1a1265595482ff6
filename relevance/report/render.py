"""A sweep's record → <reports>/<sweep>/{matrix.md, cells.csv, heatmap.png, provenance.json}.

sweep "nightly" → multirun_reports/nightly/; "a b" → multirun_reports/a-b-c8687a08/
"""

import hashlib
import re
from collections import Counter
from pathlib import Path

from relevance.records import CellRecord, SweepRecord
from relevance.report.accuracy import accuracy_table
from relevance.report.cost import cost_table, parameters_table
from relevance.report.document import Block, Code, Section
from relevance.report.export import cells_csv, provenance_json
from relevance.report.figures import write_heat_map
from relevance.report.form.markdown import markdown
from relevance.report.matrix import FINISHED, Matrix, Row, matrices
from relevance.report.notes import notes
from relevance.report.probes import probes_section

SLUG = 80  # characters at most


def write_report(sweep: SweepRecord, reports: Path) -> Path:
    """Write the report of a sweep; returns its folder. The same runs give the same bytes.

    Raises UserError where a table of pairs or predictions is absent or does not match its run.
    """
    found = matrices(sweep)
    folder = reports / slug(sweep.name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "matrix.md").write_text(
        markdown(f"Matrix: {sweep.name}", sections(sweep, found)), encoding="utf-8", newline="\n"
    )
    (folder / "cells.csv").write_text(cells_csv(sweep, found), encoding="utf-8", newline="\n")
    (folder / "provenance.json").write_text(provenance_json(sweep, found), encoding="utf-8", newline="\n")
    for matrix in found:
        _write_aside(matrix, folder / matrix.aside_name)
    write_heat_map(found, folder / "heatmap.png")
    return folder


def _write_aside(matrix: Matrix, path: Path) -> None:
    path.unlink(missing_ok=True)
    if matrix.aside:
        path.write_bytes(matrix.aside)


def slug(name: str) -> str:
    """A folder name of letters, digits and ._- for `name`: itself where it is one, else marked by a digest.

    The digest keeps two names that differ only in other characters from sharing a folder.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    if plain == name and name.strip(".") and len(name) <= SLUG:
        return name
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{plain.strip('.-')[: SLUG - 9] or 'sweep'}-{mark}"


def sections(sweep: SweepRecord, found: list[Matrix]) -> list[Section]:
    """The report from its first line to its last."""
    rows = [row for matrix in found for row in matrix.rows]
    tables = [block for matrix in found for block in (data_line(matrix), accuracy_table(matrix))]
    return [
        Section(
            "",
            [
                "Test accuracy in percent; mean ± standard deviation over cells equal in all but seed.",
                Code(sweep.command),
                *tables,
                *counts(sweep, rows),
            ],
        ),
        Section("Notes", [notes(found)]),
        *probes_section(found),
        Section("Cost", ["Means over seeds that finished.", cost_table(rows)]),
        Section(
            "Parameters",
            ["Weights, trainable / total; private layers with their gates.", parameters_table(rows)],
            deep=True,
        ),
    ]


def data_line(matrix: Matrix) -> str:
    """Which table of pairs, its size, and how many rows of its file are not in it."""
    sizes = ", ".join(f"{n:,} {split}" for split, n in matrix.sizes.items())
    told = f"Data {matrix.digest[:12]}: {sizes} rows."
    if matrix.aside:
        told += f" Set aside: {matrix.set_aside:,} rows of the file, listed in {matrix.aside_name}."
    return told


def counts(sweep: SweepRecord, rows: list[Row]) -> list[Block]:
    """How many cells ended how, and each unfinished one with its reason."""
    flat = sum(bool(tasks) for row in rows for tasks in row.collapsed)
    finished = sum(cell.status == FINISHED for cell in sweep.cells)
    others = [cell for cell in sweep.cells if cell.status != FINISHED]
    ends = Counter(cell.status.lower() for cell in others)
    words = [
        f"{finished} finished" + (f" ({flat} collapsed on some task)" if flat else ""),
        *(f"{n} {end}" for end, n in ends.items()),
    ]
    total = len(sweep.cells)
    line = f"{total} {'cell' if total == 1 else 'cells'}: {', '.join(words)}."
    return [line, [_unfinished(cell) for cell in others]] if others else [line]


def _unfinished(cell: CellRecord) -> str:
    reason = f": {cell.reason}" if cell.reason else ""
    return f"{cell.cell} {cell.status.lower()}{reason}"
