"""Probabilities and labels → whether a confidence is the share of answers that are right.

confidences [0.9, 0.9, 0.7], right [1, 0, 1] → bins (0.67, 0.73] and (0.87, 0.93]
error (1 - 0.7 + |1 - 1.8|) / 3 rows = 0.367; of the 2 surest rows, any 2 of those at 0.9, half are right
"""

from dataclasses import dataclass

import numpy as np

from relevance.tasks import TASK_NAMES

BINS = 15  # as in Guo et al. 2017
EDGES = np.linspace(0, 1, BINS + 1)


@dataclass(frozen=True, eq=False)
class Judged:
    """Rows with what a cell makes of them."""

    task: np.ndarray  # [N] places in TASK_NAMES
    label: np.ndarray  # [N]
    p: np.ndarray  # [N, 3] float64

    @property
    def confidence(self) -> np.ndarray:
        """Probability of the answer [N]."""
        return self.p.max(axis=1)

    @property
    def hit(self) -> np.ndarray:
        """Whether the answer, the label of the highest probability, is right [N]."""
        return self.p.argmax(axis=1) == self.label


@dataclass(frozen=True, eq=False)
class Bins:
    """Rows counted by task and by bin of confidence; bin b holds the confidences in (b / 15, (b + 1) / 15]."""

    count: np.ndarray  # [6, 15]
    confidence: np.ndarray  # [6, 15] sums
    hits: np.ndarray  # [6, 15]

    @classmethod
    def of(cls, judged: Judged) -> "Bins":
        """The rows of `judged`, each in the bin of its answer's probability."""
        shape = len(TASK_NAMES), BINS
        confidence = judged.confidence
        cell = judged.task * np.int64(BINS) + np.searchsorted(EDGES[1:-1], confidence)
        sums = [np.bincount(cell, weights, minlength=shape[0] * BINS) for weights in (None, confidence, judged.hit)]
        return cls(*(one.reshape(shape) for one in sums))

    @property
    def error(self) -> np.ndarray:
        """Expected calibration error, 0 to 1, per task, then over all rows [7]; NaN without rows.

        The mean over rows of |accuracy - mean confidence| of their bin, of the answer only ("top label"): Naeini,
        Cooper, Hauskrecht 2015; Guo, Pleiss, Sun, Weinberger 2017, eq. 3.
        """
        gap = np.abs(np.vstack([self.hits - self.confidence, (self.hits - self.confidence).sum(axis=0)])).sum(axis=1)
        n = np.append(self.count.sum(axis=1), self.count.sum())
        return np.divide(gap, n, out=np.full(len(n), np.nan), where=n > 0)


def coverage(judged: Judged, percents: tuple[int, ...]) -> np.ndarray:
    """Accuracy, 0 to 1, on the percents of rows the cell is surest of [P]; NaN without rows.

    Of rows that tie at the edge, each counts as much as the others: no order of rows can make a difference.
    """
    confidence, hit = judged.confidence, judged.hit
    if not len(hit):
        return np.full(len(percents), np.nan)
    keep = -(-len(hit) * np.array(percents) // 100)
    ordered, found = np.sort(confidence)[::-1], []
    for k in keep:
        surer, tied = confidence > ordered[k - 1], confidence == ordered[k - 1]
        found.append((hit[surer].sum() + (k - surer.sum()) * hit[tied].mean()) / k)
    return np.array(found)
