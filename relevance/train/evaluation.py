"""The rows of a trained cell scored once: predictions on disk, metrics, the tasks on which it collapsed.

validation and test rows → validation.parquet, test.parquet, {"test/accuracy": 0.79, "test/macro_accuracy": 0.77, …}
implied.parquet (mirrored pairs, third sides of triangles: no labels) → consistency.parquet, in the same form
"""

import time
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from relevance import distributed, predictions
from relevance.cell_folder import CellFolder
from relevance.data.batches import unlabelled
from relevance.data.floors import ensure_floors
from relevance.data.implied import ensure_implied
from relevance.data.module import PairsModule
from relevance.metrics import Scores, collapsed, confusion_text, learnt_nothing, logged, score_predictions
from relevance.model.module import RelevanceModule
from relevance.tasks import TASK_NAMES
from relevance.tracking import CellLog


def evaluate(
    work: Path, trainer: L.Trainer, module: RelevanceModule, data: PairsModule, run: CellLog
) -> tuple[dict[str, float], Scores, np.ndarray]:
    """Metrics of both splits, the test's scores and its logits [n, 3] in the order of the rows."""
    found: dict[str, float] = {}
    for split in ("validation", "test"):
        started = time.perf_counter()
        rows, given = logits(trainer, module, data.scoring(split))
        pace = len(rows) / (time.perf_counter() - started)
        names = np.array(TASK_NAMES, dtype=object)[data.examples.task[rows]]
        scored = predictions.table(rows, names, data.examples.label[rows], softmax(given))
        if distributed.first():
            predictions.write(scored, CellFolder(work).predictions(split))
        scores = score_predictions(scored)
        found |= logged(scores, split)
    found["test/rows_per_second"] = pace
    run.text(confusion_text(scores), "confusion.txt")
    return found, scores, given[np.argsort(rows)]


def tag_collapsed(scores: Scores, rows: Path, run: CellLog) -> None:
    """Tag the run with the tasks on which it says no more than the majority row, and where it learnt nothing at all."""
    majority = score_predictions(ensure_floors(rows)["majority"])
    if found := ", ".join(collapsed(scores, majority)):
        run.tag("collapsed", found)
    if learnt_nothing(scores, majority):
        run.tag("learnt", "nothing")


def score_implied(work: Path, trainer: L.Trainer, module: RelevanceModule, data: PairsModule, rows: Path) -> None:
    """Leave consistency.parquet in `work`: the implied pairs of every task the cell was trained on.

    Such pairs have no label; it reads -1 there.
    """
    pairs = ensure_implied(rows).pairs
    pairs = pairs.filter(pc.is_in(pairs["task"], pa.array(data.reading.tasks)))
    found = np.zeros((len(pairs), 3))
    if len(pairs):
        examples = unlabelled(pairs, data.tokenizer, data.template)
        at, given = logits(trainer, module, data.loader(examples, np.arange(len(pairs))))
        found[at] = softmax(given)
    names = pairs["task"].to_numpy(zero_copy_only=False)
    scored = predictions.table(pairs["row"].to_numpy(), names, np.full(len(pairs), -1), found)
    if distributed.first():
        predictions.write(scored, CellFolder(work).consistency)


def logits(trainer: L.Trainer, module: RelevanceModule, loader) -> tuple[np.ndarray, np.ndarray]:
    """Row ids [n] and logits [n, 3] of every row the ranks' loaders hold, the same on each rank.

    FloatingPointError where some are no numbers.
    """
    parts: Any = trainer.predict(module, loader)
    rows, found = (distributed.gathered(torch.cat(part)) for part in zip(*parts, strict=True))
    wrong = rows[~found.isfinite().all(dim=1)].tolist()
    if wrong:
        raise FloatingPointError(
            f"logits are not finite on {len(wrong):,} of {len(rows):,} rows, {wrong[:8]} among them; lower model.lr, "
            "lengthen train.warmup, or set trainer.precision=32-true"
        )
    return rows.numpy(), found.numpy()


def softmax(given: np.ndarray) -> np.ndarray:
    """Probabilities [n, 3] of logits [n, 3], in double precision."""
    return torch.from_numpy(given).double().softmax(-1).numpy()
