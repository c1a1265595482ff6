"""Rows of the table → the steps of an epoch → micro-batches of tensors, rows of a task side by side; for Lightning.

A step of 64 rows on the CPU → e.g. [3 rows × 71 tokens, 12 × 38, 27 × 23, 22 × 14]
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from relevance import distributed
from relevance.config import Config, Family, Match, Mix, MixConfig, TrainConfig
from relevance.data.mixing import Steps, members, portion
from relevance.data.stored import open_rows, read_columns
from relevance.data.taught import soft_targets, unlabelled_path
from relevance.data.tokens import Reading, Template, Tokens, encode_pairs, load_tokens, segments
from relevance.errors import UserError
from relevance.metrics import places, task_codes
from relevance.rates import optimiser_steps
from relevance.tasks import SPLITS, TASK_NAMES

CPU_TOKENS = 1536  # of a micro-batch
CPU_PASS = 64  # padded tokens that take as long as what a pass costs beside them: docs/performance.md
SCORED_TOKENS = {True: 65_536, False: 8192}  # of one that keeps no gradient, on a GPU or not
AHEAD = 2  # batches that are made before they are asked for


@dataclass(frozen=True)
class Examples:
    tokens: Tokens
    task: np.ndarray  # [N] index into tasks.TASK_NAMES
    label: np.ndarray  # [N], -1 for none
    weight: np.ndarray  # [N] of a row in the loss
    pad: int  # id of the pad token
    segments: bool  # the backbone reads token_type_ids
    front: int = 0  # learnt vectors that the network puts in front of every row
    soft: np.ndarray | None = None  # [N, 3] probabilities of the teachers; of rows that are not trained on 0

    def lengths(self, rows: np.ndarray) -> np.ndarray:
        """Places that these rows take in the network."""
        return self.tokens.offsets[rows + 1] - self.tokens.offsets[rows] + self.front


def unlabelled(table: pa.Table, tokenizer, template: Template, front: int = 0) -> Examples:
    """The pairs of `table` (columns task, left, right) to be scored; their labels and weights are 0."""
    tokens, zeros = encode_pairs(table, tokenizer, template), np.zeros(len(table), np.int8)
    pad = tokenizer.pad_token_id
    return Examples(tokens, task_codes(table["task"]), zeros, zeros, pad, segments(tokenizer, template), front)


@dataclass(frozen=True)
class MicroBatch:
    """B rows padded to their longest; rows of one task stand side by side, `slices` says where."""

    inputs: dict[str, torch.Tensor]  # input_ids, attention_mask [B, T], token_type_ids where read
    slices: list[tuple[int, int, int]]  # (task index, first row, row after the last)
    rows: torch.Tensor  # [B] row ids, never on a device; [0] where the micro-batch only keeps a rank in step
    labels: torch.Tensor  # [B]
    weights: torch.Tensor  # [B]
    soft: torch.Tensor  # [B, 3] probabilities of the teachers; [B, 0] where nothing teaches
    flat: torch.Tensor | None = None  # all of the above but the rows as one, in memory that a device can read

    def parts(self, number: int) -> "list[MicroBatch]":
        """The same rows in so many micro-batches, or one a row."""
        count = len(self.labels)
        edges = sorted({count * place // number for place in range(number + 1)})
        return [self] if number == 1 else [self._part(a, b) for a, b in pairwise(edges)]

    def logits(self, forward: Callable[["MicroBatch"], torch.Tensor]) -> torch.Tensor:
        """Those of `forward` [B, 3], no gradient kept; in halves where the device has no room for all rows at once."""
        try:
            return forward(self)
        except torch.OutOfMemoryError:
            if len(self.labels) == 1:
                raise
        torch.cuda.empty_cache()
        return torch.cat([half.logits(forward) for half in self.parts(2)])

    def _part(self, start: int, stop: int) -> "MicroBatch":
        inputs = {name: tensor[start:stop] for name, tensor in self.inputs.items()}
        cut = [(task, max(a, start) - start, min(b, stop) - start) for task, a, b in self.slices]
        slices = [(task, a, b) for task, a, b in cut if a < b]
        of_rows = (tensor[start:stop] for tensor in (self.rows, self.labels, self.weights, self.soft))
        return MicroBatch(inputs, slices, *of_rows)

    def pinned(self) -> "MicroBatch":
        """The same, to be copied to a device in one piece while the host goes on."""
        floats = [tensor.double().view(torch.int64) for tensor in (self.weights, self.soft)]
        parts = [*self.inputs.values(), self.labels, *floats]
        return replace(self, flat=torch.cat([part.flatten() for part in parts]).pin_memory())

    def to(self, device: torch.device) -> "MicroBatch":
        """The same on `device`; Lightning calls it."""
        names, tensors = [*self.inputs], [*self.inputs.values(), self.labels, self.weights, self.soft]
        if self.flat is None:
            sent = [tensor.to(device) for tensor in tensors]
        else:
            parts = self.flat.to(device, non_blocking=True).split([tensor.numel() for tensor in tensors])
            sent = [_viewed(part, tensor) for part, tensor in zip(parts, tensors, strict=True)]
        *read, labels, weights, soft = sent
        inputs = dict(zip(names, read, strict=True))
        return replace(self, inputs=inputs, labels=labels, weights=weights, soft=soft, flat=None)


def _viewed(part: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A part of what `pinned` made of a tensor as that tensor was."""
    return (part.view(torch.float64).float() if like.is_floating_point() else part).view(like.shape)


class StepDataset(Dataset[list[MicroBatch]]):
    """Row positions of one optimiser step → the micro-batches of this rank's share of them."""

    def __init__(self, examples: Examples, budget: int, rank: int = 0, ranks: int = 1, cost: int = CPU_PASS):
        self.examples, self.budget, self.cost, self.rank, self.ranks = examples, budget, cost, rank, ranks

    def __getitem__(self, rows: np.ndarray) -> list[MicroBatch]:
        """The share is dealt by length; a rank with fewer passes than the busiest makes up for them."""
        lengths = self.examples.lengths(rows)
        order = np.argsort(-lengths, kind="stable")
        shares = [order[start :: self.ranks] for start in range(self.ranks)]
        cuts = [cut_step(lengths[share], self.budget, self.cost) for share in shares]
        pieces = [rows[shares[self.rank][a:b]] for a, b in cuts[self.rank]]
        missing = max(map(len, cuts)) - len(pieces)
        return [collate(self.examples, piece) for piece in pieces] + [stand_in(self.examples, rows[:1])] * missing


def cut_step(lengths: np.ndarray, budget: int, cost: int) -> list[tuple[int, int]]:
    """Where to cut rows that are sorted by falling length, so that the sum of rows × longest + cost is least.

    No piece of several rows holds more than `budget` padded tokens. Exact, by dynamic programming over the last cut.
    """
    least, begins = np.zeros(len(lengths) + 1), np.zeros(len(lengths) + 1, int)
    for stop in range(1, len(lengths) + 1):
        begin = np.arange(stop)
        padded = lengths[:stop] * (stop - begin)
        padded = np.where((padded > budget) & (begin < stop - 1), np.inf, padded)
        begins[stop] = np.argmin(least[:stop] + padded + cost)
        least[stop] = (least[:stop] + padded + cost)[begins[stop]]
    pieces, stop = [], len(lengths)
    while stop:
        pieces.append((int(begins[stop]), stop))
        stop = pieces[-1][0]
    return pieces[::-1]


def cut_batches(lengths: np.ndarray, budget: int) -> list[np.ndarray]:
    """Positions sorted by length and cut so that rows × longest ≤ budget (a longer row goes alone)."""
    order = np.argsort(-lengths, kind="stable")
    pieces, start = [], 0
    while start < len(order):
        size = max(1, budget // max(1, int(lengths[order[start]])))
        pieces.append(order[start : start + size])
        start += size
    return pieces


def collate(examples: Examples, rows: np.ndarray) -> MicroBatch:
    """The micro-batch of these rows, padded on the right."""
    rows = rows[np.argsort(examples.task[rows], kind="stable")]
    start = examples.tokens.offsets[rows]
    length = examples.tokens.offsets[rows + 1] - start
    place = np.arange(int(length.max()))
    mask = place < length[:, None]
    flat = np.minimum(start[:, None] + place, len(examples.tokens.ids) - 1)
    ids = np.where(mask, examples.tokens.ids[flat], examples.pad).astype(np.int64)
    inputs = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask.astype(np.int64))}
    if examples.segments:
        second = (place >= examples.tokens.second[rows][:, None]) & mask
        inputs["token_type_ids"] = torch.from_numpy(second.astype(np.int64))
    task = examples.task[rows]
    edges = [0, *(np.flatnonzero(np.diff(task)) + 1).tolist(), len(task)]
    return MicroBatch(
        inputs,
        [(int(task[first]), first, last) for first, last in pairwise(edges)],
        torch.from_numpy(rows),
        torch.from_numpy(examples.label[rows].astype(np.int64)),
        torch.from_numpy(examples.weight[rows].astype(np.float32)),
        torch.empty(len(rows), 0) if examples.soft is None else torch.from_numpy(examples.soft[rows]),
    )


def stand_in(examples: Examples, row: np.ndarray) -> MicroBatch:
    """One row [1] of no weight: a rank passes it forward while others still have rows, and all make as many."""
    micro = collate(examples, row)
    return replace(micro, rows=micro.rows[:0], weights=torch.zeros_like(micro.weights))


def scored_tokens(train: TrainConfig, on_gpu: bool) -> int:
    """Of a micro-batch that keeps no gradient."""
    return train.score_token_budget or SCORED_TOKENS[on_gpu]


class ScoreDataset(Dataset[MicroBatch]):
    """Each of `rows` once over all ranks, in micro-batches of like length that no number of ranks changes."""

    def __init__(self, examples: Examples, rows: np.ndarray, budget: int, rank: int = 0, ranks: int = 1):
        self.examples, self.rows = examples, rows
        pieces = [rows[piece] for piece in cut_batches(examples.lengths(rows), budget)]
        most = -(-len(pieces) // ranks)
        self.pieces = [*pieces, *[rows[:0]] * (most * ranks - len(pieces))][rank::ranks]

    def __len__(self) -> int:
        return len(self.pieces)

    def __getitem__(self, index: int) -> MicroBatch:
        piece = self.pieces[index]
        return collate(self.examples, piece) if len(piece) else stand_in(self.examples, self.rows[:1])


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
