"""How sure: rows.parquet and predictions → accuracies of resampled test rows → effects with intervals, McNemar's test.

row 1834, task 4 (item_type), label 1, left 17 (of the entities), right 803, whose kinds are 1 (item) and 2 (type)
right [N] of a cell → accuracies [draws, 8] in the order of COLUMNS: the same draws for every cell, so that the
differences of two are paired, draw by draw
+1 llm mhp joint, -1 llm mh joint, macro → 0.031 [0.012, 0.049], by seed 0.028, 0.041, 0.024, n = 1,212
right of a [1, 1, 0, 1], right of b [0, 1, 0, 0] → only a 2, only b 0, p = 0.5 (exact), 0.25 (mid-p)

Rows that share an entity are alike, so that entities are drawn, not rows: a row weighs what its left entity was drawn;
in a task of two entities of one kind, what both were, multiplied (the pigeonhole bootstrap, Owen 2007,
doi:10.1214/07-AOAS122: never too narrow on average, and up to 1.7 times too wide where entities do not matter).
"""

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from relevance import predictions
from relevance.data.entities import KINDS, LEFT_KIND, RIGHT_KIND
from relevance.errors import UserError
from relevance.metrics import COLUMNS, Scores, task_codes
from relevance.pages.blocks import NONE, signed
from relevance.tasks import LABELS, TASK_NAMES, TASKS

SIDES = {"left": LEFT_KIND, "right": RIGHT_KIND}  # kinds of entity by task [6]
DRAWS = 1_000
MANY = 2_000  # entities of a kind; more are dealt at random to POOLS groups, which are drawn instead
POOLS = 128
CHUNK = 8_192  # units weighed at a time
FEWEST = 10  # entities of a task, below which drawing them again says nothing of how sure a number is
CACHED = 40_000  # units of a task whose weights are worth the memory of keeping them
BATCH = 32  # answers weighed at a time
LEVEL = 95.0  # percent an interval holds


@dataclass(frozen=True)
class HeldOut:
    """The test rows of one table, in ascending row id."""

    path: Path  # rows.parquet
    row: np.ndarray  # [N] ids
    task: np.ndarray  # [N] places in TASK_NAMES
    label: np.ndarray  # [N] int8
    left: np.ndarray  # [N] entities: of one kind and one id or, where the table has none, one text;
    right: np.ndarray  # [N] one numbering for all kinds
    kind: np.ndarray  # [E] of each entity, a place in KINDS

    @classmethod
    def of(cls, path: Path) -> "HeldOut":
        """The test rows of the rows.parquet at `path`."""
        names = ["row", "task", "label", *(f"{side}_id" for side in SIDES)]
        table = _tested(path, names)
        if any(f"{side}_id" not in table.column_names or table[f"{side}_id"].null_count for side in SIDES):
            table = _tested(path, [*names, *SIDES])  # texts are most of the file: read where they stand for ids
        task = task_codes(table["task"]).astype(np.int8)
        return cls(path, table["row"].to_numpy(), task, table["label"].to_numpy(), *_entities(table, task))

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Those of the table's columns that are there [N]."""
        return _tested(self.path, names)

    @cached_property
    def n(self) -> np.ndarray:
        """Rows of each task [6]."""
        return np.bincount(self.task, minlength=len(TASK_NAMES))

    def answers(self, path: Path) -> np.ndarray:
        """The labels that the predictions at `path` give to each row [N] int8, -1 where none; UserError for others."""
        table, at = self.read(path, ["label", "predicted"])
        if not np.array_equal(table["label"].to_numpy(), self.label[at]):
            raise UserError(f"predictions {path}: labels differ from {self.path}; run the cell again")
        answers = np.full(len(self.row), -1, np.int8)
        answers[at] = table["predicted"].to_numpy()
        return answers

    def covered(self, answers: Sequence[np.ndarray]) -> np.ndarray:
        """Of which tasks each of K sets of answers [N] knows a row [K, 6]."""
        return np.array([self.scores(labels).n > 0 for labels in answers])

    def scores(self, answers: np.ndarray) -> Scores:
        """Scores of answers [N] on the rows they know."""
        counts = np.bincount(self._cell + answers, minlength=len(TASK_NAMES) * len(LABELS) * (len(LABELS) + 1))
        return Scores(counts.reshape(len(TASK_NAMES), len(LABELS), -1)[:, :, 1:])

    @cached_property
    def _cell(self) -> np.ndarray:
        """Where task and label put each row [N] among counts by task, label and answer, -1 the first of the answers."""
        return ((self.task.astype(np.int64) * len(LABELS) + self.label) * (len(LABELS) + 1)) + 1

    def read(self, path: Path, names: Sequence[str]) -> tuple[pa.Table, np.ndarray | slice]:
        """Columns of the predictions at `path`, and the places of their rows; all rows in their order are a slice."""
        table = predictions.read(path, ["row", *names])
        row = table["row"].to_numpy()
        if np.array_equal(row, self.row):
            return table, slice(None)
        at = np.searchsorted(self.row, row)
        if not np.array_equal(self.row[np.minimum(at, len(self.row) - 1)], row):
            raise UserError(f"predictions {path}: rows that are no test rows of {self.path}; run the cell again")
        return table, at


def _tested(path: Path, names: Sequence[str]) -> pa.Table:
    """Those of the columns that are there, of the test rows."""
    known = [name for name in names if name in pq.read_schema(path).names]
    table = pq.read_table(path, columns=[*known, "split"])
    return table.filter(pc.equal(table["split"], "test")).select(known)


def _entities(table: pa.Table, task: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sides = []
    for side, kinds in SIDES.items():
        columns = [table[name].cast(pa.string()) for name in (f"{side}_id", side) if name in table.column_names]
        kind = pa.array(kinds[task].astype(str))
        sides.append(pc.binary_join_element_wise(kind, pc.coalesce(*columns), " ").combine_chunks())
    both = pa.concat_arrays(sides).dictionary_encode()
    left, right = np.split(both.indices.to_numpy(), 2)
    kind = np.empty(len(both.dictionary), np.int8)
    kind[left], kind[right] = SIDES["left"][task], SIDES["right"][task]
    return left, right, kind


@dataclass(frozen=True)
class Units:
    """Rows of one task that always weigh the same: one unit for each left entity, or for each pair of entities."""

    rows: np.ndarray  # places of the task's rows, those of one unit together
    starts: np.ndarray  # of each unit among them [U]
    groups: np.ndarray  # [U, 1 or 2]: which drawn weights multiply


class Resample:
    """One set of draws over the entities of the test rows."""

    def __init__(self, tested: HeldOut, draws: int = DRAWS, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.tested, self.draws = tested, draws
        group = self.group = np.empty(len(tested.kind), np.int64)  # of each entity: which column of the weights is its
        drawn, first, self.pooled = [], 0, False
        for code in range(len(KINDS)):
            members = random.permutation(np.flatnonzero(tested.kind == code))
            pools = len(members) if len(members) <= MANY else POOLS
            self.pooled |= pools < len(members)
            if pools:
                group[members] = first + np.arange(len(members)) % pools
                drawn.append(random.multinomial(pools, np.full(pools, 1 / pools), size=draws))
                first += pools
        self.weights = np.concatenate(drawn, axis=1).astype(np.float32)  # [draws, groups]
        self.units = [
            _units(np.flatnonzero(tested.task == code), group[tested.left], group[tested.right], TASKS[name].symmetric)
            for code, name in enumerate(TASK_NAMES)
        ]
        entities = [len(np.unique(units.groups)) for units in self.units]
        self.thin = (np.array(entities) < FEWEST) & (tested.n > 0)  # tasks [6] too few entities for any interval
        self.cached: dict[tuple[int, int], np.ndarray] = {}
        ones = np.ones(len(tested.row), np.float32)
        self.totals = np.stack([self._weighed(code, [ones])[0] for code in range(len(TASK_NAMES))], axis=1)

    def accuracies(self, answers: Sequence[np.ndarray], covered: np.ndarray) -> np.ndarray:
        """Accuracies [K, draws, 8] of K sets of answers, each a label per row [N] or -1 where there is none.

        `covered` says of which tasks [K, 6]. NaN for a task that is not covered, one of fewer than FEWEST entities
        (and for macro, if it is among its tasks), and a draw that left it no row.
        """
        drawn = np.empty((len(answers), self.draws, len(COLUMNS)), np.float32)
        for start in range(0, len(answers), BATCH):
            here = slice(start, start + BATCH)
            drawn[here] = self.means([labels == self.tested.label for labels in answers[here]], covered[here])
        return drawn

    def means(self, right: Sequence[np.ndarray], covered: np.ndarray) -> np.ndarray:
        """The same of any value per row [N] instead of right or wrong; `covered` [K, 6] says for which tasks."""
        covered = covered & (self.tested.n > 0)
        hits = np.zeros((len(right), self.draws, len(TASK_NAMES)), np.float32)
        for code in range(len(TASK_NAMES)):
            wanted = np.flatnonzero(covered[:, code]).tolist()
            if wanted and self.tested.n[code]:
                hits[wanted, :, code] = self._weighed(code, [right[k] for k in wanted])
        totals = np.where(covered[:, None, :], self.totals, 0).astype(np.float32)
        with np.errstate(invalid="ignore"):
            tasks = np.where(totals > 0, hits / np.where(totals > 0, totals, 1), np.nan)
            tasks[:, :, self.thin] = np.nan
            micro = hits.sum(axis=2) / totals.sum(axis=2)
            macro = np.where(covered[:, None], tasks, 0).sum(axis=2) / covered.sum(axis=1)[:, None]
        return np.concatenate([tasks, micro[..., None], macro[..., None]], axis=2)

    def _weighed(self, code: int, values: Sequence[np.ndarray]) -> np.ndarray:
        """Values of all rows, K times [N] → their weighed totals over the rows of one task [K, draws]."""
        units = self.units[code]
        total = np.zeros((len(values), self.draws), np.float32)
        if not len(units.rows):
            return total
        sums = np.stack([np.add.reduceat(value[units.rows], units.starts, dtype=np.float32) for value in values])
        for start, weights in self._weights(code):
            total += sums[:, start : start + CHUNK] @ weights.T
        return total

    def _weights(self, code: int) -> Iterator[tuple[int, np.ndarray]]:
        """Weights [draws, up to CHUNK] of the units of one task, from each start on."""
        units = self.units[code]
        for start in range(0, len(units.groups), CHUNK):
            if (code, start) not in self.cached:
                first, *second = units.groups[start : start + CHUNK].T
                weights = self.weights[:, first]
                for other in second:  # a row whose two entities, or their groups, are one weighs it once
                    weights *= np.where(other == first, 1, self.weights[:, other])
                if len(units.groups) > CACHED:
                    yield start, weights
                    continue
                self.cached[code, start] = weights
            yield start, self.cached[code, start]


def interval(draws: np.ndarray) -> tuple[float, float]:
    """The middle 95 % of the draws that are numbers; NaN where none is."""
    known = draws[~np.isnan(draws)]
    if not len(known):
        return np.nan, np.nan
    low, high = np.percentile(known, [50 - LEVEL / 2, 50 + LEVEL / 2])
    return float(low), float(high)


def _units(rows: np.ndarray, left: np.ndarray, right: np.ndarray, symmetric: bool) -> Units:
    if not symmetric:
        groups, unit = np.unique(left[rows], return_inverse=True)
        groups = groups[:, None]
    else:
        pair = np.sort(np.stack([left[rows], right[rows]]), axis=0)
        size = int(max(left.max(initial=0), right.max(initial=0))) + 1
        codes, unit = np.unique(pair[0] * size + pair[1], return_inverse=True)
        groups = np.stack([codes // size, codes % size], axis=1)
    order = np.argsort(unit, kind="stable")
    return Units(rows[order], np.searchsorted(unit[order], np.arange(len(groups))), groups)


ROUNDING = 1e-6
SEEDS = 3  # of one sign, without which nothing is decided


class Verdict(StrEnum):
    supported = "supported"
    contradicted = "contradicted"
    undecided = "undecided"


@dataclass(frozen=True)
class Effect:
    """A sum of weighed accuracies, 0 to 1; the interval is over resampled entities, the seeds as they were."""

    value: float  # mean over seeds
    low: float
    high: float
    seeds: tuple[float, ...]  # the effect in each seed all rows have
    n: int  # test rows it rests on
    cells: tuple[str, ...]  # names of the rows it rests on
    numbers: tuple[int, ...] = ()  # which seeds they are

    @property
    def apart(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0

    @property
    def verdict(self) -> Verdict:
        """Whether it is above zero: the interval leaves out zero and three seeds have its sign; else undecided."""
        if self.low > 0 and sum(seed > 0 for seed in self.seeds) >= SEEDS:
            return Verdict.supported
        if self.high < 0 and sum(seed < 0 for seed in self.seeds) >= SEEDS:
            return Verdict.contradicted
        return Verdict.undecided


@dataclass(frozen=True, eq=False)
class Series:
    """What was measured of one row of a table in each of its seeds."""

    name: str
    seeds: list[int]
    values: np.ndarray  # in the order of COLUMNS, 0 to 1 [seeds, 8]
    draws: np.ndarray  # the same of resampled rows [seeds, draws, 8]


Terms = Sequence[tuple[np.ndarray, Series]]  # each with its weights over COLUMNS [8]


def on(column: str, weight: float = 1.0) -> np.ndarray:
    """Weights [8] that take one column."""
    return weight * np.eye(len(COLUMNS))[COLUMNS.index(column)]


def versus(first: Series, other: Series, column: str) -> Terms:
    """The first minus the other."""
    return [(on(column), first), (on(column, -1), other)]


def contrast(terms: Terms, n: np.ndarray) -> Effect | None:
    """The sum of the terms; None where their series share no seed, or one lacks a column it is weighed on.

    `n` counts the test rows of each task [6]; micro and macro rest on those of all tasks that a series covers.
    """
    common = sorted(set.intersection(*(set(series.seeds) for _, series in terms)))
    if not common:
        return None
    values, draws = np.zeros(len(common)), np.zeros(terms[0][1].draws.shape[1])
    tasks = np.zeros(len(n), bool)
    for weights, series in terms:
        at, weighed = [series.seeds.index(seed) for seed in common], np.flatnonzero(weights)
        values = values + series.values[at][:, weighed] @ weights[weighed]
        draws = draws + series.draws[at].mean(axis=0)[:, weighed] @ weights[weighed]
        tasks |= (weights[: len(n)] != 0) | (weights[len(n) :].any() & ~np.isnan(series.values[0, : len(n)]))
    if np.isnan(values).any():
        return None
    names = tuple(dict.fromkeys(series.name for _, series in terms))
    value, low, high, *seeds = (_exact(number) for number in (values.mean(), *interval(draws), *values))
    return Effect(value, low, high, tuple(seeds), int(n[tasks].sum()), names, tuple(common))


def _exact(number: float) -> float:
    """A difference that is zero but for rounding (draws are single precision) is zero, and decides nothing."""
    return 0.0 if abs(number) < ROUNDING else float(number)


def effect_text(effect: Effect) -> str:
    """An effect in points with its interval: "+1.2 [-0.3, +2.7]"."""
    return f"{signed(effect.value)} [{signed(effect.low)}, {signed(effect.high)}]"


def effect_texts(effect: Effect | None) -> list[str]:
    """The same, and the effect in each seed: "+1.2 [-0.3, +2.7]", "+1.1 +1.3"."""
    return [effect_text(effect), " ".join(map(signed, effect.seeds))] if effect else [NONE, NONE]


class Right:
    """The answers of many cells as bits, right or wrong, so that any two are compared in microseconds."""

    def __init__(self, tested: HeldOut) -> None:
        self.tested = tested
        tasks = [np.flatnonzero(tested.task == code) for code in range(len(TASK_NAMES))]
        padded = [np.append(rows, np.full(-len(rows) % 8, -1)) for rows in tasks]  # each task in bytes of its own
        self.order = np.concatenate(padded).astype(np.int64)
        self.ends = np.cumsum([0, *(len(rows) // 8 for rows in padded)])  # bytes, of each task
        self.real = self.order >= 0
        self.every = np.packbits(self.real)
        self.known: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def differing(self, a: np.ndarray, b: np.ndarray, task: int) -> tuple[int, int]:
        """Of two sets of answers [N], how many rows of a task only a, and only b, is right on; of all at task 6.

        Rows that either has no answer to (-1) count for neither.
        """
        here = slice(0, self.ends[-1]) if task == len(TASK_NAMES) else slice(self.ends[task], self.ends[task + 1])
        (right_a, covered_a), (right_b, covered_b) = (
            [bits[here] for bits in self._bits(answers)] for answers in (a, b)
        )
        only_a, only_b = right_a & ~right_b & covered_b, right_b & ~right_a & covered_a
        return int(np.bitwise_count(only_a).sum()), int(np.bitwise_count(only_b).sum())

    def _bits(self, answers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if id(answers) not in self.known:  # the answers stand beside, so that their id stays theirs
            right = np.packbits((answers == self.tested.label)[self.order] & self.real)
            whole = answers.min(initial=0) >= 0
            covered = self.every if whole else np.packbits((answers >= 0)[self.order] & self.real)
            self.known[id(answers)] = right, covered, answers
        return self.known[id(answers)][:2]


@dataclass(frozen=True)
class McNemar:
    """Of any number of tests, each with its own place."""

    exact: np.ndarray  # two-sided p of the binomial test
    mid: np.ndarray  # mid-p (Fagerland, Lydersen, Laake 2013): half the probability of what was seen


def mcnemar(only_a: np.ndarray, only_b: np.ndarray) -> McNemar:
    """Of the rows that only one of the two is right on, arrays of one shape."""
    from scipy.stats import binom

    less, n = np.minimum(only_a, only_b), only_a + only_b
    tail, seen = binom.cdf(less, n, 0.5), binom.pmf(less, n, 0.5)
    return McNemar(np.minimum(1, 2 * tail), np.minimum(1, 2 * tail - seen))


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's corrected p of the tests of one column [T]; NaN stays, and counts as no test."""
    from statsmodels.stats.multitest import multipletests

    corrected, known = np.full(len(p), np.nan), ~np.isnan(p)
    if known.any():
        gc.freeze()  # multipletests collects garbage at every call, for seconds where there is much to look through
        corrected[known] = multipletests(p[known], method="holm")[1]
        gc.unfreeze()
    return corrected
