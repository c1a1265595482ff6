"""Probabilities of finished cells → how far they can be trusted: calibration error and accuracy against coverage.

| model | routing | task mix | variant | probabilities | seeds | query_item n=402 | ... | all n=2,412 |
| llm   | mhp     | joint    |         | as trained    | 3     | 6.1 ± 0.3        | ... | 5.8 ± 0.2   |
| llm   | mhp     | joint    |         | temperature   | 3     | 1.4 ± 0.1        | ... | 1.1 ± 0.1   |
"""

from dataclasses import dataclass

import numpy as np

from relevance import predictions
from relevance.metrics import task_codes
from relevance.pages.blocks import IDENTITY, Block, Section, Table, percent
from relevance.report.matrix import Matrix, highest, leaders, whole
from relevance.report.rows import Row, spread
from relevance.report.sections.accuracy import headings, seeds
from relevance.report.stats.calibration import Bins, Judged, coverage
from relevance.tasks import TASK_NAMES
from relevance.tracking.records import CellRecord

MOST = 24  # rows of a table
WORK = 1_000_000  # predictions that are calibrated at most, or else one cell's: about a second
KINDS = ("as trained", "temperature", "isotonic")
COVERAGE = (100, 90, 80, 50)  # percent of the test rows
INTRODUCTION = (
    "Expected calibration error in percent, lower is better: the mean distance between the probability of an answer "
    "and the share of such answers that are right, over 15 bins of equal width (Naeini et al. 2015; Guo et al. 2017). "
    "Temperature and isotonic are fitted per task on the validation rows of the same cell; isotonic may change answers."
)
SUREST = "Accuracy in percent on the share of the test rows that a cell is surest of, as trained, over all tasks."


@dataclass(frozen=True, eq=False)
class Curve:
    """Reliability of one cell on one task, as trained; a bin without rows is NaN."""

    label: str  # "llm mhp"
    task: str
    confidence: np.ndarray  # [15] mean probability of the answers
    accuracy: np.ndarray  # [15] share of the answers that are right
    count: np.ndarray  # [15] rows


@dataclass(frozen=True, eq=False)
class Measured:
    """One cell."""

    bins: Bins  # as trained
    error: np.ndarray  # [3, 7] calibration errors by KINDS; tasks, then all rows; NaN without validation rows
    coverage: np.ndarray  # [4] accuracies by COVERAGE
    kept: int | None  # tasks that could not be calibrated; None where validation.parquet is absent


@dataclass(frozen=True, eq=False)
class Calibration:
    """The rows shown, each with its finished cells by seed."""

    rows: tuple[tuple[Row, tuple[Measured, ...]], ...]
    left_out: int  # rows that would be shown were there fewer
    curves: list[Curve]


def calibration(matrix: Matrix) -> Calibration:
    """Of the rows tested on every task, those of the highest macro accuracy: 24, or fewer of many predictions.

    Raises UserError where a predictions file is of another table or no such file at all.
    """
    rows = whole(matrix)
    one = len(matrix.tested.row) * max((row.finished for row in rows), default=1)
    shown = highest(rows, max(1, min(MOST, WORK // max(1, one))))
    cells = max(1, WORK // max(1, len(matrix.tested.row)))  # of a row: its lowest seeds, where all are too many
    measured = {row: tuple(_measured(matrix, cell) for cell, _ in row.done[:cells]) for row in shown}
    curves = []
    for row in leaders(matrix):
        bins = measured[row][0].bins if row in measured else Bins.of(_test(matrix, row.done[0][0]))
        curves += _curves(row, bins)
    return Calibration(tuple(measured.items()), len(rows) - len(measured), curves)


def calibration_section(found: list[Matrix], known: list[Calibration], figures: list[Block]) -> list[Section]:
    """Two tables for each matrix, whose calibrations are `known`, and the figures.

    No section where no row was tested on every task.
    """
    blocks: list[Block] = [INTRODUCTION]
    for matrix, one in zip(found, known, strict=True):
        if one.rows:
            blocks += [f"Data {matrix.digest[:12]}:"] if len(found) > 1 else []
            blocks += [_errors(matrix, one), *_remarks(one), SUREST, _coverage(matrix, one)]
    return [Section("Calibration", [*blocks, *figures])] if len(blocks) > 1 else []


def _measured(matrix: Matrix, cell: CellRecord) -> Measured:
    test, validation = _test(matrix, cell), _validation(cell)
    bins, sure = Bins.of(test), coverage(test, COVERAGE)
    if validation is None:
        return Measured(bins, np.vstack([bins.error, np.full((len(KINDS) - 1, len(bins.error)), np.nan)]), sure, None)
    from relevance.report.stats.calibrators import METHODS, calibrated, unfit  # scikit-learn is slow to import

    errors = [bins.error, *(Bins.of(calibrated(validation, test, method)).error for method in METHODS)]
    return Measured(bins, np.array(errors), sure, len(np.intersect1d(test.task, unfit(validation))))


def _test(matrix: Matrix, cell: CellRecord) -> Judged:
    path = cell.files.test
    found = predictions.read(path, ["row", *predictions.PROBABILITIES])
    at = matrix.tested.places(found["row"].to_numpy(), path)
    return Judged(matrix.tested.task[at], matrix.tested.label[at], predictions.probabilities(found))


def _validation(cell: CellRecord) -> Judged | None:
    path = cell.files.validation
    if not path.is_file():
        return None
    found = predictions.read(path, ["task", "label", *predictions.PROBABILITIES])
    return Judged(task_codes(found["task"]), found["label"].to_numpy(), predictions.probabilities(found))


def _curves(row: Row, bins: Bins) -> list[Curve]:
    model, routing, mix, variant = row.labels
    label = " ".join(filter(None, (model, routing, mix if mix != "joint" else "", variant)))
    share = np.divide(
        [bins.confidence, bins.hits], bins.count, out=np.full((2, *bins.count.shape), np.nan), where=bins.count > 0
    )
    return [
        Curve(label, task, share[0, code], share[1, code], bins.count[code])
        for code, task in enumerate(TASK_NAMES)
        if bins.count[code].any()
    ]


def _errors(matrix: Matrix, one: Calibration) -> Table:
    body = []
    for row, cells in one.rows:
        for kind, name in enumerate(KINDS):
            values = np.array([cell.error[kind] for cell in cells])
            counted = int((~np.isnan(values[:, -1])).sum())
            body.append([*row.labels, name, seeds(counted, row), *(percent(*spread(column)) for column in values.T)])
    tasks = headings(matrix)[: len(TASK_NAMES)]
    header = [*IDENTITY, "probabilities", "seeds", *tasks, f"all n={matrix.n.sum():,}"]
    return Table(header, body, left=len(IDENTITY) + 1)


def _coverage(matrix: Matrix, one: Calibration) -> Table:
    body = []
    for row, cells in one.rows:
        values = np.array([cell.coverage for cell in cells])
        body.append([*row.labels, seeds(len(cells), row), *(percent(*spread(column)) for column in values.T)])
    shares = [f"{share} % n={-(-int(matrix.n.sum()) * share // 100):,}" for share in COVERAGE]
    return Table([*IDENTITY, "seeds", *shares], body, left=len(IDENTITY))


def _remarks(one: Calibration) -> list[Block]:
    """What the tables leave out, each with how often."""
    cells = [cell for _, measured in one.rows for cell in measured]
    fitted = [cell for cell in cells if cell.kept is not None]
    kept = sum(cell.kept or 0 for cell in fitted)
    cases = sum(int((~np.isnan(cell.error[0, :-1])).sum()) for cell in fitted)
    absent, rows = len(cells) - len(fitted), len(one.rows) + one.left_out
    lines = {
        f"Left out, of lower macro accuracy: {one.left_out} of {rows} rows.": one.left_out,
        f"Without validation.parquet, so as trained only: {absent} of {len(cells)} cells.": absent,
        f"Kept as trained because validation rows lack a label, or are none: {kept} of {cases} pairs of cell and "
        "task.": kept,
    }
    told = [line for line, times in lines.items() if times]
    return [told] if told else []
