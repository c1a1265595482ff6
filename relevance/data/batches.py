"""Rows of the table → micro-batches of tensors, rows of a task side by side: of a step, or of all that is scored.

A step of 64 rows on the CPU → e.g. [3 rows × 71 tokens, 12 × 38, 27 × 23, 22 × 14]
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import torch
from torch.utils.data import Dataset

from relevance.config import TrainConfig
from relevance.data.tokens import Template, Tokens, encode_pairs, segments
from relevance.metrics import task_codes

CPU_PASS = 64  # padded tokens that take as long as what a pass costs beside them: docs/performance.md
SCORED_TOKENS = {True: 65_536, False: 8192}  # of one that keeps no gradient, on a GPU or not


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
        total = least[:stop] + padded + cost
        begins[stop] = np.argmin(total)
        least[stop] = total[begins[stop]]
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
