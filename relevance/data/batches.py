"""Rows of the table → the steps of an epoch → micro-batches of tensors, rows of a task side by side; for Lightning.

An epoch takes each row once (joint), those of one task (single), or N rows, of a task of n in proportion to n^(1/T).
A step of 64 rows under a budget of 1,024 tokens → e.g. [21 rows × 48 tokens, 43 rows × 23 tokens]
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import torch
from torch.utils.data import Dataset, Sampler

from relevance.config import Mix, MixConfig
from relevance.data.tokens import Template, Tokens, encode_pairs, segments
from relevance.metrics import task_codes
from relevance.tasks import TASK_NAMES


class Steps(Sampler[np.ndarray]):
    """The row positions of each step of an epoch: a function of (seed, epoch) alone."""

    def __init__(self, rows: np.ndarray, task: np.ndarray, mix: MixConfig, step_rows: int, seed: int):
        self.rows, self.task, self.mix = rows, task[rows], mix
        self.step_rows, self.seed, self.number = step_rows, seed, 0
        self.begun = (0, 0)  # the epoch that training resumes in, the steps done of it
        self.count = -(-len(epoch_rows(self.task, mix, seed, 0)) // step_rows)

    def set_epoch(self, number: int) -> None:
        """Lightning calls this before each epoch."""
        self.number = number

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[np.ndarray]:
        order = self.rows[epoch_rows(self.task, self.mix, self.seed, self.number)]
        epoch_begun, done = self.begun
        first = done * self.step_rows if self.number == epoch_begun else 0
        for start in range(first, len(order), self.step_rows):
            yield order[start : start + self.step_rows]


def epoch_rows(task: np.ndarray, mix: MixConfig, seed: int, number: int) -> np.ndarray:
    """Row positions of epoch `number` in their order; the same for the same (seed, number), whatever came before."""
    random = np.random.default_rng([seed, number])
    rows = members(task, mix)
    if mix.kind in (Mix.joint, Mix.single):
        return random.permutation(rows)
    counts = np.bincount(task)
    draws = _whole(draw_shares(counts, mix) * (mix.draws or len(task)))
    drawn = [_cycle(np.flatnonzero(task == k), n, random) for k, n in enumerate(draws)]
    return random.permutation(np.concatenate(drawn))


def members(task: np.ndarray, mix: MixConfig) -> np.ndarray:
    """Positions of the rows the mix knows at all."""
    return np.flatnonzero(task == TASK_NAMES.index(mix.task)) if mix.kind is Mix.single else np.arange(len(task))


def draw_shares(counts: np.ndarray, mix: MixConfig) -> np.ndarray:
    """Share of an epoch's draws for each task [K], from its number of rows [K]; sums to 1."""
    power = 0.0 if mix.kind is Mix.equal else 1.0 / mix.temperature
    raised = np.where(counts > 0, (counts / max(1, counts.max())) ** power, 0.0)  # scaled: no power overflows
    return raised / raised.sum()


def _whole(shares: np.ndarray) -> np.ndarray:
    """Whole numbers with the same sum: what is left over goes to the largest remainders."""
    counts = np.floor(shares).astype(int)
    left_over = round(shares.sum()) - counts.sum()
    counts[np.argsort(counts - shares, kind="stable")[:left_over]] += 1
    return counts


def _cycle(rows: np.ndarray, draws: int, random: np.random.Generator) -> np.ndarray:
    """`draws` of `rows`: all of them before any of them again."""
    if not draws:
        return rows[:0]
    turns = -(-draws // len(rows))
    return np.concatenate([random.permutation(rows) for _ in range(turns)])[:draws]


def portion(task: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Positions of `share` of the rows of each task [N], ascending; a smaller share is a part of every larger one."""
    if share == 1:
        return np.arange(len(task))
    order = np.random.default_rng(seed).permutation(len(task))
    parts = [order[task[order] == k] for k in np.unique(task)]
    return np.sort(np.concatenate([part[: max(1, round(share * len(part)))] for part in parts]))


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

    def __init__(self, examples: Examples, budget: int, rank: int = 0, ranks: int = 1):
        self.examples, self.budget, self.rank, self.ranks = examples, budget, rank, ranks

    def __getitem__(self, rows: np.ndarray) -> list[MicroBatch]:
        pieces, missing = deal_batches(self.examples.lengths(rows), self.budget, self.rank, self.ranks)
        return [collate(self.examples, rows[piece]) for piece in pieces] + [stand_in(self.examples, rows[:1])] * missing


def deal_batches(lengths: np.ndarray, budget: int, rank: int, ranks: int) -> tuple[list[np.ndarray], int]:
    """The `cut_batches` of one rank's share, dealt by length, and how many more passes the busiest rank makes."""
    order = np.argsort(-lengths, kind="stable")
    shares = [order[start::ranks] for start in range(ranks)]
    pieces = [[share[piece] for piece in cut_batches(lengths[share], budget)] for share in shares]
    return pieces[rank], max(map(len, pieces)) - len(pieces[rank])


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
