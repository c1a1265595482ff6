"""What one cell, or several together, answer to a table of pairs, as columns beside it.

a vote of cells    p_irrelevant, p_partial, p_relevant (or the shares of votes), score, predicted
a cascade of two   answered_by, then those of the cell that answered
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from relevance import predictions
from relevance.calibration import LOSS, THRESHOLDS, Cascade, Judged, Tradeoff, pace, temperatures, unfit
from relevance.errors import UserError
from relevance.metrics import task_codes
from relevance.predictions import PROBABILITIES, SCHEMA
from relevance.ranking import expected_grade
from relevance.tasks import TASK_NAMES
from relevance.tracking.history import recorded_cell
from relevance.tracking.records import CellRecord
from relevance.vote import BY_MEAN, Ballots, Vote

if TYPE_CHECKING:
    from relevance.predict.scorer import Scorer

SCORE, ANSWERED_BY = "score", "answered_by"
SHARES = tuple(f"votes_{name.removeprefix('p_')}" for name in PROBABILITIES)  # of the cells, under vote=majority
PACE = "test/rows_per_second"
Progress = Callable[[int], object]  # is called with the rows of every batch


class Answers(ABC):
    """How cells answer together."""

    def __init__(self, names: Sequence[str], notes: Sequence[str] = ()) -> None:
        """`names` of the probabilities or shares; `notes` are what is to be known before rows are scored."""
        values = ((name, pa.float32()) for name in (*names, SCORE))
        self.notes, self.added = tuple(notes), pa.schema([*values, SCHEMA.field("predicted")])

    @abstractmethod
    def columns(self, scorers: Sequence["Scorer"], table: pa.Table, progress: Progress) -> list[np.ndarray]:
        """Those of `added` for `table` (task, left, right) [each N], labels last; `progress` hears of N a scorer."""

    @property
    def summary(self) -> tuple[str, ...]:
        """What is known of the rows that were scored."""
        return ()


class VotedAnswers(Answers):
    """Every cell answers every row, and they vote."""

    def __init__(self, ballots: Ballots = BY_MEAN, cells: int = 1) -> None:
        by_mean = ballots.vote is Vote.mean
        rule = f"that most of them give; ties={ballots.ties}; votes_* are the shares of their votes"
        rule = "of the highest mean probability" if by_mean else rule
        notes = [f"votes: of {cells} cells; predicted is the label {rule}"] if cells > 1 else []
        super().__init__(PROBABILITIES if by_mean else SHARES, notes)
        self.ballots = ballots

    def columns(self, scorers: Sequence["Scorer"], table: pa.Table, progress: Progress) -> list[np.ndarray]:
        each = np.stack([scorer.probabilities(table, progress) for scorer in scorers])
        beside, predicted = self.ballots.count(each)
        return [*beside.T, expected_grade(BY_MEAN.count(each)[0]), predicted]


class CascadedAnswers(Answers):
    """The first of two cells answers where it is sure enough; the second sees the rest alone."""

    def __init__(self, cascade: Cascade, cells: Sequence[CellRecord], notes: Sequence[str]) -> None:
        super().__init__(PROBABILITIES, notes)
        self.added = self.added.insert(0, pa.field(ANSWERED_BY, pa.string()))
        self.cascade, self.cells = cascade, cells
        self.answered = np.zeros(len(cells), np.int64)  # rows of each cell so far

    def columns(self, scorers: Sequence["Scorer"], table: pa.Table, progress: Progress) -> list[np.ndarray]:
        p = scorers[0].probabilities(table, progress)
        rest = ~self.cascade.suffices(task_codes(table["task"]), p.astype(np.float64))
        if rest.any():
            p[rest] = scorers[1].probabilities(table.filter(pa.array(rest)), progress)
        counts = np.bincount(rest, minlength=len(self.cells))
        progress(int(counts[0]))
        self.answered += counts
        names = np.array([cell.cell for cell in self.cells], dtype=object)
        return [names[rest.astype(int)], *p.T, expected_grade(p), p.argmax(axis=1).astype(np.int8)]

    @property
    def summary(self) -> tuple[str, ...]:
        small, large = (cell.metrics.get(PACE, np.nan) for cell in self.cells)
        share = self.answered[0] / self.answered.sum()
        saved = 1 - large / pace(small, large, share)
        time = f"{100 * abs(saved):.0f} % {'less' if saved >= 0 else 'more'} time than the second cell alone"
        rows = f"{self.answered[0]:,} of {self.answered.sum():,} rows ({100 * share:.1f} %)"
        paces = f"by the {small:,.0f} and {large:,.0f} rows/s at which they were tested"
        return (f"cascade: {self.cells[0].cell} answered {rows}; {time}, {paces}",)


def cascaded(models: Sequence[Path], threshold: float | None, loss: float = LOSS) -> CascadedAnswers:
    """The cascade of the cells that two model folders are of, the small one first.

    `threshold` null: the lowest that loses at most `loss` points of macro accuracy on the validation rows. Raises
    UserError for cells that did not answer the same validation rows, and where all rows would go to the large one.
    """
    cells = [recorded_cell(model.absolute().parent) for model in models]
    small, large = _validated(cells)
    t = temperatures(small)
    tradeoff = Tradeoff.of(small, large, t, THRESHOLDS if threshold is None else np.array([threshold]))
    at = tradeoff.lowest(loss) if threshold is None else 0
    if at is None:
        name = cells[1].cell
        raise UserError(
            f"cascade=auto: no confidence loses at most {loss:g} points against {name} alone on validation, so that "
            f"all rows would go to {name}; predict with it alone, allow more with cascade_loss=, or give a confidence"
        )
    cascade = Cascade(t, float(tradeoff.thresholds[at]))
    return CascadedAnswers(cascade, cells, [_chosen(cells, tradeoff, at, small), *_uncalibrated(cells[0], small)])


def _validated(cells: Sequence[CellRecord]) -> list[Judged]:
    """What the cells answered on validation, the same rows."""
    if len({cell.data_digest for cell in cells}) > 1:
        digests = ", ".join(f"{cell.cell} of {cell.data_digest[:12]}" for cell in cells)
        raise UserError(f"cascade: the cells are of different tables of pairs ({digests}); name two of one table")
    for cell in cells:
        if why := predictions.cell_fault(cell.files):
            raise UserError(f"cascade: {why}; copy the cell's whole folder again, or train it with rerun=true")
    tables = [predictions.read(cell.files.validation) for cell in cells]
    if not tables[0]["row"].equals(tables[1]["row"]):
        tasks = (", ".join(table["task"].unique().to_pylist()) for table in tables)
        known = "; ".join(f"{cell.cell}: {names}" for cell, names in zip(cells, tasks, strict=True))
        raise UserError(f"cascade: the cells are of different tasks ({known}); name two of the same tasks")
    if not len(tables[0]):
        raise UserError("cascade: the cells have no validation rows, by which confidence is calibrated; vote instead")
    return [Judged.of(table) for table in tables]


def _chosen(cells: Sequence[CellRecord], tradeoff: Tradeoff, at: int, small: Judged) -> str:
    """What the threshold means on validation."""
    return (
        f"cascade: {cells[0].cell} answers where its calibrated confidence is {tradeoff.thresholds[at]:g} or more, "
        f"{cells[1].cell} elsewhere; of {len(small.label):,} validation rows the first answers "
        f"{100 * tradeoff.share[at]:.1f} %, macro accuracy {100 * tradeoff.macro[at]:.1f}, of the second alone "
        f"{100 * tradeoff.large:.1f}"
    )


def _uncalibrated(cell: CellRecord, small: Judged) -> list[str]:
    """The tasks of the small cell for which validation tells no temperature."""
    tasks = np.union1d(small.task, task_codes(predictions.read(cell.files.test, ["task"])["task"]))
    names = ", ".join(TASK_NAMES[task] for task in np.intersect1d(tasks, unfit(small)))
    why = "is as trained: its validation rows lack a label, or are none"
    return [f"cascade: confidence of {cell.cell} on {names} {why}"] if names else []
