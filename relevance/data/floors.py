"""rows.parquet → predictions of two floors, computed once per table and kept beside it.

majority is the most frequent training label of the task; lexical is gradient boosting of how alike the two texts look:
cosine=0.41, jaccard=0.25, left_in_right=0.5, right_in_left=0.33, chars, words → probabilities [0.1, 0.3, 0.6]
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from relevance import predictions
from relevance.data.entities import numbered
from relevance.data.stored import beside, open_rows, read_columns
from relevance.metrics import Scores, score, task_codes
from relevance.tasks import LABELS, TASK_NAMES

FLOORS = ("majority", "lexical")
ROUNDS = 60  # of boosting


def ensure_floors(rows: Path) -> dict[str, pa.Table]:
    """Predictions of each floor for the test rows, read from beside `rows` or computed and left there."""

    def make() -> dict[str, pa.Table]:
        return {f"floor-{name}": table for name, table in fit_floors(open_rows(rows)).items()}

    paths = beside(rows, [f"floor-{name}" for name in FLOORS], make, predictions.write)
    return {name: predictions.read(path) for name, path in zip(FLOORS, paths.values(), strict=True)}


def fit_floors(rows: Path) -> dict[str, pa.Table]:
    """Predictions of each floor for the test rows; the same rows give the same numbers."""
    table = read_columns(rows, ["row", "split", "task", "left", "right", "label"])
    table = table.filter(pc.is_in(table["split"], pa.array(["train", "test"])))
    train = pc.equal(table["split"], "train").to_numpy()
    task, label = task_codes(table["task"]), table["label"].to_numpy()
    labelled = Labelled(task, table["left"], table["right"], label, train)
    tested = table["row"].to_numpy()[~train], np.array(TASK_NAMES, dtype=object)[task[~train]], label[~train]
    probabilities = {"majority": majority_floor(labelled), "lexical": lexical_floor(labelled)}
    return {name: predictions.table(*tested, values) for name, values in probabilities.items()}


def unlearnable(rows: Path) -> list[str]:
    """Tasks of the test rows whose training rows have fewer than two labels: no floor can learn them."""
    table = read_columns(rows, ["split", "task", "label"])
    task, label = task_codes(table["task"]), table["label"].to_numpy()
    train, test = (pc.equal(table["split"], split).to_numpy() for split in ("train", "test"))
    tested = np.bincount(task[test], minlength=len(TASK_NAMES)) > 0
    labels = (label_counts(task[train], label[train]) > 0).sum(axis=1)
    return [TASK_NAMES[code] for code in np.flatnonzero(tested & (labels < 2))]


def noise_ceiling(rows: Path) -> Scores | None:
    """Scores of knowing each test row's label before noise; None where the data does not state it."""
    if "label_clean" not in pq.read_schema(rows).names:
        return None
    table = read_columns(rows, ["split", "task", "label", "label_clean"])
    table = table.filter(pc.equal(table["split"], "test"))
    return score(task_codes(table["task"]), table["label"].to_numpy(), table["label_clean"].to_numpy())


@dataclass(frozen=True)
class Labelled:
    """Rows to learn from and rows to predict; the labels of the latter are not read."""

    task: np.ndarray  # [N], index into TASK_NAMES
    left: pa.ChunkedArray  # [N] texts
    right: pa.ChunkedArray
    label: np.ndarray  # [N]
    train: np.ndarray  # [N] bool; the others are predicted


def majority_floor(rows: Labelled) -> np.ndarray:
    """Training shares of the labels, of the task of each row to predict [M, 3]."""
    return _shares(label_counts(rows.task[rows.train], rows.label[rows.train]))[rows.task[~rows.train]]


def lexical_floor(rows: Labelled) -> np.ndarray:
    """Probabilities [M, 3] of the rows to predict; `majority_floor`'s for a task of one label in training."""
    counts = label_counts(rows.task[rows.train], rows.label[rows.train])
    probabilities = _shares(counts)[rows.task]
    texts = _Texts(rows.left, rows.right)
    for code in np.flatnonzero((counts > 0).sum(axis=1) > 1):
        fit, predict = (np.flatnonzero((rows.task == code) & part) for part in (rows.train, ~rows.train))
        if len(predict):
            probabilities[predict] = _boost(*texts.features(fit, predict), rows.label[fit])
    return probabilities[~rows.train]


def label_counts(task: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Rows by task and label [6, 3]."""
    shape = len(TASK_NAMES), len(LABELS)
    return np.bincount(task * shape[1] + label, minlength=shape[0] * shape[1]).reshape(shape)


def _shares(counts: np.ndarray) -> np.ndarray:
    """Training share of each label per task [6, 3]; a task never trained on has the shares of all tasks."""
    counts = np.where(counts.any(axis=1, keepdims=True), counts, counts.sum(axis=0))
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


class _Texts:
    """Each different text once: its n-grams, words and lengths; a row is two places in them."""

    def __init__(self, left: pa.ChunkedArray, right: pa.ChunkedArray) -> None:
        from sklearn.feature_extraction.text import CountVectorizer

        self.left, self.right, different = numbered(left, right)
        texts = different.to_pylist()
        grams = CountVectorizer(analyzer="char_wb", ngram_range=(3, 4), dtype=np.float32)
        words = CountVectorizer(binary=True, token_pattern=r"\w+|[^\w\s]", dtype=np.float32)
        self.grams, self.words = grams.fit_transform(texts), words.fit_transform(texts)
        chars = pc.utf8_length(different).to_numpy()
        self.lengths = np.column_stack([chars, self.words.getnnz(axis=1)]).astype(np.float32)

    def features(self, fit: np.ndarray, predict: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features [N, 10] of the training rows `fit` and of the rows `predict` of one task."""
        from sklearn.feature_extraction.text import TfidfTransformer

        rows = np.concatenate([fit, predict])
        left, right = self.left[rows], self.right[rows]
        both = row_dot(self.words, left, right)[:, None]
        n = self.lengths[left, 1:], self.lengths[right, 1:]
        overlap = [both / (n[0] + n[1] - both), both / n[0], both / n[1]]
        a, b = self.lengths[left], self.lengths[right]
        seen = self.grams[np.unique(np.concatenate([self.left[fit], self.right[fit]]))]
        known = np.flatnonzero(seen.getnnz(axis=0))  # idf and n-grams are those of the training rows
        tfidf = TfidfTransformer().fit(seen[:, known]).transform(self.grams[:, known])
        cosine = row_dot(tfidf, left, right)[:, None]
        columns = np.hstack([cosine, *overlap, a, b, np.minimum(a, b) / np.maximum(a, b)])
        return columns[: len(fit)], columns[len(fit) :]


def row_dot(matrix, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Dot product of the sparse rows left[i] and right[i], [N]."""
    return np.asarray(matrix[left].multiply(matrix[right]).sum(axis=1)).ravel()


def _boost(fit: np.ndarray, predict: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Probabilities [N, 3] for the rows `predict` after boosting on `fit` and its labels."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    model = HistGradientBoostingClassifier(max_iter=ROUNDS, early_stopping=False, random_state=0)
    with threadpool_limits(1):  # sums of gradients, hence splits, would depend on the number of threads
        model.fit(fit, label)
        probabilities = np.zeros((len(predict), len(LABELS)))
        probabilities[:, model.classes_] = model.predict_proba(predict)
    return probabilities
