"""rows.parquet → predictions of two floors, computed once per table and kept beside it.

    majority  the most frequent training label of the task
    lexical   per task: how alike the two texts look, into gradient boosting

A cell that does not beat them has learnt nothing that the surface of the texts does not give away.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from relevance import predictions
from relevance.lexical import Labelled, label_counts, lexical, majority
from relevance.scores import Scores, score, task_codes
from relevance.tasks import TASK_NAMES

FLOORS = ("majority", "lexical")


def ensure_floors(rows: Path) -> dict[str, pa.Table]:
    """Predictions of each floor for the test rows, read from beside `rows` or computed and left there."""
    paths = {name: rows.with_name(f"floor-{name}.parquet") for name in FLOORS}
    if not all(path.is_file() for path in paths.values()):
        for name, table in floors(rows).items():
            predictions.write(table, paths[name])
    return {name: predictions.read(path) for name, path in paths.items()}


def floors(rows: Path) -> dict[str, pa.Table]:
    """Predictions of each floor for the test rows; the same rows give the same numbers.

    A task that is `unlearnable` gets the majority prediction from the lexical floor too.
    """
    table = pq.read_table(rows, columns=["row", "split", "task", "left", "right", "label"])
    table = table.filter(pc.is_in(table["split"], pa.array(["train", "test"])))
    train = pc.equal(table["split"], "train").to_numpy()
    task, label = task_codes(table["task"]), table["label"].to_numpy()
    found = Labelled(task, table["left"], table["right"], label, train)
    asked = np.array(TASK_NAMES, dtype=object)[task[~train]]
    row, label = table["row"].to_numpy()[~train], label[~train]
    return {
        "majority": predictions.table(row, asked, label, majority(found)),
        "lexical": predictions.table(row, asked, label, lexical(found)),
    }


def unlearnable(rows: Path) -> list[str]:
    """Tasks of the test rows whose training rows carry fewer than two labels: no floor can learn them."""
    table = pq.read_table(rows, columns=["split", "task", "label"])
    task, label = task_codes(table["task"]), table["label"].to_numpy()
    train, test = (pc.equal(table["split"], split).to_numpy() for split in ("train", "test"))
    asked = np.bincount(task[test], minlength=len(TASK_NAMES)) > 0
    labels = (label_counts(task[train], label[train]) > 0).sum(axis=1)
    return [TASK_NAMES[code] for code in np.flatnonzero(asked & (labels < 2))]


def noise_ceiling(rows: Path) -> Scores | None:
    """Scores of knowing each test row's label before noise; None where the data does not state it."""
    if "label_clean" not in pq.read_schema(rows).names:
        return None
    table = pq.read_table(rows, columns=["split", "task", "label", "label_clean"])
    table = table.filter(pc.equal(table["split"], "test"))
    return score(task_codes(table["task"]), table["label"].to_numpy(), table["label_clean"].to_numpy())
