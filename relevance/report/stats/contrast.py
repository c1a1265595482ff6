"""Rows of the matrix → how far they differ: an effect with its interval, and McNemar's test on the rows themselves.

+1 llm mhp joint, -1 llm mh joint, macro → 0.031 [0.012, 0.049], by seed 0.028, 0.041, 0.024, n = 1,212
right of a [1, 1, 0, 1], right of b [0, 1, 0, 0] → only a 2, only b 0, p = 0.5 (exact), 0.25 (mid-p)
"""

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from relevance.metrics import COLUMNS
from relevance.pages.blocks import signed
from relevance.report.stats.resample import HeldOut, interval
from relevance.tasks import TASK_NAMES

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


def versus(one: Series, other: Series, column: str) -> Terms:
    """One minus the other."""
    return [(on(column), one), (on(column, -1), other)]


def contrast(terms: Terms, n: np.ndarray) -> Effect | None:
    """The sum of the terms; None where their series share no seed, or one lacks a column it is weighed on.

    `n` counts the test rows of each task [6].
    """
    common = sorted(set.intersection(*(set(series.seeds) for _, series in terms)))
    if not common:
        return None
    values, draws = np.zeros(len(common)), np.zeros(terms[0][1].draws.shape[1])
    asked = np.zeros(len(n), bool)
    for weights, series in terms:
        at, own = [series.seeds.index(seed) for seed in common], np.flatnonzero(weights)
        values = values + series.values[at][:, own] @ weights[own]
        draws = draws + series.draws[at].mean(axis=0)[:, own] @ weights[own]
        asked |= _tasks(series, weights, len(n))
    if np.isnan(values).any():
        return None
    names = tuple(dict.fromkeys(series.name for _, series in terms))
    value, low, high, *seeds = (_exact(number) for number in (values.mean(), *interval(draws), *values))
    return Effect(value, low, high, tuple(seeds), int(n[asked].sum()), names)


def _tasks(series: Series, weights: np.ndarray, tasks: int) -> np.ndarray:
    """On which tasks' rows a series' weighed columns rest [6]: micro and macro on all that it was asked."""
    return (weights[:tasks] != 0) | (weights[tasks:].any() & ~np.isnan(series.values[0, :tasks]))


def _exact(number: float) -> float:
    """A difference that is zero but for rounding (draws are single precision) is zero, and decides nothing."""
    return 0.0 if abs(number) < ROUNDING else float(number)


def effect_text(effect: Effect) -> str:
    """An effect in points with its interval: "+1.2 [-0.3, +2.7]"."""
    return f"{signed(effect.value)} [{signed(effect.low)}, {signed(effect.high)}]"


class Right:
    """The answers of many cells as bits, right or wrong, so that any two are told apart in microseconds."""

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
        """Of two sets of answers [N], how many rows only a, and only b, is right on.

        The rows are those of a task, a place in TASK_NAMES, or all where `task` is the number of tasks; rows that
        either was not asked (-1) count for neither.
        """
        here = slice(0, self.ends[-1]) if task == len(TASK_NAMES) else slice(self.ends[task], self.ends[task + 1])
        (right_a, asked_a), (right_b, asked_b) = ([bits[here] for bits in self._bits(one)] for one in (a, b))
        only_a, only_b = right_a & ~right_b & asked_b, right_b & ~right_a & asked_a
        return int(np.bitwise_count(only_a).sum()), int(np.bitwise_count(only_b).sum())

    def _bits(self, answers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if id(answers) not in self.known:  # the answers are kept beside, so that their id stays theirs
            right = np.packbits((answers == self.tested.label)[self.order] & self.real)
            whole = answers.min(initial=0) >= 0
            asked = self.every if whole else np.packbits((answers >= 0)[self.order] & self.real)
            self.known[id(answers)] = right, asked, answers
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
