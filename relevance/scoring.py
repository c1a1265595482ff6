"""Test figures of one cell: predictions → metrics by the names MLflow shows them under.

predictions of 5,000 rows → {"test/accuracy": 0.81, "test/macro_accuracy": 0.79, "test/query_item/accuracy": 0.83, …}
"""

import numpy as np
import pyarrow as pa
from sklearn.metrics import confusion_matrix, f1_score

from relevance.tasks import LABELS, TASK_NAMES


def metrics(predictions: pa.Table, split: str) -> dict[str, float]:
    """Accuracy (micro), macro accuracy over the tasks present, and per task accuracy, macro F1 and n."""
    found: dict[str, float] = {}
    accuracies = []
    for name, label, predicted in by_task(predictions):
        accuracies.append(float((label == predicted).mean()))
        found[f"{split}/{name}/accuracy"] = accuracies[-1]
        found[f"{split}/{name}/macro_f1"] = float(
            f1_score(label, predicted, labels=[0, 1, 2], average="macro", zero_division=0)
        )
        found[f"{split}/{name}/n"] = len(label)
    label, predicted = predictions["label"].to_numpy(), predictions["predicted"].to_numpy()
    found[f"{split}/accuracy"] = float((label == predicted).mean())
    found[f"{split}/macro_accuracy"] = float(np.mean(accuracies))
    return found


def confusion(predictions: pa.Table) -> str:
    """Confusion matrix of each task as text: a row per label, a column per predicted label."""
    lines = []
    for name, label, predicted in by_task(predictions):
        counts = confusion_matrix(label, predicted, labels=[0, 1, 2])
        lines += [f"{name} (n = {len(label)}; rows: label, columns: predicted)"]
        lines += [f"  {word:<11}" + "".join(f"{count:>8}" for count in row) for word, row in zip(LABELS, counts, strict=True)]
    return "\n".join(lines) + "\n"


def by_task(predictions: pa.Table) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """(task, label [n], predicted [n]) for each task that has rows."""
    task = np.array(predictions["task"].cast(pa.string()))
    label, predicted = predictions["label"].to_numpy(), predictions["predicted"].to_numpy()
    present = [name for name in TASK_NAMES if (task == name).any()]
    return [(name, label[task == name], predicted[task == name]) for name in present]
