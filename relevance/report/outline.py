"""The findings of a sweep → the sections of its report, in the order of the page."""

from collections import Counter

from relevance.records import CellRecord, SweepRecord
from relevance.report.accuracy import accuracy_table, interval_table
from relevance.report.baselines import baselines_sections
from relevance.report.claims_section import claims_section
from relevance.report.comparisons import near, told
from relevance.report.consistency import consistency_section
from relevance.report.cost import cost_table, parameters_table
from relevance.report.document import Block, Code, Section
from relevance.report.ensemble.section import ensembles_section
from relevance.report.factors import factors_section
from relevance.report.findings import Findings
from relevance.report.matrix import FINISHED, Matrix, Row
from relevance.report.measures import measures_section
from relevance.report.notes import notes
from relevance.report.opening import opening
from relevance.report.probes import probes_section
from relevance.report.variants import written

FOLDED = "Test accuracy in percent; mean ± standard deviation over cells equal in all but seed."
INTERVALS = (
    "95 % intervals of the means above, in percent: entities of the test rows drawn again {draws:,} times (the left "
    "entity; both in tasks of two entities of one kind), the seeds as they were."
)
APART = "The highest row of each column, and which rows the interval of the difference does not tell apart from it:"


def sections(sweep: SweepRecord, found: list[Findings]) -> list[Section]:
    """The report from its first line to its last."""
    matrices = [one.matrix for one in found]
    rows = [row for matrix in matrices for row in matrix.rows]
    answer = [line for one in found for line in opening(one.main, one.claims)]
    whole = [Section("", answer), _matrix(sweep, found, rows), Section("Notes", [notes(matrices)])]
    for one in found:
        whole += _decided(one, len(found) > 1)
    return [
        *whole,
        *probes_section(matrices),
        Section("Cost", ["Means over seeds that finished.", cost_table(rows)]),
        Section(
            "Parameters",
            ["Weights, trainable / total; private layers with their gates.", parameters_table(rows)],
            deep=True,
        ),
    ]


def _matrix(sweep: SweepRecord, found: list[Findings], rows: list[Row]) -> Section:
    tables = [
        block for one in found for block in (data_line(one.matrix), accuracy_table(one.matrix, near(one.comparisons)))
    ]
    commands = [Code(run.command) for run in sweep.runs]
    return Section("Matrix", [FOLDED, *commands, *tables, *counts(sweep, rows)])


def _decided(found: Findings, several: bool) -> list[Section]:
    """What rests on one table of pairs; said which where there are several."""
    matrix = found.matrix
    sure = [INTERVALS.format(draws=matrix.resample.draws), interval_table(matrix), APART, told(found.comparisons)]
    own = [
        *([Section("How sure", sure)] if any(row.finished for row in matrix.rows) else []),
        claims_section(found.claims, found.mcnemar),
        *factors_section(found.main),
        *ensembles_section(matrix, found.voted, found.ties),
        *baselines_sections(matrix, found.gains),
        *consistency_section(matrix),
        *measures_section(matrix),
    ]
    if not several:
        return own
    return [Section(f"{one.title} (data {matrix.digest[:12]})", one.blocks, one.deep) for one in own]


def data_line(matrix: Matrix) -> str:
    """Which table of pairs, its size, and how many rows of its file are not in it."""
    sizes = ", ".join(f"{n:,} {split}" for split, n in matrix.sizes.items())
    told = f"Data {matrix.digest[:12]}: {sizes} rows."
    if matrix.common:
        told += f" In every cell: {written(matrix.common)}."
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
