"""Predicted and true labels → accuracy and macro-F1 per task, micro and macro.

task         query_item  query_query  ...  →  confusion [6, 3, 3] = counts by task, label, predicted
label                 2            1
predicted             2            0
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa

from relevance.tasks import LABELS, TASK_NAMES

COLUMNS = (*TASK_NAMES, "micro", "macro")  # of every table of accuracies
SCALE = np.arange(len(LABELS))  # the three points


@dataclass(frozen=True)
class Scores:
    """Everything the tables say of one set of predictions; a task without rows is NaN."""

    confusion: np.ndarray  # [6, 3, 3] counts by task, label, predicted

    @property
    def n(self) -> np.ndarray:
        """Rows per task [6]."""
        return self.confusion.sum(axis=(1, 2))

    @property
    def accuracy(self) -> np.ndarray:
        """Accuracy per task [6], 0 to 1."""
        return _share(np.trace(self.confusion, axis1=1, axis2=2), self.n)

    @property
    def macro_f1(self) -> np.ndarray:
        """Mean over the three labels of F1 per task [6]; a label never given and never predicted scores 0."""
        hits = np.diagonal(self.confusion, axis1=1, axis2=2)
        f1 = np.nan_to_num(_share(2 * hits, self.confusion.sum(axis=1) + self.confusion.sum(axis=2)))
        return np.where(self.n > 0, f1.mean(axis=1), np.nan)

    @property
    def recall(self) -> np.ndarray:
        """Share of the rows of each label that are found, per task [6, 3]; NaN for a label without rows."""
        return _share(np.diagonal(self.confusion, axis1=1, axis2=2), self.confusion.sum(axis=2))

    @property
    def kappa(self) -> np.ndarray:
        """Cohen's kappa per task with quadratic weights (Cohen 1968) [6]; NaN where chance alone agrees fully."""
        by_label, by_answer = self.confusion.sum(axis=2), self.confusion.sum(axis=1)
        expected = by_label[:, :, None] * by_answer[:, None, :] / np.maximum(self.n, 1)[:, None, None]
        far = (np.subtract.outer(SCALE, SCALE) ** 2).astype(float)
        return 1 - _share((far * self.confusion).sum(axis=(1, 2)), (far * expected).sum(axis=(1, 2)))

    @property
    def mae(self) -> np.ndarray:
        """Mean distance on the three-point scale between label and prediction, per task [6]."""
        far = np.abs(np.subtract.outer(SCALE, SCALE))
        return _share((far * self.confusion).sum(axis=(1, 2)), self.n)

    @property
    def micro(self) -> float:
        return float(_share(np.trace(self.confusion.sum(axis=0)), self.n.sum()))

    @property
    def macro(self) -> float:
        """Mean of the accuracies of the tasks present."""
        return float(np.mean(self.accuracy[self.n > 0])) if self.n.any() else float("nan")

    @property
    def columns(self) -> np.ndarray:
        """Values in the order of COLUMNS [8]."""
        return np.array([*self.accuracy, self.micro, self.macro])


@dataclass(frozen=True)
class Metric:
    """What a report says of Scores; its scope is a task where it has `by_task`, all rows where it has `overall`."""

    name: str  # in csv files and in MLflow
    by_task: Callable[[Scores], np.ndarray] | None = None  # [6]
    overall: Callable[[Scores], float] | None = None
    title: str = ""  # of its table on the page; accuracies stand in the matrix
    digits: int = 1
    percent: bool = True  # whether the page shows it in percent

    def shown(self, scores: Scores) -> np.ndarray:
        """Values per task as the page shows them [6]."""
        assert self.by_task is not None
        return (100 if self.percent else 1) * self.by_task(scores)


def _recall(label: int) -> Callable[[Scores], np.ndarray]:
    return lambda scores: scores.recall[:, label]


METRICS = (
    Metric("accuracy", lambda scores: scores.accuracy, lambda scores: scores.micro),
    Metric("macro_accuracy", overall=lambda scores: scores.macro),
    Metric("macro_f1", lambda scores: scores.macro_f1, title="macro-F1, %"),
    *(Metric(f"recall_{word}", _recall(at), title=f"recall {word}, %") for at, word in enumerate(LABELS)),
    Metric("quadratic_weighted_kappa", lambda scores: scores.kappa, title="kappa", digits=3, percent=False),
    Metric("mean_absolute_error", lambda scores: scores.mae, title="distance", digits=3, percent=False),
)
ALL = "all"  # stands for a task in what is over all rows
# Task and metric of each of COLUMNS, and the name MLflow has it under behind "test/" or "probe/<kind>/".
COLUMN_METRICS = (*((task, "accuracy") for task in TASK_NAMES), (ALL, "accuracy"), (ALL, "macro_accuracy"))
COLUMN_NAMES = tuple(name if task == ALL else f"{task}/{name}" for task, name in COLUMN_METRICS)


def logged(scores: Scores, split: str) -> dict[str, float]:
    """The scores by names of a run: "test/accuracy" is micro, "test/macro_f1" a mean, "test/query_item/n" rows."""
    tested = np.flatnonzero(scores.n).tolist()
    values = {f"{split}/{COLUMN_NAMES[at]}": float(scores.columns[at]) for at in (*tested, -2, -1)}
    counts = {f"{split}/{TASK_NAMES[task]}/n": int(scores.n[task]) for task in tested}
    return {**values, f"{split}/macro_f1": float(np.mean(scores.macro_f1[tested])), **counts}


def collapsed(scores: Scores, majority: Scores) -> tuple[str, ...]:
    """Names of the tasks tested on which a cell tells no more than one answer to every row would, in TASK_NAMES' order.

    Where one label is frequent a collapse has the accuracy of a fair model; it must not pass for a result. A task is
    named where the predictions are one class only, or where the accuracy is not above the upper end of the 95 % Wilson
    interval (1927; no continuity correction) of the majority floor's accuracy; `majority` is its scores on the same
    rows.

    Where the true labels of a task are one class, answering it throughout is right on every row and still named: such
    rows cannot tell a model that reads the texts from one that does not.
    """
    classes = np.count_nonzero(scores.confusion.any(axis=1), axis=1)
    flat = []
    for task in np.flatnonzero(scores.n).tolist():
        bound = _wilson_upper(int(np.trace(majority.confusion[task])), int(majority.n[task]))
        if classes[task] == 1 or scores.accuracy[task] <= bound:
            flat.append(TASK_NAMES[task])
    return tuple(flat)


def learnt_nothing(scores: Scores, majority: Scores, collapsed: Sequence[str]) -> bool:
    """Whether a cell is no better than the most frequent label, which no table may call best.

    So it is where its macro accuracy is not above that of the majority floor over the tasks it was tested on, or where
    it `collapsed` on every one of them; `majority` is the floor's scores on the same rows.
    """
    tested = scores.n > 0
    floor = Scores(majority.confusion * tested[:, None, None])
    return scores.macro <= floor.macro or len(collapsed) == int(tested.sum())


def confusion_text(scores: Scores) -> str:
    """A confusion matrix per task: a row per label, a column per predicted label."""
    lines = []
    for task in np.flatnonzero(scores.n):
        lines.append(f"{TASK_NAMES[task]} (n = {scores.n[task]}; rows: label, columns: predicted)")
        lines.append(" " * 13 + "".join(f"{word:>12}" for word in LABELS))
        for word, row in zip(LABELS, scores.confusion[task], strict=True):
            lines.append(f"  {word:<11}" + "".join(f"{count:>12}" for count in row))
    return "\n".join(lines) + "\n"


def score(task: np.ndarray, label: np.ndarray, predicted: np.ndarray) -> Scores:
    """Scores from task codes, labels and predicted labels, all integers [N]."""
    tasks, labels = len(TASK_NAMES), len(LABELS)
    cell = (task.astype(np.int64) * labels + label) * labels + predicted
    counts = np.bincount(cell, minlength=tasks * labels * labels)
    return Scores(counts.reshape(tasks, labels, labels))


def score_predictions(predictions: pa.Table) -> Scores:
    label, predicted = (predictions[name].to_numpy() for name in ("label", "predicted"))
    return score(task_codes(predictions["task"]), label, predicted)


def task_codes(column: pa.ChunkedArray) -> np.ndarray:
    return places(column, TASK_NAMES)


def places(column: pa.ChunkedArray, names: Sequence[str]) -> np.ndarray:
    """Texts as places in `names` [N], all of which are there."""
    encoded = column.dictionary_encode().combine_chunks()
    codes = np.array([names.index(name) for name in encoded.dictionary.to_pylist()], dtype=np.int64)
    return codes[encoded.indices.to_numpy()]


@cache
def _wilson_upper(hits: int, n: int) -> float:
    """Upper end of the 95 % Wilson interval of hits / n, 0 to 1."""
    from scipy.stats import binomtest  # slow to import, and nothing else asks

    return binomtest(hits, n).proportion_ci(method="wilson").high


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, NaN where whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)
