"""Probabilities brought to what they promise, and cascades: a small cell answers where it is sure enough.

p [0.10, 0.80, 0.10] of a cell that is too sure, temperature 2.0 of its task on validation → [0.21, 0.59, 0.21]

Cascade: small p [N, 3] → confidence [N], under the temperature of each row's task → from 0.8731 on, its answer stands.
Validation: 78.2 of the large one alone; at 0.8731 the small one answers 71 % of the rows and both have 77.9, and at no
lower threshold have they as much: that is the threshold of a loss of 0.3 points.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from relevance import predictions
from relevance.metrics import task_codes
from relevance.tasks import LABELS, TASK_NAMES

SMALLEST = float(np.finfo(np.float32).tiny)  # stands for a probability of 0, whose logarithm has no end
LOSS = 0.3  # points of macro accuracy, against the large one alone
THRESHOLDS = np.arange(3_333, 10_001) / 10_000  # that are tried: the highest of three has a third at least
ROUNDING = 1e-9  # of a sum of shares


@dataclass(frozen=True, eq=False)
class Judged:
    """Rows with what a cell makes of them."""

    task: np.ndarray  # [N] places in TASK_NAMES
    label: np.ndarray  # [N]
    p: np.ndarray  # [N, 3] float64

    @classmethod
    def of(cls, table: pa.Table) -> "Judged":
        """The rows of a table of predictions."""
        return cls(task_codes(table["task"]), table["label"].to_numpy(), predictions.probabilities(table))

    @property
    def confidence(self) -> np.ndarray:
        """Probability of the answer [N]."""
        return self.p.max(axis=1)

    @property
    def hit(self) -> np.ndarray:
        """Whether the answer, the label of the highest probability, is right [N]."""
        return self.p.argmax(axis=1) == self.label


def calibrated(fit: Judged, test: Judged, method: str) -> Judged:
    """The rows `test` with probabilities after `method` (of METHODS), fitted per task on the rows `fit`.

    All of these are fitted on: the cell has seen none of them in training. A task that cannot be fitted keeps its
    probabilities, see `unfit`.
    """
    after, p = METHODS[method], test.p.copy()
    for code in np.setdiff1d(test.task, unfit(fit)):
        mine, here = fit.task == code, test.task == code
        p[here] = after(fit.p[mine], fit.label[mine], test.p[here])
    return Judged(test.task, test.label, p)


def unfit(fit: Judged) -> list[int]:
    """Tasks, as places in TASK_NAMES, of which `fit` lacks some label: no curve can be drawn for that one."""
    counts = np.bincount(fit.task * np.int64(len(LABELS)) + fit.label, minlength=len(TASK_NAMES) * len(LABELS))
    return np.flatnonzero((counts.reshape(-1, len(LABELS)) == 0).any(axis=1)).tolist()


def temperatures(fit: Judged) -> np.ndarray:
    """That of each task, fitted on its rows [6]; 1, which changes nothing, of a task that cannot be fitted."""
    t = np.ones(len(TASK_NAMES))
    for code in np.setdiff1d(fit.task, unfit(fit)):
        t[code] = temperature(fit.p[fit.task == code], fit.label[fit.task == code])
    return t


def temperature(p: np.ndarray, label: np.ndarray) -> float:
    """The T by which log-probabilities are divided for the least log loss, of rows with all labels."""
    from scipy.optimize import minimize_scalar

    scores = np.ascontiguousarray(_scores(p).T)  # sums over labels are faster by label
    apart = scores - scores.max(axis=0)
    mine = apart[label, np.arange(len(label))]

    def loss(log_t: float) -> float:
        return float((np.log(np.exp(apart / np.exp(log_t)).sum(axis=0)) - mine / np.exp(log_t)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-10, 10), options={"xatol": 1e-7}).x))


def softened(p: np.ndarray, t: np.ndarray | float) -> np.ndarray:
    """Probabilities [N, 3] under a temperature, one or that of each row [N, 1]."""
    scores = _scores(p)
    powers = np.exp((scores - scores.max(axis=1, keepdims=True)) / t)
    return powers / powers.sum(axis=1, keepdims=True)


def _isotonic(p: np.ndarray, label: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Each label against the others, brought to a sum of one; a third each where no label has any."""
    from sklearn.isotonic import IsotonicRegression  # slow to import

    shares = np.column_stack(
        [
            IsotonicRegression(out_of_bounds="clip").fit(known, label == k).predict(asked)
            for k, (known, asked) in enumerate(zip(_scores(p).T, _scores(test).T, strict=True))
        ]
    )
    total = shares.sum(axis=1, keepdims=True)
    return np.divide(shares, total, out=np.full(shares.shape, 1 / len(LABELS)), where=total > 0)


def _scores(p: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(p, SMALLEST))


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


METHODS = {  # Guo et al. 2017; Zadrozny and Elkan 2002, one label against the others
    "temperature": lambda p, label, test: softened(test, temperature(p, label)),
    "isotonic": _isotonic,
}
