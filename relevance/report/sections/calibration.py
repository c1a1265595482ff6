"""Probabilities of finished cells → how far they can be trusted: their calibration error.

| model | routing | task mix | variant | probabilities | seeds | query_item n=402 | ... | all n=2,412 |
| llm   | mhp     | joint    |         | as trained    | 3     | 6.1 ± 0.3        | ... | 5.8 ± 0.2   |
| llm   | mhp     | joint    |         | temperature   | 3     | 1.4 ± 0.1        | ... | 1.1 ± 0.1   |
"""

from dataclasses import dataclass

import numpy as np

from relevance import predictions
from relevance.calibration import METHODS, Judged, calibrated, unfit
from relevance.pages.blocks import Block, Section, Table
from relevance.report.figures import Curve
from relevance.report.matrix import JOINT, Matrix, highest, leaders, whole
from relevance.report.rows import Row
from relevance.report.sections import headings, of_data, percents, seeds, table
from relevance.tasks import TASK_NAMES
from relevance.tracking.records import CellRecord

MOST = 24  # rows of a table
FEWEST = 20  # rows of a bin that is drawn by itself
WORK = 1_000_000  # predictions that are calibrated at most, or else one cell's: about a second
INTRODUCTION = (
    "Expected calibration error in percent, lower is better: the mean distance between the probability of an answer "
    "and the share of such answers that are right, over 15 bins of equal width. "
    "Temperature and isotonic are fitted per task on the validation rows of the same cell; isotonic may change answers."
)
BINS = 15  # as in Guo et al. 2017
EDGES = np.linspace(0, 1, BINS + 1)
KINDS = ("as trained", *METHODS)


@dataclass(frozen=True, eq=False)
class Bins:
    """Rows counted by task and by bin of confidence; bin b holds the confidences in (b / 15, (b + 1) / 15]."""

    count: np.ndarray  # [6, 15]
    confidence: np.ndarray  # [6, 15] sums
    hits: np.ndarray  # [6, 15]

    @classmethod
    def of(cls, judged: Judged) -> "Bins":
        """The rows of `judged`, each in the bin of its answer's probability."""
        shape = len(TASK_NAMES), BINS
        confidence = judged.confidence
        cell = judged.task * np.int64(BINS) + np.searchsorted(EDGES[1:-1], confidence)
        sums = [np.bincount(cell, weights, minlength=shape[0] * BINS) for weights in (None, confidence, judged.hit)]
        return cls(*(counts.reshape(shape) for counts in sums))

    @property
    def error(self) -> np.ndarray:
        """Expected calibration error, 0 to 1, per task, then over all rows [7]; NaN without rows.

        The mean over rows of |accuracy - mean confidence| of their bin, of the answer only ("top label"): Naeini,
        Cooper, Hauskrecht 2015; Guo, Pleiss, Sun, Weinberger 2017, eq. 3.
        """
        gap = np.abs(np.vstack([self.hits - self.confidence, (self.hits - self.confidence).sum(axis=0)])).sum(axis=1)
        n = np.append(self.count.sum(axis=1), self.count.sum())
        return np.divide(gap, n, out=np.full(len(n), np.nan), where=n > 0)


@dataclass(frozen=True, eq=False)
class Measured:
    """One cell."""

    bins: Bins  # as trained
    error: np.ndarray  # [3, 7] calibration errors by KINDS; tasks, then all rows; NaN without validation rows
    unfit: int | None  # tasks that could not be calibrated; None where validation.parquet is absent


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
    rows, n = whole(matrix), max(1, len(matrix.tested.row))
    most = max((row.finished for row in rows), default=1)
    shown = highest(rows, max(1, min(MOST, WORK // (n * most))))
    cells = max(1, WORK // n)  # of a row: its lowest seeds, where all are too many
    measured = {row: tuple(_measured(matrix, cell) for cell in row.done[:cells]) for row in shown}
    curves = []
    for row in leaders(matrix):
        curves += _curves(row, measured[row][0].bins if row in measured else Bins.of(judged(matrix, row.done[0])))
    return Calibration(tuple(measured.items()), len(rows) - len(measured), curves)


def calibration_section(tables: list[Matrix], calibrations: list[Calibration], figures: list[Block]) -> list[Section]:
    """A table for each matrix, of its calibration, and the figures; none where no row was tested on every task."""
    blocks: list[Block] = [INTRODUCTION]
    for matrix, shown in zip(tables, calibrations, strict=True):
        if shown.rows:
            blocks += of_data(matrix, tables)
            blocks += [_errors(matrix, shown), *_remarks(shown)]
    return [Section("Calibration", [*blocks, *figures], closed=True)] if len(blocks) > 1 else []


def _measured(matrix: Matrix, cell: CellRecord) -> Measured:
    test, path = judged(matrix, cell), cell.files.validation
    bins = Bins.of(test)
    if not path.is_file():
        return Measured(bins, np.vstack([bins.error, np.full((len(METHODS), len(bins.error)), np.nan)]), None)
    fit = Judged.of(predictions.read(path, ["task", "label", *predictions.PROBABILITIES]))
    errors = [bins.error, *(Bins.of(calibrated(fit, test, method)).error for method in METHODS)]
    return Measured(bins, np.array(errors), len(np.intersect1d(test.task, unfit(fit))))


def judged(matrix: Matrix, cell: CellRecord) -> Judged:
    """What a cell makes of the test rows that it was tested on."""
    known, at = matrix.tested.read(cell.files.test, predictions.PROBABILITIES)
    return Judged(matrix.tested.task[at], matrix.tested.label[at], predictions.probabilities(known))


def _curves(row: Row, bins: Bins) -> list[Curve]:
    """Its reliability on each task: confidence across, accuracy up; bins of few rows are pooled with the next."""
    label = " ".join(filter(None, (text for text in row.labels if text != JOINT)))
    curves = []
    for code, task in enumerate(TASK_NAMES):
        if bins.count[code].any():
            n, confidence, hits = pooled(np.stack([bins.count[code], bins.confidence[code], bins.hits[code]]))
            curves.append(Curve(label, task, confidence / n, hits / n, n))
    return curves


def pooled(sums: np.ndarray, fewest: int = FEWEST) -> np.ndarray:
    """Sums by bin [S, B], of which the first counts rows: each bin of fewer than `fewest` rows joins the next one up.

    What is left at the top joins the bin below.
    """
    columns: list[np.ndarray] = []
    waiting = np.zeros(len(sums))
    for column in sums.T:
        waiting = waiting + column
        if waiting[0] >= fewest:
            columns.append(waiting)
            waiting = np.zeros(len(sums))
    if waiting[0]:
        columns[-1:] = [columns[-1] + waiting] if columns else [waiting]
    return np.transpose(columns)


def _errors(matrix: Matrix, shown: Calibration) -> Table:
    body = []
    for row, cells in shown.rows:
        for kind, name in enumerate(KINDS):
            errors = np.array([cell.error[kind] for cell in cells])
            counted = int((~np.isnan(errors[:, -1])).sum())
            body.append([*row.labels, name, seeds(counted, row), *percents(errors)])
    tasks = headings(matrix)[: len(TASK_NAMES)]
    return table(body, ["seeds", *tasks, f"all n={matrix.n.sum():,}"], ["probabilities"])


def _remarks(shown: Calibration) -> list[Block]:
    """What the tables leave out, each with how often."""
    cells = [cell for _, measured in shown.rows for cell in measured]
    fitted = [cell for cell in cells if cell.unfit is not None]
    unfit = sum(cell.unfit or 0 for cell in fitted)
    cases = sum(int((~np.isnan(cell.error[0, :-1])).sum()) for cell in fitted)
    absent, rows = len(cells) - len(fitted), len(shown.rows) + shown.left_out
    lines = {
        f"Left out, of lower macro accuracy: {shown.left_out} of {rows} rows.": shown.left_out,
        f"Without validation.parquet, so as trained only: {absent} of {len(cells)} cells.": absent,
        f"Kept as trained because validation rows lack a label, or are none: {unfit} of {cases} pairs of cell and "
        "task.": unfit,
    }
    remarks = [line for line, times in lines.items() if times]
    return [remarks] if remarks else []
