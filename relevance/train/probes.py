"""The test rows scored again with one thing changed, nothing trained: does the model use what it is told?

routing=prefix → {"probe/no_prefix/query_item/accuracy": 0.41, "probe/no_prefix/logit_shift": 2.3, ...}

Of more than MOST test rows so many are scored, drawn once per table: "probe/rows" then says how many.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import lightning as L
import numpy as np

from relevance.config import PrivateKind
from relevance.data.batches import Examples, PairsModule, portion
from relevance.data.table import read_rows
from relevance.data.tokens import encode_pairs
from relevance.metrics import logged, score
from relevance.model.module import RelevanceModule
from relevance.model.private.inserted import Gated, Inserted
from relevance.tasks import TASK_NAMES
from relevance.train.evaluation import logits

MOST = 50_000  # test rows that a probe scores


def probe(
    trainer: L.Trainer, module: RelevanceModule, data: PairsModule, rows: Path, trained: np.ndarray
) -> dict[str, float]:
    """Accuracies of each probe that fits the routing, and the mean |change| of the logits `trained` [n, 3].

    Another task is the next one in TASK_NAMES that the cell was trained on; with one task there is none.
    """
    every = data.rows["test"]
    drawn = sample(data.examples.task[every], data.config.data.seed)
    at, trained = every[drawn], trained[drawn]
    task, label = data.examples.task[at], data.examples.label[at]
    found: dict[str, float] = {}
    for kind, changed in _changed(_Asked(trainer, module, data, rows, at)):
        scores = logged(score(task, label, changed.argmax(1)), f"probe/{kind}")
        found |= {name: value for name, value in scores.items() if name.endswith("accuracy")}
        found[f"probe/{kind}/logit_shift"] = float(np.abs(changed - trained).mean())
    return found | ({"probe/rows": float(len(at))} if found and len(at) < len(every) else {})


def sample(task: np.ndarray, seed: int) -> np.ndarray:
    """Places of at most about MOST of the rows [N], ascending, each task in its share; the same for the same seed."""
    return portion(task, min(1, MOST / len(task)), seed)


def next_task(tasks: np.ndarray) -> np.ndarray:
    """For each place in TASK_NAMES the next, in a circle, among those that `tasks` holds [6]."""
    known = np.unique(tasks)
    return known[np.searchsorted(known, np.arange(len(TASK_NAMES)), side="right") % len(known)]


@dataclass(frozen=True)
class _Asked:
    """A trained cell and the test rows, by position, that it is asked again."""

    trainer: L.Trainer
    module: RelevanceModule
    data: PairsModule
    rows: Path
    at: np.ndarray  # [n] ascending

    def again(self) -> np.ndarray:
        """Logits [n, 3] in the order of the rows."""
        return self._logits(self.data.examples, self.at)

    def told(self, task: np.ndarray) -> np.ndarray:
        """Logits [n, 3] where each row's text names the task it is told [n], as a place in TASK_NAMES; -1: none."""
        data, at = self.data, self.at
        tokens = encode_pairs(read_rows(self.rows, at, ["task", "left", "right"]), data.tokenizer, data.template, task)
        every = data.examples
        examples = replace(every, tokens=tokens, task=every.task[at], label=every.label[at], weight=every.weight[at])
        return self._logits(examples, np.arange(len(at)))

    def _logits(self, examples: Examples, rows: np.ndarray) -> np.ndarray:
        found, given = logits(self.trainer, self.module, self.data.loader(examples, rows))
        return given[np.argsort(found)]


def _changed(asked: _Asked) -> Iterator[tuple[str, np.ndarray]]:
    """Kind of each probe and its logits, in the order of the rows that are asked."""
    module = asked.module
    routing, private = module.config.routing, module.network.private
    other, several = _others(asked.data)
    if routing.prefix:
        for kind, told in _named(asked, other if several else None).items():
            yield kind, asked.told(told)
    if routing.heads and several:
        with module.detour(heads=other):
            yield "other_head", asked.again()
    if routing.private.layers and routing.private.kind is not PrivateKind.shared and several:
        with module.detour(branches=other):
            yield "other_private", asked.again()
    if isinstance(private, Inserted) and any(isinstance(part, Gated) for part in private.modules()):
        with _closed(private):
            yield "closed_gate", asked.again()


def _others(data: PairsModule) -> tuple[np.ndarray, bool]:
    trained = data.examples.task[data.rows["train"]]
    return next_task(trained), len(np.unique(trained)) > 1


def _named(asked: _Asked, other: np.ndarray | None) -> dict[str, np.ndarray]:
    """For each probe of the prefix, the task each row names [n]: -1 none."""
    task = asked.data.examples.task[asked.at]
    told = {"no_prefix": np.full(len(task), -1)}
    if other is not None:
        told["wrong_prefix"] = other[task]
        told["shuffled_prefix"] = np.random.default_rng(asked.module.config.seed).permutation(task)
    return told


@contextmanager
def _closed(private: Inserted) -> Iterator[None]:
    private.closed = True
    try:
        yield
    finally:
        private.closed = False
