"""Two cells on the same rows → McNemar's test per task and over all rows: which of the two is right where they differ.

right of a [1, 1, 0, 1], right of b [0, 1, 0, 0] → only a 2, only b 0, p = 0.5 (exact), 0.25 (mid-p)
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from relevance.tasks import TASK_NAMES


@dataclass(frozen=True)
class McNemar:
    """Per task, then over all rows both were asked [7]."""

    only_a: np.ndarray  # rows that a alone answers right
    only_b: np.ndarray
    exact: np.ndarray  # two-sided p of the binomial test
    mid: np.ndarray  # mid-p (Fagerland, Lydersen, Laake 2013): half the probability of what was seen


def mcnemar(a: np.ndarray, b: np.ndarray, task: np.ndarray) -> McNemar:
    """Of the answers' correctness `a` and `b` [N] bool, on the rows given, which have these tasks [N]."""
    counts = [np.bincount(task[here], minlength=len(TASK_NAMES)) for here in (a & ~b, b & ~a)]
    only_a, only_b = (np.append(count, count.sum()) for count in counts)
    less, n = np.minimum(only_a, only_b), only_a + only_b
    tail, seen = binom.cdf(less, n, 0.5), binom.pmf(less, n, 0.5)
    return McNemar(only_a, only_b, np.minimum(1, 2 * tail), np.minimum(1, 2 * tail - seen))


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's corrected p of the tests of one column [T]; NaN stays, and counts as no test."""
    from statsmodels.stats.multitest import multipletests

    corrected, known = np.full(len(p), np.nan), ~np.isnan(p)
    if known.any():
        corrected[known] = multipletests(p[known], method="holm")[1]
    return corrected
