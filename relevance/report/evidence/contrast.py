"""Series of accuracies, each with a weight → one effect: how large, how sure, alike in every seed or not.

+1 llm mhp joint, -1 llm mh joint, macro → 0.031 [0.012, 0.049], by seed 0.028, 0.041, 0.024, n = 1,212
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from relevance.report.evidence.resample import interval
from relevance.report.tables import signed
from relevance.scores import COLUMNS

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
    values, draws, asked = 0.0, 0.0, np.zeros(len(n), bool)
    for weights, series in terms:
        at, own = [series.seeds.index(seed) for seed in common], np.flatnonzero(weights)
        values = values + series.values[at][:, own] @ weights[own]
        draws = draws + series.draws[at].mean(axis=0)[:, own] @ weights[own]
        asked |= _tasks(series, weights, len(n))
    if np.isnan(values).any():
        return None
    names = tuple(dict.fromkeys(series.name for _, series in terms))
    numbers = [_exact(number) for number in (values.mean(), *interval(draws), *values)]
    return Effect(*numbers[:3], tuple(numbers[3:]), int(n[asked].sum()), names)


def _tasks(series: Series, weights: np.ndarray, tasks: int) -> np.ndarray:
    """On which tasks' rows a series' weighed columns rest [6]: micro and macro on all that it was asked."""
    return (weights[:tasks] != 0) | (weights[tasks:].any() & ~np.isnan(series.values[0, :tasks]))


def _exact(number: float) -> float:
    """A difference that is zero but for rounding (draws are single precision) is zero, and decides nothing."""
    return 0.0 if abs(number) < ROUNDING else float(number)


def effect_text(effect: Effect) -> str:
    """An effect in points with its interval: "+1.2 [-0.3, +2.7]"."""
    return f"{signed(effect.value)} [{signed(effect.low)}, {signed(effect.high)}]"
