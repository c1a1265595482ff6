"""The rows of a trained cell scored: predictions on disk, metrics, the tasks on which it collapsed, probes.

validation and test rows → validation.parquet, test.parquet, {"test/accuracy": 0.79, "test/macro_accuracy": 0.77, …}
implied.parquet (mirrored pairs, third sides of triangles: no labels) → consistency.parquet, in the same form
routing=prefix → {"probe/no_prefix/query_item/accuracy": 0.41, "probe/no_prefix/logit_shift": 2.3, …}
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from relevance import distributed, predictions
from relevance.cell_id import CellFolder
from relevance.data.batches import unlabelled
from relevance.data.entities import entity_keys
from relevance.data.floors import ensure_floors
from relevance.data.implied import ensure_implied
from relevance.data.mixing import portion
from relevance.data.pairs_module import PairsModule
from relevance.data.stored import read_rows
from relevance.data.tokens import encode_pairs
from relevance.metrics import Scores, collapsed, confusion_text, learnt_nothing, logged, score, score_predictions
from relevance.model.module import RelevanceModule
from relevance.ranking import Lists, expected_grade
from relevance.tasks import TASK_NAMES
from relevance.tracking import CellLog

MOST = 50_000  # test rows that a probe scores, of more so many drawn once per table: "probe/rows" then says how many


def evaluate(
    work: Path, trainer: L.Trainer, module: RelevanceModule, data: PairsModule, run: CellLog
) -> tuple[dict[str, float], Scores, np.ndarray]:
    """Metrics of both splits, the test's scores and its logits [n, 3] in the order of the rows."""
    metrics: dict[str, float] = {}
    for split in ("validation", "test"):
        started = time.perf_counter()
        rows, scored = logits(trainer, module, data.scoring(split))
        pace = len(rows) / (time.perf_counter() - started)
        names = np.array(TASK_NAMES, dtype=object)[data.examples.task[rows]]
        table = predictions.table(rows, names, data.examples.label[rows], softmax(scored))
        if distributed.first():
            predictions.write(table, CellFolder(work).predictions(split))
        scores = score_predictions(table)
        metrics |= logged(scores, split)
    metrics["test/rows_per_second"] = pace
    run.text(confusion_text(scores), "confusion.txt")
    return metrics, scores, scored


def tag_collapsed(scores: Scores, rows: Path, run: CellLog) -> None:
    """Tag the run with the tasks on which it says no more than the majority row, and where it learnt nothing at all."""
    majority = score_predictions(ensure_floors(rows)["majority"])
    tasks = collapsed(scores, majority)
    if tasks:
        run.tag("collapsed", ", ".join(tasks))
    if learnt_nothing(scores, majority, tasks):
        run.tag("learnt", "nothing")


def ndcg(rows: Path, at: np.ndarray, scored: np.ndarray) -> dict[str, float]:
    """NDCG@10 of logits [n, 3] of rows at these positions, the mean over tasks; {} without any list."""
    table = read_rows(rows, at, ["task", "left", "right", "left_id", "right_id", "label"])
    keys = entity_keys(table)
    lists = Lists.of(keys.task, keys.left, keys.right, table["label"].to_numpy())
    there = lists.relevant["ndcg_10"]
    values = lists.scores(expected_grade(softmax(scored)))[0]
    means = [values[there & (lists.task == task)].mean() for task in np.unique(lists.task[there])]
    return {"test/ndcg_10": float(np.mean(means))} if means else {}


def score_implied(work: Path, trainer: L.Trainer, module: RelevanceModule, data: PairsModule, rows: Path) -> None:
    """Leave consistency.parquet in `work`: implied pairs of the tasks the cell was trained on, their label -1."""
    pairs = ensure_implied(rows).pairs
    pairs = pairs.filter(pc.is_in(pairs["task"], pa.array(data.reading.tasks)))
    probabilities = np.zeros((0, 3))
    if len(pairs):
        examples = unlabelled(pairs, data.tokenizer, data.template, data.examples.front)
        probabilities = softmax(logits(trainer, module, data.loader(examples, np.arange(len(pairs))))[1])
    names = pairs["task"].to_numpy(zero_copy_only=False)
    table = predictions.table(pairs["row"].to_numpy(), names, np.full(len(pairs), -1), probabilities)
    if distributed.first():
        predictions.write(table, CellFolder(work).consistency)


def logits(trainer: L.Trainer, module: RelevanceModule, loader) -> tuple[np.ndarray, np.ndarray]:
    """Row ids [n], ascending, and logits [n, 3] of the rows of all ranks; FloatingPointError for no numbers."""
    parts: Any = trainer.predict(module, loader)
    rows, scored = (distributed.gathered(torch.cat(part).cpu()) for part in zip(*parts, strict=True))
    if wrong := rows[~scored.isfinite().all(dim=1)].tolist():
        raise FloatingPointError(
            f"logits are not finite on {len(wrong):,} of {len(rows):,} rows, {wrong[:8]} among them; lower model.lr, "
            "lengthen train.warmup, or set trainer.precision=32-true"
        )
    order = rows.argsort()
    return rows[order].numpy(), scored[order].numpy()


def softmax(scored: np.ndarray) -> np.ndarray:
    """Probabilities [n, 3] of logits [n, 3], in double precision."""
    return torch.from_numpy(scored).double().softmax(-1).numpy()


def probe(
    trainer: L.Trainer, module: RelevanceModule, data: PairsModule, rows: Path, trained: np.ndarray
) -> dict[str, float]:
    """The test rows scored again with one thing changed, nothing trained: does the model use what names the task?

    Accuracies of each probe that fits the routing, and the mean |change| of the logits `trained` [n, 3]. Another task
    is the next in TASK_NAMES that the cell was trained on; a cell of a single task has no such probe.
    """
    every = data.rows["test"]
    drawn = sample(data.examples.task[every], data.config.data.seed)
    at, trained = every[drawn], trained[drawn]
    task, label = data.examples.task[at], data.examples.label[at]
    metrics: dict[str, float] = {}
    for kind, changed in _probes(_Rescoring(trainer, module, data, rows, at)):
        scores = logged(score(task, label, changed.argmax(1)), f"probe/{kind}")
        metrics |= {name: value for name, value in scores.items() if name.endswith("accuracy")}
        metrics[f"probe/{kind}/logit_shift"] = float(np.abs(changed - trained).mean())
    return metrics | ({"probe/rows": float(len(at))} if metrics and len(at) < len(every) else {})


def sample(task: np.ndarray, seed: int) -> np.ndarray:
    """Places of at most about MOST of the rows [N], ascending, each task in its share; the same for the same seed."""
    return portion(task, min(1, MOST / len(task)), seed)


def next_task(tasks: np.ndarray) -> np.ndarray:
    """For each place in TASK_NAMES the next, in a circle, among those that `tasks` holds [6]."""
    known = np.unique(tasks)
    return known[np.searchsorted(known, np.arange(len(TASK_NAMES)), side="right") % len(known)]


@dataclass(frozen=True)
class _Rescoring:
    """A trained cell and the test rows, by position, that it scores again."""

    trainer: L.Trainer
    module: RelevanceModule
    data: PairsModule
    rows: Path
    at: np.ndarray  # [n] ascending

    def logits(self, named: np.ndarray | None = None) -> np.ndarray:
        """Logits [n, 3]; each row's text names its entry of `named` [n], a place in TASK_NAMES (-1: none)."""
        examples, data, at = self.data.examples, self.data, self.at
        if named is not None:
            texts = read_rows(self.rows, at, ["task", "left", "right"])
            tokens = encode_pairs(texts, data.tokenizer, data.template, named)
            columns = {name: getattr(examples, name)[at] for name in ("task", "label", "weight")}
            examples, at = replace(examples, tokens=tokens, soft=None, **columns), np.arange(len(at))
        return logits(self.trainer, self.module, data.loader(examples, at))[1]


def _probes(rescoring: _Rescoring) -> Iterator[tuple[str, np.ndarray]]:
    """Kind of each probe and its logits, in the order of the rows."""
    module = rescoring.module
    routing, private = module.config.routing, module.network.private
    trained = rescoring.data.examples.task[rescoring.data.rows["train"]]
    other, several = next_task(trained), len(np.unique(trained)) > 1
    if routing.prefix:
        task = rescoring.data.examples.task[rescoring.at]
        yield "no_prefix", rescoring.logits(np.full(len(task), -1))
        if several:
            yield "wrong_prefix", rescoring.logits(other[task])
            yield "shuffled_prefix", rescoring.logits(np.random.default_rng(module.config.seed).permutation(task))
    if routing.heads and several:
        with module.detour(heads=other):
            yield "other_head", rescoring.logits()
    if private is None:
        return
    if len(private.branches) > 1 and several:
        with module.detour(branches=other):
            yield "other_private", rescoring.logits()
    for kind, change in private.probes().items():
        with change:
            yield kind, rescoring.logits()
