"""A small cell answers where it is sure enough, a large one the rest: how sure is enough, and what it saves.

small p [N, 3] → confidence [N], under the temperature of each row's task → from 0.8731 on, its answer stands
validation: 78.2 of the large one alone; at 0.8731 the small one answers 71 % of the rows and both have 77.9, and at no
lower threshold have they as much: that is the threshold of a loss of 0.3 points
"""

from dataclasses import dataclass

import numpy as np

from relevance.calibration import Judged, softened

LOSS = 0.3  # points of macro accuracy, against the large one alone
THRESHOLDS = np.arange(3_333, 10_001) / 10_000  # that are tried: the highest of three has a third at least
ROUNDING = 1e-9  # of a sum of shares


@dataclass(frozen=True, eq=False)
class Cascade:
    """When the small cell's answer stands."""

    t: np.ndarray  # its temperatures by task [6]
    threshold: float

    def suffices(self, task: np.ndarray, p: np.ndarray) -> np.ndarray:
        """Whether the small one answers each row [N], of its probabilities [N, 3]."""
        return _confidence(task, p, self.t) >= self.threshold


@dataclass(frozen=True, eq=False)
class Tradeoff:
    """What each of T thresholds, ascending, gives on rows that both cells answered."""

    thresholds: np.ndarray  # [T]
    share: np.ndarray  # of the rows that the small one answers [T]
    macro: np.ndarray  # accuracy of the cascade, the mean over tasks [T]
    large: float  # that of the large one alone

    @classmethod
    def of(cls, small: Judged, large: Judged, t: np.ndarray, thresholds: np.ndarray = THRESHOLDS) -> "Tradeoff":
        """Of the same rows; `t` are the small one's temperatures [6]."""
        n = np.bincount(small.task)
        weight = 1 / (n[small.task] * np.count_nonzero(n))
        sure = _confidence(small.task, small.p, t)
        order = np.argsort(-sure, kind="stable")
        gained = np.append(0, np.cumsum(((small.hit.astype(float) - large.hit) * weight)[order]))
        answered = len(sure) - np.searchsorted(sure[order[::-1]], thresholds)
        alone = float((large.hit * weight).sum())
        return cls(thresholds, answered / len(sure), alone + gained[answered], alone)

    def lowest(self, loss: float) -> int | None:
        """The place of the lowest threshold that keeps the large one's accuracy but for `loss` points; None: none does.

        One at which the small one answers no row does not count: that is the large one alone.
        """
        able = np.flatnonzero((self.macro >= self.large - loss / 100 - ROUNDING) & (self.share > 0))
        return int(able[0]) if len(able) else None


def _confidence(task: np.ndarray, p: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Probability of the answer of each row [N], under the temperatures of the tasks [6]."""
    return softened(p, t[task][:, None]).max(axis=1)


def pace(small: float, large: float, share: float) -> float:
    """Rows per second of a cascade, of those of its cells and the share of rows that the small one answers."""
    return 1 / (1 / small + (1 - share) / large)
