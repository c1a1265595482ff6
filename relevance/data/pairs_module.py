"""A cell's splits as Lightning loads them, apart from batches.py: scoring imports that, and does without Lightning."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from relevance import distributed
from relevance.config import Config, Family, Match, Mix, MixConfig
from relevance.data.batches import (
    CPU_PASS,
    Examples,
    MicroBatch,
    ScoreDataset,
    StepDataset,
    collate,
    scored_tokens,
)
from relevance.data.mixing import Steps, members, portion
from relevance.data.stored import open_rows, read_columns
from relevance.data.taught import soft_targets, unlabelled_path
from relevance.data.tokens import Reading, Template, load_tokens, segments
from relevance.errors import UserError
from relevance.metrics import places, task_codes
from relevance.rates import optimiser_steps
from relevance.tasks import SPLITS, TASK_NAMES

CPU_TOKENS = 1536  # of a micro-batch
AHEAD = 2  # batches that are made before they are asked for


class PairsModule(L.LightningDataModule):
    """Train, validation and test rows of the mix's tasks, each from the same memory-mapped token ids."""

    steps: int | None = None  # of training, where another cell's budget says how many
    begun = (0, 0)  # the epoch that training resumes in, the steps done of it

    def __init__(self, config: Config, tokenizer, template: Template, examples: Examples, rows: dict[str, np.ndarray]):
        super().__init__()
        self.config, self.tokenizer, self.template = config, tokenizer, template
        self.examples, self.rows = examples, rows

    @property
    def reading(self) -> Reading:
        """How the trained model reads pairs."""
        known = np.unique(self.examples.task[self.rows["train"]])
        return Reading(self.template, tuple(TASK_NAMES[task] for task in known))

    def train_dataloader(self) -> DataLoader:
        step_rows, on_gpu = self.config.train.step_rows, distributed.on_gpu(self.config.trainer)
        # RelevanceModule cuts again what a GPU has no room for; there a pass costs more than any padding
        whole = step_rows * (self.config.model.max_length + self.examples.front)
        budget = self.config.train.token_budget or (whole if on_gpu else CPU_TOKENS)
        steps = Steps(self.rows["train"], self.examples.task, self.config.task_mix, step_rows, self.config.seed)
        steps.begun, ranks = self.begun, (distributed.rank(), distributed.size())
        return _loader(StepDataset(self.examples, budget, *ranks, cost=whole if on_gpu else CPU_PASS), steps)

    def sample(self, size: int) -> MicroBatch:
        """Training rows at even distances, `size` at most."""
        rows = self.rows["train"]
        return collate(self.examples, rows[:: -(-len(rows) // size)])

    def val_dataloader(self) -> DataLoader:
        return self.scoring("validation")

    def scoring(self, split: str) -> DataLoader:
        """Every row of the split once over all ranks, longest first."""
        return self.loader(self.examples, self.rows[split])

    def loader(self, examples: Examples, rows: np.ndarray) -> DataLoader:
        """The given rows of `examples` once over all ranks, longest first."""
        budget = scored_tokens(self.config.train, distributed.on_gpu(self.config.trainer))
        return _loader(ScoreDataset(examples, rows, budget, distributed.rank(), distributed.size()), None)


def pairs_module(config: Config, rows: Path, tokenizer, identity: str) -> PairsModule:
    """The data of one cell; raises UserError where the mix leaves a split without rows."""
    length, most = config.model.max_length, tokenizer.model_max_length
    if length > most:
        raise UserError(f"model.max_length={length}: this backbone reads at most {most} tokens; lower it")
    template = Template(config.routing.prefix, config.model.family is Family.ce, length)
    examples, split = _examples(config, open_rows(rows), tokenizer, identity, template)
    task, labelled = examples.task, examples.label >= 0
    every = np.flatnonzero((split == SPLITS.index("train")) & labelled)
    train = every[portion(task[every], config.task_mix.share, config.data.seed)]
    parts = _parts(rows, config.task_mix, task, split, np.concatenate([train, np.flatnonzero(~labelled)]))
    if not examples.weight[parts["train"]].any():
        remedy = "give some of them a weight (its column, train.class_weights and train.task_weights multiply)"
        raise UserError(f"{rows}: every training row of task_mix={config.task_mix.name} weighs 0; {remedy}")
    module = PairsModule(config, tokenizer, template, examples, parts)
    other = config.task_mix.kind is Mix.single or config.task_mix.share < 1 or not labelled.all()
    if config.match is Match.steps and other:
        module.steps = optimiser_steps(config, len(every))  # those of a joint cell on all rows
    return module


def _examples(config: Config, rows: Path, tokenizer, identity: str, template: Template) -> tuple[Examples, np.ndarray]:
    """The rows of the table, then those without labels; and of each its split [N], a place in SPLITS."""
    cache, teachers = Path(config.outputs) / "tokens", config.train.teacher
    tokens = load_tokens(rows, tokenizer, identity, template, cache)
    wanted = [name for name in ("task", "split", "label", "weight") if name in pq.read_schema(rows).names]
    table = read_columns(rows, wanted, ["task", "split"])  # the texts stay on disk
    task, split, label = task_codes(table["task"]), places(table["split"], SPLITS), table["label"].to_numpy()
    weight = _weights(config, table, task)
    soft = soft_targets(rows, teachers, len(task)) if teachers else None
    if path := unlabelled_path(config):
        tokens = tokens.and_then(load_tokens(open_rows(path), tokenizer, identity, template, cache))
        more = task_codes(read_columns(path, ["task"])["task"])
        task, label = np.concatenate([task, more]), np.concatenate([label, np.full(len(more), -1, np.int8)])
        split = np.concatenate([split, np.full(len(more), SPLITS.index("train"))])
        weight = np.concatenate([weight, _of_tasks(config)[more]])
        soft = np.concatenate([soft, soft_targets(path, teachers, len(more))])
    shown, front = segments(tokenizer, template), config.routing.prompt.k
    return Examples(tokens, task, label, weight, tokenizer.pad_token_id, shown, front, soft), split


def _parts(rows: Path, mix: MixConfig, task: np.ndarray, split: np.ndarray, train: np.ndarray) -> dict[str, np.ndarray]:
    """Positions of the rows of each split that the mix knows; `train` are those of training, of all tasks."""
    known = members(task, mix)
    parts = {name: known[split[known] == index] for index, name in enumerate(SPLITS)}
    parts["train"] = known[np.isin(known, train, kind="table")]
    for name, part in parts.items():
        if not len(part):
            raise UserError(f"task_mix={mix.name}: no {name} rows in {rows}; choose another mix or split")
    return parts


def _weights(config: Config, table: pa.Table, task: np.ndarray) -> np.ndarray:
    weight = table["weight"].to_numpy() if "weight" in table.column_names else np.ones(len(task))
    of_label = np.array(config.train.class_weights or [1.0, 1.0, 1.0])
    return weight * _of_tasks(config)[task] * of_label[table["label"].to_numpy()]


def _of_tasks(config: Config) -> np.ndarray:
    return np.array([config.train.task_weights.get(name, 1.0) for name in TASK_NAMES])


class Ahead(DataLoader):
    """Makes batches in a thread while those before are computed, and pins them where a device will read them."""

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # torch names a class of its own
        batches, made = super().__iter__(), deque[Future[Any]]()
        with ThreadPoolExecutor(1) as thread:
            try:
                while True:
                    made.extend(thread.submit(_next, batches) for _ in range(AHEAD - len(made)))
                    if (batch := made.popleft().result()) is None:
                        return
                    yield batch
            finally:
                thread.shutdown(wait=True, cancel_futures=True)  # who breaks off waits for no more than one


def _next(batches: Iterator[Any]) -> Any:
    batch = next(batches, None)
    if batch is None or not torch.cuda.is_available():
        return batch
    return [micro.pinned() for micro in batch] if isinstance(batch, list) else batch.pinned()


def _loader(dataset: Dataset, sampler: Sampler | None) -> DataLoader:
    return Ahead(dataset, batch_size=None, sampler=sampler, collate_fn=lambda batch: batch)
