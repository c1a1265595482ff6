"""A sweep → its matrices, one per table of pairs: the rows, the floors and the ceiling they are read against.

leaders of ce prefix joint 0.81, ce mh joint 0.84, llm mhp joint 0.87 → ce mh joint, llm mhp joint: of each family the
best row that was tested on every task

MainRows: the rows that claims are about, joint and of the sweep's commonest variant, else of the model's
(llm, mhp) → the row llm mhp joint [data.rows=10000,match=steps]; with it the families, their models, their baselines
(llm tuning=full, mhp) → another one: rows of a family that differ in tuning are of two families, and no mean is of both
"""

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from relevance import predictions, seal
from relevance.cell_id import QUARANTINE, CellFolder, data_folder, without
from relevance.cli import echo
from relevance.config import Mix
from relevance.data.floors import FLOORS, ensure_floors, noise_ceiling, unlearnable
from relevance.data.stored import REMEDY, ROWS, rows_fault
from relevance.errors import UserError
from relevance.metrics import COLUMNS, Scores, task_codes
from relevance.report.held_out import HeldOut
from relevance.report.measures import ACCURACY, Measured, Measurer, Tested
from relevance.report.panel import Panel
from relevance.report.rows import FINISHED, Row, alike
from relevance.tasks import SPLITS, TASK_NAMES
from relevance.tracking.records import CellRecord, SweepRecord

DAMAGED = "DAMAGED"
AGAIN = "the same sweep trains it again"
# the order of the table
ROUTINGS = tuple("none prefix soft_prompt mh mtl_lora mhp mhp_shared prefix_mh prefix_mhp".split())
MARK = "†"  # of a value that any seed collapsed on
JOINT = "joint"  # the task mix of all rows, each once an epoch
MIXES = {JOINT: -1, **{f"single_{task}": at for at, task in enumerate(TASK_NAMES, 1)}}  # first, last in the table
MAJORITY = ("floor", "majority")
CEILING = ("ceiling", "label noise")
LEXICAL = ("floor", "lexical")
TOLERANCE = 1e-6  # between an accuracy in MLflow and the one its file gives
SHARED = "mhp_shared"
PLAIN = ("mh", "none", "prefix")  # whose single-task cells stand in where a routing has none of its own


@dataclass(frozen=True, eq=False)
class Matrix:
    """All rows on one table of pairs, with what they are read against."""

    digest: str
    measurer: Measurer
    measured: tuple[Measured, ...]  # of the finished cells and then the floors; places in the panels are those here
    sizes: dict[str, int]  # rows of train, validation and test
    n: np.ndarray  # test rows per task [6]
    train: np.ndarray  # training rows per task [6]
    alike: tuple[str, ...]  # the parts that the variants of all cells have, "data.rows=10000"
    rows: tuple[Row, ...]
    references: dict[tuple[str, str], Scores]  # FLOORS as ("floor", name), then CEILING where data states it
    unlearnable: tuple[str, ...]  # tasks on which the lexical floor is the majority floor
    aside: bytes  # the csv of rows that were set aside from the file of pairs; empty where none was

    @property
    def best(self) -> np.ndarray:
        """True where a row has the highest mean of its column, exactly; all rows that tie [rows, 8].

        Micro and macro compare only rows that were tested on every task of the data; no column one that learnt nothing.
        """
        means = np.array([row.mean for row in self.rows]).reshape(-1, len(COLUMNS))
        tasks = len(TASK_NAMES)
        means[[self.partial(row) for row in self.rows], tasks:] = np.nan
        means[[not row.learnt for row in self.rows]] = np.nan
        highest = np.max(means, axis=0, initial=-np.inf, where=~np.isnan(means))
        return means == highest

    @property
    def tested(self) -> HeldOut:
        return self.measurer.tested

    def floor(self, name: str) -> int:
        """Where the floor of that name stands in the panels."""
        return len(self.measured) - len(FLOORS) + list(FLOORS).index(name)

    def beside(self, measured: Sequence[Measured], first: int) -> list[Tested]:
        """More cells, such as votes, with places from `first` on, beside the majority floor."""
        return self.measurer.beside(self.measured[self.floor(MAJORITY[1])], measured, first)

    def panel(self, measure: str = ACCURACY, more: Sequence[Measured] = ()) -> Panel:
        """One measure of all cells and floors, and of votes after them."""
        return self.measurer.panel(measure, [*self.measured, *more])

    @property
    def name(self) -> str:
        """The first letters of the digest, by which a page calls its table of pairs."""
        return self.digest[:12]

    @property
    def tasks(self) -> list[str]:
        """The tasks that have test rows."""
        return [TASK_NAMES[at] for at in np.flatnonzero(self.n)]

    @property
    def finished(self) -> list[Row]:
        """The rows with a finished cell."""
        return [row for row in self.rows if row.finished]

    @property
    def aside_name(self) -> str:
        """What the csv of rows set aside is called beside the report."""
        return f"quarantine-{self.name}.csv"

    @cached_property
    def set_aside(self) -> int:
        """How many rows of the file were set aside; one row may stand there for several faults."""
        return pc.count_distinct(pa.csv.read_csv(io.BytesIO(self.aside))["row"]).as_py() if self.aside else 0

    def partial(self, row: Row) -> bool:
        """Whether a row finished on some tasks of the data and not on others."""
        absent = np.isnan(row.mean[: len(TASK_NAMES)])[self.n > 0]
        return row.finished > 0 and bool(absent.any())


def as_read(sweep: SweepRecord) -> tuple[SweepRecord, list[Matrix]]:
    """One matrix per data digest, in the order of the sweep, and the sweep itself, its cells as their files show them.

    A finished cell whose files, or whose table of pairs, cannot be believed is DAMAGED, with the reason; cells of such
    a table, and those that were refused, are in no matrix. Raises UserError where no table is whole.
    """
    if not sweep.tables:
        raise UserError(f"sweep {sweep.name}: holds no cells; choose another with sweep=NAME")
    faults = {digest: rows_fault(data_folder(sweep.outputs, digest) / ROWS) for digest in sweep.tables}
    if all(faults.values()):
        raise UserError(f"rows {faults[sweep.tables[0]]}; give outputs=FOLDER of the sweep, or {REMEDY}")
    tables = [_matrix(sweep, digest) for digest, why in faults.items() if not why]
    read = {cell.fingerprint: cell for matrix in tables for row in matrix.rows for cell in row.cells}
    for cell in sweep.cells:
        if why := faults.get(cell.data_digest):
            read[cell.fingerprint] = replace(_damaged(cell, f"{why}; {REMEDY}"), data_digest="")
    return replace(sweep, cells=tuple(read.get(cell.fingerprint, cell) for cell in sweep.cells)), tables


def matrices(sweep: SweepRecord) -> list[Matrix]:
    """The matrices of `as_read`."""
    return as_read(sweep)[1]


def _damaged(cell: CellRecord, why: str) -> CellRecord:
    return replace(cell, status=DAMAGED, reason=why) if why and cell.status == FINISHED else cell


def _matrix(sweep: SweepRecord, digest: str) -> Matrix:
    path = data_folder(sweep.outputs, digest) / ROWS
    table = pq.read_table(path, columns=["split", "task"])
    split, task = table["split"].cast("string"), task_codes(table["task"])
    trained = task[pc.equal(split, "train").to_numpy()]
    measurer = Measurer(HeldOut.of(path))
    ensure_floors(path)
    floors = _floors(measurer, path)
    references = {("floor", name): floor.scores for name, floor in floors.items()}
    ceiling = noise_ceiling(path)
    cells, measured = _read([cell for cell in sweep.cells if cell.data_digest == digest], measurer)
    tested = dict(zip(measured, measurer.beside(floors[MAJORITY[1]], [*measured.values()]), strict=True))
    shared = alike(cells)
    return Matrix(
        digest=digest,
        measurer=measurer,
        measured=(*measured.values(), *floors.values()),
        sizes={name: int(pc.sum(pc.equal(split, name)).as_py() or 0) for name in SPLITS},
        n=measurer.tested.n,
        train=np.bincount(trained, minlength=len(TASK_NAMES)),
        alike=shared,
        rows=_rows(cells, tested, shared),
        references=references if ceiling is None else {**references, CEILING: ceiling},
        unlearnable=tuple(unlearnable(path)),
        aside=_aside(path.with_name(QUARANTINE)),
    )


def _aside(path: Path) -> bytes:
    """The list of rows set aside; empty where there is none, or, with a line, where it is damaged."""
    if not path.is_file():
        return b""
    if why := seal.fault(path, path.parent.name):
        echo(f"{why}; the report goes without it, and the same sweep writes it anew")
        return b""
    return path.read_bytes()


def _floors(measurer: Measurer, rows: Path) -> dict[str, Measured]:
    floors = {}
    paths = [rows.with_name(f"floor-{name}.parquet") for name in FLOORS]
    for name, measured in zip(FLOORS, measurer.read(paths, predictions.checked), strict=True):
        if isinstance(measured, UserError):
            raise measured
        floors[name] = measured
    return floors


def _read(cells: list[CellRecord], measurer: Measurer) -> tuple[list[CellRecord], dict[str, Measured]]:
    """The cells, and what each finished one's predictions measure, by its fingerprint.

    Each is read once, and all that it left is checked; one that cannot be believed, or is not what its run logged, is
    DAMAGED.
    """
    finished = [cell for cell in cells if cell.status == FINISHED]
    read = measurer.read([cell.files.test for cell in finished], _whole)
    measured: dict[str, Measured] = {}
    reasons: dict[str, str] = {}
    for cell, each in zip(finished, read, strict=True):
        if isinstance(each, UserError):
            reasons[cell.fingerprint] = str(each)
        elif reason := _differing(cell, each.scores):
            reasons[cell.fingerprint] = reason
        else:
            measured[cell.fingerprint] = each
    return [_damaged(cell, reasons.get(cell.fingerprint, "")) for cell in cells], measured


def _whole(test: Path) -> pa.Table:
    """The test predictions of a cell; UserError where anything that it left cannot be believed."""
    if isinstance(table := predictions.of_cell(CellFolder(test.parent)), str):
        raise UserError(f"{table}; {AGAIN}")
    return table


def _differing(cell: CellRecord, scores: Scores) -> str:
    """How the cell's file gives other accuracies than its run logged; "" where it does not."""
    for task, accuracy in zip(TASK_NAMES, scores.accuracy, strict=True):
        logged = cell.metrics.get(f"test/{task}/accuracy", accuracy)
        if not np.isclose(logged, accuracy, rtol=0, atol=TOLERANCE, equal_nan=True):
            return (
                f"{cell.files.test} gives {task} accuracy {accuracy:.6f}, its run {cell.run_id} logged {logged:.6f}; "
                "the file is of another run: run it again with rerun=true"
            )
    return ""


def _rows(cells: list[CellRecord], tested: dict[str, Tested], shared: tuple[str, ...]) -> tuple[Row, ...]:
    groups: dict[tuple, list[CellRecord]] = {}
    for cell in sorted(cells, key=lambda cell: (_order(cell), cell.seed, cell.cell)):
        groups.setdefault(cell.labels, []).append(cell)
    rows = []
    for group in groups.values():
        _once(group)
        results = tuple(tested.get(cell.fingerprint) if cell.status == FINISHED else None for cell in group)
        rows.append(Row(tuple(group), results, without(group[0].variant, *shared)))
    return tuple(rows)


def _once(cells: list[CellRecord]) -> None:
    """UserError where two different cells would be one: settings that no name shows differ, such as a new default."""
    twice = [cell for cell, other in pairwise(sorted(cells, key=lambda cell: cell.seed)) if cell.seed == other.seed]
    if twice:
        raise UserError(
            f"two different cells are called {twice[0].cell}: they differ in what no name shows, as a default that was "
            "changed between their sweeps; report these sweeps apart"
        )


def _order(cell: CellRecord) -> tuple:
    known = ROUTINGS.index(cell.routing) if cell.routing in ROUTINGS else len(ROUTINGS)
    return cell.model, known, cell.routing, MIXES.get(cell.task_mix, 0), cell.task_mix, cell.variant


def whole(matrix: Matrix) -> list[Row]:
    """Rows with a finished cell that were tested on every task of the data, in table order."""
    return [row for row in matrix.finished if not matrix.partial(row)]


def highest(rows: list[Row], most: int) -> list[Row]:
    """The `most` rows of the highest mean macro accuracy, in the order they came in; of a tie the earlier."""
    chosen = sorted(range(len(rows)), key=lambda i: -rows[i].mean[-1])[:most]
    return [rows[i] for i in sorted(chosen)]


def leaders(matrix: Matrix) -> list[Row]:
    """Of each model family the whole row of the highest mean macro accuracy, in table order.

    One that learnt nothing stands for its family only where all its rows did.
    """
    families: dict[str, list[Row]] = {}
    for row in whole(matrix):
        families.setdefault(row.family, []).append(row)
    best = [highest([row for row in rows if row.learnt] or rows, 1)[0] for rows in families.values()]
    return [row for row in matrix.rows if row in best]


def _commonest(variants: Iterable[str]) -> str:
    counts = Counter(variants)
    return min(counts, key=lambda text: (-counts[text], len(text), text), default="")


class MainRows:
    """Lookups among the finished rows of one matrix."""

    def __init__(self, matrix: Matrix) -> None:
        self.matrix = matrix
        joint = [row for row in whole(matrix) if row.labels[2] == JOINT]
        self.variant = _commonest(row.labels[3] for row in joint)
        kinds = {(row.family, row.kind) for row in joint}
        self._several = {family for family, count in Counter(family for family, _ in kinds).items() if count > 1}
        variants = {}  # by model: its backbone is part of it where the models' group is not the default
        for model in dict.fromkeys(map(self.model, joint)):
            texts = [row.labels[3] for row in joint if self.model(row) == model]
            variants[model] = self.variant if self.variant in texts else _commonest(texts)
        mine = [(self.model(row), row) for row in joint]
        self.joint = {(model, row.labels[1]): row for model, row in mine if row.labels[3] == variants[model]}

    def model(self, row: Row) -> str:
        """What the page calls a row's model: "llm", and "llm tuning=full" where rows of its family differ in that."""
        return self._apart(row, row.labels[0])

    def family(self, row: Row) -> str:
        """The family of models that a row is compared in, named likewise."""
        return self._apart(row, row.family)

    def _apart(self, row: Row, name: str) -> str:
        return f"{name} {row.kind}".strip() if row.family in self._several else name

    @cached_property
    def families(self) -> dict[str, list[str]]:
        """Models by family, in the order of the table; a model whose runs name no family is one by itself."""
        families: dict[str, dict[str, None]] = {}
        for (model, _), row in self.joint.items():
            families.setdefault(self.family(row), {})[model] = None
        return {family: list(models) for family, models in families.items()}

    def routings(self, model: str) -> list[str]:
        """The routings a model was trained with, in the order of the table."""
        return [routing for name, routing in self.joint if name == model]

    def having(self, family: str, *routings: str) -> list[str]:
        """The models of a family that were trained with all of these routings."""
        return [model for model in self.families.get(family, []) if set(routings) <= set(self.routings(model))]

    def singles(self, row: Row) -> dict[str, dict[str, Row]]:
        """Baselines of a row of several tasks: by budget ("steps", "examples" or ""), by task.

        They are of the same model and variant, under a matched budget where the row is; of the routing that has most
        tasks, of equals the row's own, else the plainest.
        """
        model, routing, *_ = row.labels
        budgets: dict[str, dict[str, dict[str, Row]]] = {}
        for single in self._singles:
            same = single.labels[0] == model and single.variant_but("match") == row.variant_but("match")
            if same and bool(single.budget) == bool(row.budget):
                by_routing = budgets.setdefault(single.budget, {}).setdefault(single.labels[1], {})
                by_routing[single.config.task_mix.task or ""] = single
        order = [routing, *PLAIN]

        def preferred(pair: tuple[str, dict[str, Row]]) -> tuple[int, int]:
            return -len(pair[1]), order.index(pair[0]) if pair[0] in order else len(order)

        return {budget: min(by_routing.items(), key=preferred)[1] for budget, by_routing in budgets.items()}

    @cached_property
    def _singles(self) -> list[Row]:
        return [row for row in self.matrix.finished if row.config.task_mix.kind is Mix.single]

    @cached_property
    def low(self) -> np.ndarray:
        """Weights over tasks [6] that average the half of the tested ones that has the fewest training rows."""
        tested = np.flatnonzero(self.matrix.n)
        few = tested[np.argsort(self.matrix.train[tested], kind="stable")][: max(1, len(tested) // 2)]
        weights = np.zeros(len(TASK_NAMES))
        weights[few] = 1 / len(few)
        return weights

    @property
    def low_tasks(self) -> list[str]:
        return [TASK_NAMES[task] for task in np.flatnonzero(self.low)]
