"""Two cells on the same rows → McNemar's test per task and over all rows: which of the two is right where they differ.

right of a [1, 1, 0, 1], right of b [0, 1, 0, 0] → only a 2, only b 0, p = 0.5 (exact), 0.25 (mid-p)
"""

import gc
from dataclasses import dataclass

import numpy as np

from relevance.report.evidence.held_out import HeldOut
from relevance.tasks import TASK_NAMES


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
