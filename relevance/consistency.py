"""A trained cell asked what its test rows imply: mirrored pairs and the third sides of triangles, scored once.

implied.parquet (row, task, left, right) → consistency.parquet beside the cell's predictions, in the same form
"""

from pathlib import Path

import lightning as L
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance import group, predictions
from relevance.data.batches import unlabelled
from relevance.data.implied import ensure_implied
from relevance.data.module import PairsModule
from relevance.evaluation import logits, softmax
from relevance.model.module import RelevanceModule


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
    if group.first():
        predictions.write(scored, work / "consistency.parquet")
