"""Rows of the matrix, each with a weight → one effect: how large, how sure, alike in every seed or not.

+1 llm mhp joint, -1 llm mh joint, macro → 0.031 [0.012, 0.049], by seed 0.028, 0.041, 0.024, n = 1,212
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from relevance.report.evidence.resample import interval
from relevance.report.matrix import Row
from relevance.scores import COLUMNS

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


Terms = Sequence[tuple[float, Row]]


def contrast(terms: Terms, column: str | np.ndarray, n: np.ndarray) -> Effect | None:
    """The effect on a column, or on a weighed mean of columns [8]; None where the rows share no finished seed.

    `n` counts the test rows of each task [6]; rows of which one lacks the column give None too.
    """
    weights = np.eye(len(COLUMNS))[COLUMNS.index(column)] if isinstance(column, str) else column
    used = np.flatnonzero(weights)
    common = set.intersection(*(set(row.seeds) for _, row in terms))
    if not common:
        return None
    values, draws = 0.0, 0.0
    for weight, row in terms:
        at = [row.seeds.index(seed) for seed in sorted(common)]
        values = values + weight * (row.values[at][:, used] @ weights[used])
        draws = draws + weight * (row.draws[at].mean(axis=0)[:, used] @ weights[used])
    if np.isnan(values).any():
        return None
    rows = n.sum() if used.max() >= len(n) else n[used].sum()
    names = tuple(dict.fromkeys(row.name for _, row in terms))
    return Effect(float(values.mean()), *interval(draws), tuple(values.tolist()), int(rows), names)
