"""Labels and predictions, chunk by chunk → a table of scores for a person.

task          n   accuracy %  macro-F1 %
query_item  812         81.4        80.2
micro       812         81.4
"""

import numpy as np
import pyarrow as pa

from relevance.scores import Scores, score, task_codes
from relevance.tasks import LABELS, TASK_NAMES


class Tally:
    """Counts of all chunks; rows without a label are left out."""

    def __init__(self) -> None:
        self.confusion = np.zeros((len(TASK_NAMES), len(LABELS), len(LABELS)), np.int64)

    def add(self, table: pa.Table, predicted: np.ndarray) -> None:
        """Count a chunk: `table` [N] has a column task, and label where any row has one; `predicted` is [N]."""
        if "label" not in table.column_names:
            return
        label = table["label"].fill_null(-1).to_numpy()
        known = label >= 0
        self.confusion += score(task_codes(table["task"])[known], label[known], predicted[known]).confusion

    def __bool__(self) -> bool:
        """Whether any row had a label."""
        return bool(self.confusion.any())

    def text(self) -> str:
        """An aligned table in percent: each task present, then micro and macro."""
        scores = Scores(self.confusion)
        accuracy, f1 = 100 * scores.accuracy, 100 * scores.macro_f1
        rows = [(TASK_NAMES[k], scores.n[k], accuracy[k], f1[k]) for k in np.flatnonzero(scores.n)]
        lines = [f"{'task':<12}{'n':>10}{'accuracy %':>12}{'macro-F1 %':>12}"]
        lines += [f"{name:<12}{n:>10,}{share:>12.1f}{mean:>12.1f}" for name, n, share, mean in rows]
        for name, share in (("micro", scores.micro), ("macro", scores.macro)):
            lines.append(f"{name:<12}{scores.n.sum():>10,}{100 * share:>12.1f}")
        return "\n".join(lines)
