"""Cells → the rows of the table, one table per data digest: cells equal in all but seed are one row.

model  routing  task_mix  variant  cells        values [finished seeds, 8]
llm    mhp      joint              s0, s1, s2   0.871, 0.902, ..., micro, macro
"""

import io
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from relevance.errors import UserError
from relevance.identity import QUARANTINE, data_folder
from relevance.records import CellRecord, SweepRecord
from relevance.report.evidence.contrast import Series
from relevance.report.evidence.resample import Resample, interval
from relevance.report.evidence.tested import Tested
from relevance.report.floors import ensure_floors, noise_ceiling, unlearnable
from relevance.report.variants import common, without
from relevance.scores import COLUMNS, Scores, collapsed, score_predictions, task_codes
from relevance.tasks import SPLITS, TASK_INDEX, TASK_NAMES

ROUTINGS = ("none", "prefix", "mh", "mhp", "mhp_shared", "prefix_mh", "prefix_mhp")  # the order of the table
MARK = "†"  # of a value that any seed collapsed on
SINGLE = "single_"  # a task mix of one task
MAJORITY = ("floor", "majority")
CEILING = ("ceiling", "label noise")
FINISHED = "FINISHED"
TOLERANCE = 1e-6  # between an accuracy in MLflow and the one its file gives


@dataclass(frozen=True, eq=False)
class Row:
    """Cells equal in all but seed, by seed, each with its answers and scores or, unfinished, None."""

    cells: tuple[CellRecord, ...]
    answers: tuple[np.ndarray | None, ...]  # of each cell a label per test row [N], -1 where it was not asked
    scores: tuple[Scores | None, ...]
    collapsed: tuple[tuple[str, ...], ...]  # of each cell the tasks it collapsed on, see scores.collapsed
    draws: np.ndarray  # accuracies of resampled rows [finished seeds, draws, 8]
    variant: str  # without what all cells of the matrix have alike

    @property
    def name(self) -> str:
        """The labels as one text: "llm mhp joint"."""
        return " ".join(filter(None, self.labels))

    @property
    def seeds(self) -> list[int]:
        """Seeds of the finished cells."""
        return [cell.seed for cell, scores in zip(self.cells, self.scores, strict=True) if scores]

    @cached_property
    def series(self) -> Series:
        """Its accuracies by seed, for contrasts."""
        return Series(self.name, self.seeds, self.values, self.draws)

    @property
    def done(self) -> list[tuple[CellRecord, np.ndarray]]:
        """The finished cells, each with its answers."""
        return [(cell, found) for cell, found in zip(self.cells, self.answers, strict=True) if found is not None]

    @property
    def interval(self) -> np.ndarray:
        """Low and high of the mean over these seeds, entities resampled [2, 8]; NaN when none finished."""
        if not self.finished:
            return np.full((2, len(COLUMNS)), np.nan)
        return np.transpose([interval(column) for column in self.draws.mean(axis=0).T])

    @property
    def labels(self) -> tuple[str, str, str, str]:
        """Model, routing, task mix and variant."""
        first = self.cells[0]
        return first.model, first.routing, first.task_mix, self.variant

    @property
    def finished(self) -> int:
        """How many of the cells have scores."""
        return sum(scores is not None for scores in self.scores)

    @property
    def values(self) -> np.ndarray:
        """Accuracies in the order of COLUMNS, 0 to 1 [finished seeds, 8]; NaN where a task is absent."""
        return np.array([scores.columns for scores in self.scores if scores]).reshape(-1, len(COLUMNS))

    @property
    def mean(self) -> np.ndarray:
        """Mean over finished seeds [8]; NaN throughout when none finished."""
        return self.values.mean(axis=0) if self.finished else np.full(len(COLUMNS), np.nan)

    @property
    def sd(self) -> np.ndarray:
        """Sample standard deviation over finished seeds [8]; NaN below two seeds."""
        return self.values.std(axis=0, ddof=1) if self.finished > 1 else np.full(len(COLUMNS), np.nan)

    @property
    def marked(self) -> np.ndarray:
        """True where any seed collapsed on the task of a column, never for micro and macro [8]."""
        return np.array([any(name in tasks for tasks in self.collapsed) for name in COLUMNS])

    @property
    def unfinished(self) -> str:
        """What became of the others: "failed", "failed, missing" or ""."""
        return ", ".join(dict.fromkeys(c.status.lower() for c in self.cells if c.status != FINISHED))

    def metric(self, name: str) -> float:
        """Mean of an MLflow metric over the finished cells that logged it as a number; NaN when none did."""
        logged = [c.metrics.get(name, np.nan) for c in self.cells if c.status == FINISHED]
        return spread(np.array(logged))[0]


@dataclass(frozen=True)
class Matrix:
    """All rows on one table of pairs, with what they are read against."""

    digest: str
    tested: Tested
    resample: Resample
    sizes: dict[str, int]  # rows of train, validation and test
    n: np.ndarray  # test rows per task [6]
    train: np.ndarray  # training rows per task [6]
    common: dict[str, str]  # what the variants of all cells have alike
    rows: tuple[Row, ...]
    references: dict[tuple[str, str], Scores]  # FLOORS as ("floor", name), then CEILING where data states it
    unlearnable: tuple[str, ...]  # tasks on which the lexical floor is the majority floor
    aside: bytes  # the csv of rows that were set aside from the file of pairs; empty where none was

    @property
    def best(self) -> np.ndarray:
        """True where a row has the highest mean of its column, exactly; all rows that tie [rows, 8].

        Micro and macro compare only rows that were tested on every task of the data.
        """
        means = np.array([row.mean for row in self.rows]).reshape(-1, len(COLUMNS))
        tasks = len(TASK_NAMES)
        means[[self.partial(row) for row in self.rows], tasks:] = np.nan
        highest = np.max(means, axis=0, initial=-np.inf, where=~np.isnan(means))
        return means == highest

    @property
    def aside_name(self) -> str:
        """What the csv of rows set aside is called beside the report."""
        return f"quarantine-{self.digest[:12]}.csv"

    @cached_property
    def set_aside(self) -> int:
        """How many rows of the file were set aside; one row may stand there for several faults."""
        return pc.count_distinct(pa.csv.read_csv(io.BytesIO(self.aside))["row"]).as_py() if self.aside else 0

    def partial(self, row: Row) -> bool:
        """Whether a row finished on some tasks of the data and not on others."""
        absent = np.isnan(row.mean[: len(TASK_NAMES)])[self.n > 0]
        return row.finished > 0 and bool(absent.any())


def spread(values: np.ndarray) -> tuple[float, float]:
    """Mean and sample standard deviation of the values that are no NaN; NaN below one and below two of them."""
    values = values[~np.isnan(values)]
    mean = float(values.mean()) if len(values) else np.nan
    return mean, float(values.std(ddof=1)) if len(values) > 1 else np.nan


def matrices(sweep: SweepRecord) -> list[Matrix]:
    """One matrix per data digest, in the order of the sweep.

    Raises UserError where a table of pairs or a predictions file is absent or does not match its run.
    """
    if not sweep.cells:
        raise UserError(f"sweep {sweep.name}: holds no cells; choose another with sweep=NAME")
    digests = list(dict.fromkeys(cell.data_digest for cell in sweep.cells))
    return [_matrix(sweep, digest) for digest in digests]


def _matrix(sweep: SweepRecord, digest: str) -> Matrix:
    path = data_folder(sweep.outputs, digest) / "rows.parquet"
    if not path.is_file():
        raise UserError(f"rows {path}: no such file; give outputs=FOLDER of the sweep, or run the sweep again")
    table = pq.read_table(path, columns=["split", "task"])
    split, task = table["split"].cast("string"), task_codes(table["task"])
    trained = task[pc.equal(split, "train").to_numpy()]
    tested = Tested.of(path)
    resample = Resample(tested)
    references = {("floor", name): score_predictions(floor) for name, floor in ensure_floors(path).items()}
    ceiling = noise_ceiling(path)
    cells = [cell for cell in sweep.cells if cell.data_digest == digest]
    alike = common([cell.variant for cell in cells])
    return Matrix(
        digest=digest,
        tested=tested,
        resample=resample,
        sizes={name: int(pc.sum(pc.equal(split, name)).as_py() or 0) for name in SPLITS},
        n=tested.n,
        train=np.bincount(trained, minlength=len(TASK_NAMES)),
        common=alike,
        rows=_rows(cells, references[MAJORITY], resample, tuple(alike)),
        references=references if ceiling is None else {**references, CEILING: ceiling},
        unlearnable=tuple(unlearnable(path)),
        aside=aside.read_bytes() if (aside := path.with_name(QUARANTINE)).is_file() else b"",
    )


def _rows(cells: list[CellRecord], majority: Scores, resample: Resample, alike: tuple[str, ...]) -> tuple[Row, ...]:
    groups: dict[tuple, list[CellRecord]] = {}
    for cell in sorted(cells, key=lambda cell: (_order(cell), cell.seed, cell.cell)):
        groups.setdefault(_labels(cell), []).append(cell)
    answered = {cell.fingerprint: _answers(cell, resample.tested) for cell in cells if cell.status == FINISHED}
    return fold(
        [[(cell, answered.get(cell.fingerprint)) for cell in group] for group in groups.values()], majority, resample
    )


def fold(
    groups: list[list[tuple[CellRecord, np.ndarray | None]]],
    majority: Scores,
    resample: Resample,
    alike: tuple[str, ...] = (),
) -> tuple[Row, ...]:
    """A row of each group of cells, which come with what they answered, None where they did not finish.

    Settings that are `alike` in all are left out of the rows' variants.
    """
    answers = [found for group in groups for _, found in group if found is not None]
    draws, rows = iter(resample.accuracies(answers)), []
    for group in groups:
        cells, found = zip(*group, strict=True)
        scores = tuple(resample.tested.scores(one) if one is not None else None for one in found)
        flat = tuple(collapsed(one, majority) if one else () for one in scores)
        drawn = [next(draws) for one in found if one is not None]
        draw = np.array(drawn).reshape(-1, resample.draws, len(COLUMNS))
        rows.append(Row(cells, found, scores, flat, draw, without(cells[0].variant, *alike)))
    return tuple(rows)


def _labels(cell: CellRecord) -> tuple[str, str, str, str]:
    return cell.model, cell.routing, cell.task_mix, cell.variant


def _order(cell: CellRecord) -> tuple:
    known = ROUTINGS.index(cell.routing) if cell.routing in ROUTINGS else len(ROUTINGS)
    single = TASK_INDEX.get(cell.task_mix.removeprefix(SINGLE), -1)
    return cell.model, known, cell.routing, cell.task_mix != "joint", single, cell.task_mix, cell.variant


def _answers(cell: CellRecord, tested: Tested) -> np.ndarray:
    """What the cell answered to the test rows [N], checked against what its run logged."""
    path = cell.folder / "test.parquet"
    try:
        found = tested.answers(path)
    except UserError as error:
        raise UserError(f"cell {cell.cell}: {error}") from error
    for task, accuracy in zip(TASK_NAMES, tested.scores(found).accuracy, strict=True):
        logged = cell.metrics.get(f"test/{task}/accuracy", accuracy)
        if not np.isclose(logged, accuracy, rtol=0, atol=TOLERANCE, equal_nan=True):
            raise UserError(
                f"cell {cell.cell}: {path} gives {task} accuracy {accuracy:.6f}, its run "
                f"{cell.run_id} logged {logged:.6f}; the file is of another run: run it again with rerun=true"
            )
    return found
