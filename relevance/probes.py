"""The test rows scored again with one thing changed, nothing trained: does the model use what it is told?

routing=prefix → {"probe/no_prefix/query_item/accuracy": 0.41, "probe/no_prefix/logit_shift": 2.3, ...}
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import lightning as L
import numpy as np
import pyarrow.parquet as pq

from relevance.config import PrivateKind
from relevance.data.module import PairsModule
from relevance.data.tokens import encode
from relevance.evaluation import logits
from relevance.model.module import RelevanceModule
from relevance.model.private.inserted import Gated, Inserted
from relevance.scores import logged, score
from relevance.tasks import TASK_NAMES


def probe(
    trainer: L.Trainer, module: RelevanceModule, data: PairsModule, rows: Path, trained: np.ndarray
) -> dict[str, float]:
    """Accuracies of each probe that fits the routing, and the mean |change| of the logits `trained` [n, 3].

    Another task is the next one in TASK_NAMES that the cell was trained on; with one task there is none.
    """
    at = data.rows["test"]
    task, label = data.examples.task[at], data.examples.label[at]
    found: dict[str, float] = {}
    for kind, changed in _changed(trainer, module, data, rows):
        scores = logged(score(task, label, changed.argmax(1)), f"probe/{kind}")
        found |= {name: value for name, value in scores.items() if name.endswith("accuracy")}
        found[f"probe/{kind}/logit_shift"] = float(np.abs(changed - trained).mean())
    return found


def next_task(tasks: np.ndarray) -> np.ndarray:
    """For each place in TASK_NAMES the next, in a circle, among those that `tasks` holds [6]."""
    known = np.unique(tasks)
    return known[np.searchsorted(known, np.arange(len(TASK_NAMES)), side="right") % len(known)]


def _changed(
    trainer: L.Trainer, module: RelevanceModule, data: PairsModule, rows: Path
) -> Iterator[tuple[str, np.ndarray]]:
    """Kind of each probe and its logits, in the order of the test rows."""
    routing, network = module.config.routing, module.network
    other, several = _others(data)
    if routing.prefix:
        for kind, told in _told(module, data, other if several else None).items():
            yield kind, _restated(trainer, module, data, rows, told)
    if routing.heads and several:
        with module.detour(heads=other):
            yield "other_head", _again(trainer, module, data)
    if routing.private.layers and routing.private.kind is not PrivateKind.shared and several:
        with module.detour(branches=other):
            yield "other_private", _again(trainer, module, data)
    if any(isinstance(part, Gated) for part in network.modules()):
        with _closed(network.private):
            yield "closed_gate", _again(trainer, module, data)


def _others(data: PairsModule) -> tuple[np.ndarray, bool]:
    trained = data.examples.task[data.rows["train"]]
    return next_task(trained), len(np.unique(trained)) > 1


def _told(module: RelevanceModule, data: PairsModule, other: np.ndarray | None) -> dict[str, np.ndarray]:
    """For each probe of the prefix, the task each test row names [n]: -1 none."""
    task = data.examples.task[data.rows["test"]]
    told = {"no_prefix": np.full(len(task), -1)}
    if other is not None:
        told["wrong_prefix"] = other[task]
        told["shuffled_prefix"] = np.random.default_rng(module.config.seed).permutation(task)
    return told


def _restated(
    trainer: L.Trainer, module: RelevanceModule, data: PairsModule, rows: Path, told: np.ndarray
) -> np.ndarray:
    """Logits of the test rows where each names the task it is `told`."""
    at = data.rows["test"]
    table = pq.read_table(rows, columns=["task", "left", "right"]).take(at)
    tokens = encode(table, data.tokenizer, data.template, told)
    whole = data.examples
    examples = replace(whole, tokens=tokens, task=whole.task[at], label=whole.label[at], weight=whole.weight[at])
    return _in_order(*logits(trainer, module, data.loader(examples, np.arange(len(at)))))


def _again(trainer: L.Trainer, module: RelevanceModule, data: PairsModule) -> np.ndarray:
    return _in_order(*logits(trainer, module, data.scoring("test")))


def _in_order(rows: np.ndarray, found: np.ndarray) -> np.ndarray:
    return found[np.argsort(rows)]


@contextmanager
def _closed(private: Inserted) -> Iterator[None]:
    private.closed = True
    try:
        yield
    finally:
        private.closed = False
