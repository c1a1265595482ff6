"""Probabilities of validation rows → those of test rows, calibrated task by task.

temperature [0.99, 0.01, 0.00], T = 2.1 → [0.89, 0.10, 0.01]; the answer stays what it was
isotonic    each label's probability through a step function of its own, then divided by their sum

Apart from calibration.py, since scikit-learn is slow to import which only the fits need.
"""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV

from relevance.report.stats.calibration import Judged
from relevance.tasks import LABELS, TASK_NAMES

METHODS = ("temperature", "isotonic")  # Guo et al. 2017; Zadrozny and Elkan 2002, one label against the others
SMALLEST = float(np.finfo(np.float32).tiny)  # stands for a probability of 0, whose logarithm has no end


class Given(ClassifierMixin, BaseEstimator):
    """A classifier whose scores [N, 3] are what it is asked about: it has nothing to learn."""

    classes_ = np.arange(len(LABELS))

    def fit(self, scores: np.ndarray, label: np.ndarray) -> "Given":
        """Nothing."""
        return self

    def decision_function(self, scores: np.ndarray) -> np.ndarray:
        """The scores."""
        return scores

    def predict(self, scores: np.ndarray) -> np.ndarray:
        """The label of the highest score."""
        return scores.argmax(axis=1)


def calibrated(fit: Judged, ask: Judged, method: str) -> Judged:
    """The rows `ask` with probabilities after `method` (of METHODS), fitted per task on the rows `fit`.

    A task that cannot be fitted keeps its probabilities, see `unfit`.
    """
    p, left = ask.p.copy(), unfit(fit)
    for code in np.unique(ask.task):
        if code not in left:
            mine, here = fit.task == code, ask.task == code
            p[here] = calibrator(fit.p[mine], fit.label[mine], method).predict_proba(_scores(ask.p[here]))
    return Judged(ask.task, ask.label, p)


def unfit(fit: Judged) -> list[int]:
    """Tasks, as places in TASK_NAMES, of which `fit` lacks some label: no curve can be drawn for that one."""
    counts = np.bincount(fit.task * np.int64(len(LABELS)) + fit.label, minlength=len(TASK_NAMES) * len(LABELS))
    return np.flatnonzero((counts.reshape(-1, len(LABELS)) == 0).any(axis=1)).tolist()


def temperature(p: np.ndarray, label: np.ndarray) -> float:
    """The T by which log-probabilities are divided for the least log loss, of rows with all labels."""
    return float(1 / calibrator(p, label, "temperature").calibrated_classifiers_[0].calibrators[0].beta_)


def calibrator(p: np.ndarray, label: np.ndarray, method: str) -> CalibratedClassifierCV:
    """Fitted on all rows of `p` [N, 3] and `label` [N] at once: the cell has seen none of them in training."""
    rows = np.arange(len(label))
    return CalibratedClassifierCV(Given(), method=method, cv=[(rows, rows)], ensemble=False).fit(_scores(p), label)


def _scores(p: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(p, SMALLEST))
