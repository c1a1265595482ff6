"""A matrix → cascades of two of its models: accuracy against cost, from stored predictions.

| small | large     | loss        | seeds | threshold | small answers, % | rows/s | time, % | macro  | minus large |
| ce mh | llm_b mhp | small alone | 3     | —         | 100.0 ± 0.0      | 879    | 63      | 77.9 … | -8.7 …      |
| ce mh | llm_b mhp | 1           | 3     | 0.638 …   | 67.7 ± 6.9       | 580    | 95      | 85.4 … | -1.2 …      |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from relevance import predictions
from relevance.calibration import LOSS, Cascade, Judged, Tradeoff, pace, temperatures
from relevance.metrics import score_predictions
from relevance.pages.blocks import NONE, Block, Section, Table, count
from relevance.report.evidence import Effect
from relevance.report.matrix import MainRows, Matrix
from relevance.report.panel import means
from relevance.report.rows import Row, spread
from relevance.report.sections import decimals, effect_text, of_data, percents
from relevance.report.sections.calibration import judged
from relevance.report.sections.tables import COST, mean_text
from relevance.tracking.records import CellRecord

INTRODUCTION = (
    "Two cells of one seed, nothing trained: the small one answers where its confidence, calibrated by temperature, is "
    "at the threshold or above, the large one sees the rest. Of each model the routing best on validation takes part; "
    "of two the one that scores more rows/s (the means of Cost) is the small one. A threshold is the lowest that keeps "
    "the large one's macro accuracy on validation but for a loss in points; where the large one has no more than the "
    "small one, none is tried. All else is of the test rows: time beside the large one's, accuracy, and the difference "
    "to the large one alone, paired by row and seed, with 95 % intervals."
)
NONE_KEEPS = "In {n} of {all} cases no threshold keeps the loss: every row goes to the large one."
LESS = "{n} more pairs of models are not shown: their large one is less accurate on validation."
LOSSES = (1, LOSS, 0)  # points
HEADER = (
    "small", "large", "loss", "seeds", "threshold", "small answers, %", "rows/s", "time, %", "macro",
    "minus large, points",
)  # fmt: skip
PACE = COST["rows/s scored"]
MOST = 6  # pairs of models
WORK = 20_000_000  # test rows that are looked at; of more, fewer seeds


@dataclass(frozen=True)
class Candidate:
    """A row of one model."""

    name: str
    row: Row
    validated: float  # macro accuracy on validation

    @property
    def pace(self) -> float:
        """Rows scored per second."""
        return self.row.metric(PACE)


Pair = tuple[Candidate, Candidate]  # small, large


@dataclass(frozen=True, eq=False)
class Trial:
    """What a pair answers in one seed."""

    share: float  # of the test rows that the small one answers
    right: np.ndarray  # whether each test row's answer is [N]
    threshold: float  # NaN where none is asked, or none keeps the loss

    @classmethod
    def of(cls, test: Sequence[Judged], stands: np.ndarray, threshold: float = np.nan) -> "Trial":
        """Of the small and the large one's rows; `stands` says of each whether the small one answers it [N]."""
        return cls(float(stands.mean()), np.where(stands, test[0].hit, test[1].hit), threshold)


Seeds = list[list[Trial]]  # of each seed the small one alone, that of each loss, the large one alone


def cascade_section(mains: Sequence[MainRows]) -> list[Section]:
    """A table for each matrix of two models or more whose speeds are known; none where there is none."""
    blocks: list[Block] = [INTRODUCTION]
    for main in mains:
        if every := pairs(main):
            tried = [(pair, _trials(main.matrix, pair)) for pair in every[:MOST]]
            lines = [line for pair, seeds in tried for line in _lines(main.matrix, pair, seeds)]
            blocks += [*of_data(main.matrix, [each.matrix for each in mains]), Table([*HEADER], lines, left=3)]
            thresholds = [trial.threshold for _, seeds in tried for trials in seeds for trial in trials[1:-1]]
            none = int(np.isnan(thresholds).sum())
            blocks += [NONE_KEEPS.format(n=none, all=len(thresholds))] * bool(none)
            blocks += [LESS.format(n=len(every) - MOST)] * (len(every) > MOST)
    return [Section("Cascade", blocks, closed=True)] if len(blocks) > 1 else []


def pairs(main: MainRows) -> list[Pair]:
    """Every two models that share a seed, the most accurate large ones first."""
    best: dict[str, Candidate] = {}
    able = {key: row for key, row in main.joint.items() if row.learnt and row.metric(PACE) > 0}
    for (model, routing), row in able.items():
        candidate = Candidate(f"{model} {routing}", row, _validated(row))
        if candidate.validated > (best[model].validated if model in best else 0):
            best[model] = candidate
    paced = sorted(best.values(), key=lambda each: each.pace, reverse=True)
    shared = [(small, large) for small, large in combinations(paced, 2) if {*small.row.seeds} & {*large.row.seeds}]
    return sorted(shared, key=lambda pair: (pair[1].validated, pair[0].validated), reverse=True)


def _validated(row: Row) -> float:
    """Macro accuracy on validation, the mean over seeds; NaN where one has no such rows."""
    paths = [cell.files.validation for cell in row.done]
    if not all(path.is_file() for path in paths):
        return np.nan
    tables = [predictions.read(path, ["task", "label", "predicted"]) for path in paths]
    return float(np.mean([score_predictions(table).macro for table in tables]))


def _trials(matrix: Matrix, pair: Pair) -> Seeds:
    small, large = ({cell.seed: cell for cell in each.row.done} for each in pair)
    most = max(1, WORK // (2 * (len(LOSSES) + 2) * len(matrix.tested.row)))
    seeds = []
    for seed in sorted(small.keys() & large.keys())[:most]:
        cells = small[seed], large[seed]
        test = [judged(matrix, cell) for cell in cells]
        between = _between(cells, test) if pair[0].validated < pair[1].validated else []
        every = np.ones(len(test[0].task), bool)
        seeds.append([Trial.of(test, every), *between, Trial.of(test, ~every)])
    return seeds


def _between(cells: Sequence[CellRecord], test: Sequence[Judged]) -> list[Trial]:
    """The cascade of each loss."""
    small, large = (Judged.of(predictions.read(cell.files.validation)) for cell in cells)
    t, trials = temperatures(small), []
    tradeoff = Tradeoff.of(small, large, t)
    for at in map(tradeoff.lowest, LOSSES):
        threshold = np.nan if at is None else float(tradeoff.thresholds[at])
        trials.append(Trial.of(test, Cascade(t, threshold).suffices(test[0].task, test[0].p), threshold))
    return trials


def _lines(matrix: Matrix, pair: Pair, seeds: Seeds) -> list[list[str]]:
    small, large = (each.pace for each in pair)
    names = ["small alone", *(f"{loss:g}" for loss in LOSSES[: len(seeds[0]) - 2]), "large alone"]
    lines = []
    for name, trials, macro, less in zip(names, zip(*seeds, strict=True), *_effects(matrix, seeds), strict=True):
        share = float(np.mean([trial.share for trial in trials]))
        rows = large if name == names[-1] else pace(small, large, share)
        threshold = decimals(3, *spread([trial.threshold for trial in trials]))
        cost = [*percents([[trial.share] for trial in trials]), count(rows), count(100 * large / rows)]
        difference = NONE if name == names[-1] else effect_text(less)
        lines.append(
            [pair[0].name, pair[1].name, name, str(len(seeds)), threshold, *cost, mean_text(macro), difference]
        )
    return lines


def _effects(matrix: Matrix, seeds: Seeds) -> tuple[list[Effect], list[Effect]]:
    """Of each way its macro accuracy, and its difference to the large one alone in the same seed."""
    right = np.array([[trial.right for trial in trials] for trials in zip(*seeds, strict=True)], np.float32)
    values = np.concatenate([right, right - right[-1]])  # [2 W, seeds, N]
    places = np.arange(len(values) * len(seeds)).reshape(len(values), -1)
    panel = matrix.measurer.shares([*values.reshape(places.size, -1)], np.tile(matrix.n > 0, (places.size, 1)))
    lines = means(panel, {str(at): of for at, of in enumerate(places.tolist())}, ["macro"])
    return lines[: len(right)], lines[len(right) :]
