"""Documents as token ids → a pretrained model: AdamW, a cosine, batches of documents of like length.

an encoder reads  [CLS] text [SEP] text [SEP] text [SEP]   and fills in masked tokens, or
                  [CLS] text [SEP] text [SEP]              and says the third text at its [CLS]
a decoder reads   text \\n text <eos> text <eos>             and predicts all behind the first <eos>, some before it
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from relevance.pretrain.architectures import Architecture
from relevance.pretrain.corpus import Documents


@dataclass(frozen=True)
class Plan:
    """How long and how hard to train."""

    seed: int  # of order, masks and chosen tokens
    tokens: int  # read in all, several epochs if the corpus is shorter
    batch_tokens: int = 2048
    lr: float = 2e-3
    warmup: float = 0.05  # share of the steps
    weight_decay: float = 0.05
    learnt: float = 0.3  # share of the tokens that are masked or predicted
    said: float = 0.6  # share of the third texts that an encoder says at its [CLS] instead of reading them


class Row(NamedTuple):
    """A framed document: its token ids, and where its third text starts."""

    ids: np.ndarray
    third: int


class Batch(NamedTuple):
    """Padded ids [B, T], and N targets: the state at (row, column) predicts the token `target`."""

    ids: torch.Tensor
    row: torch.Tensor
    column: torch.Tensor
    target: torch.Tensor
    mask: torch.Tensor | None  # [B, T], 1 for real tokens


def encode(documents: Documents, tokenizer: PreTrainedTokenizerFast, longest: int = 128) -> list[Row]:
    """Token ids of each document, framed as the model will meet pairs; longer ones are cut."""
    flat = [text for document in documents for text in document]
    ids = iter(tokenizer(flat, add_special_tokens=False, return_attention_mask=False)["input_ids"])
    encoder = tokenizer.mask_token_id is not None
    line = [] if encoder else tokenizer("\n", add_special_tokens=False)["input_ids"]
    end = [tokenizer.sep_token_id if encoder else tokenizer.eos_token_id]
    rows = []
    for document in documents:
        whole, third = [tokenizer.cls_token_id] if encoder else [], longest
        for number in range(len(document)):
            third = len(whole) if number == 2 else third
            ends = encoder or number in (1, len(document) - 1)
            whole += next(ids) + (end if ends else line)
        rows.append(Row(np.array(whole[:longest], dtype=np.int64), third))
    return rows


def batches(lengths: np.ndarray, budget: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Each document once: positions of documents of like length, at most `budget` padded tokens each."""
    order = np.argsort(lengths + rng.random(len(lengths)))
    cuts, start = [], 0
    for at, longest in enumerate(lengths[order]):
        if (at + 1 - start) * longest > budget and at > start:
            cuts.append(order[start:at])
            start = at
    cuts.append(order[start:])
    return [cuts[index] for index in rng.permutation(len(cuts))]


def train(
    model: PreTrainedModel, kind: Architecture, rows: list[Row], tokenizer: PreTrainedTokenizerFast, plan: Plan
) -> tuple[int, float]:
    """Train in place; returns the number of steps and the mean loss of the last twentieth of them."""
    rng = np.random.default_rng(plan.seed)
    steps = _steps(rows, plan, rng)
    optimiser = torch.optim.AdamW(_groups(model, plan.weight_decay), lr=plan.lr, betas=(0.9, 0.98), fused=True)
    warm = max(1, int(plan.warmup * len(steps)))
    losses = []
    model.train()
    for step, chosen in enumerate(tqdm(steps, desc=model.config.model_type, unit="step", mininterval=5)):
        turn = (1 + np.cos(np.pi * step / len(steps))) / 2
        for group in optimiser.param_groups:
            group["lr"] = plan.lr * min((step + 1) / warm, turn)
        one = loss(model, kind, _batch([rows[row] for row in chosen], tokenizer, plan, rng))
        one.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        losses.append(one.item())
    model.eval()
    return len(losses), float(np.mean(losses[-max(1, len(losses) // 20) :]))


def loss(model: PreTrainedModel, kind: Architecture, batch: Batch) -> torch.Tensor:
    """Mean cross-entropy in nats over the targets; logits are made for these only."""
    hidden = model.base_model(batch.ids, attention_mask=batch.mask).last_hidden_state
    return cross_entropy(kind.logits(model, hidden[batch.row, batch.column]), batch.target)


@torch.no_grad()
def held_out(model: PreTrainedModel, kind: Architecture, rows: list[Row], tokenizer: PreTrainedTokenizerFast) -> tuple:
    """Loss on unread documents, and what guessing by the frequencies of their tokens alone costs, both in nats."""
    plan = Plan(seed=0, tokens=0, learnt=0.3 if kind.encoder else 1.0, said=0.0)
    found = float(loss(model, kind, _batch(rows, tokenizer, plan, np.random.default_rng(plan.seed))))
    counts = np.bincount(np.concatenate([row.ids for row in rows])).astype(float)
    shares = counts[counts > 0] / counts.sum()
    return found, float(-(shares * np.log(shares)).sum())


def _steps(rows: list[Row], plan: Plan, rng: np.random.Generator) -> list[np.ndarray]:
    """Batches of as many epochs as it takes to read `plan.tokens` tokens."""
    lengths = np.array([len(row.ids) for row in rows])
    steps, left = [], plan.tokens
    while left > 0:
        for chosen in batches(lengths, plan.batch_tokens, rng):
            if left > 0:
                steps.append(chosen)
            left -= int(lengths[chosen].sum())
    return steps


def _groups(model: PreTrainedModel, weight_decay: float) -> list[dict]:
    """Matrices decay, vectors do not."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    return [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": weight_decay},
        {"params": [weight for weight in weights if weight.ndim < 2], "weight_decay": 0.0},
    ]


def _batch(rows: list[Row], tokenizer: PreTrainedTokenizerFast, plan: Plan, rng: np.random.Generator) -> Batch:
    return (_causal if tokenizer.mask_token_id is None else _masked)(rows, tokenizer, plan, rng)


def _padded(rows: list[np.ndarray], pad: int) -> np.ndarray:
    ids = np.full((len(rows), max(map(len, rows))), pad)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
    return ids


def _causal(rows: list[Row], tokenizer: PreTrainedTokenizerFast, plan: Plan, rng: np.random.Generator) -> Batch:
    """Each state predicts the next token; causal attention never looks right, so padding needs no mask."""
    ids = _padded([row.ids for row in rows], tokenizer.pad_token_id)
    later = np.arange(ids.shape[1]) >= np.array([row.third for row in rows])[:, None]
    learnt = (ids != tokenizer.pad_token_id) & (later | (rng.random(ids.shape) < plan.learnt))
    row, column = np.nonzero(learnt[:, 1:])
    return Batch(*map(torch.from_numpy, (ids, row, column, ids[row, column + 1])), mask=None)


def _masked(rows: list[Row], tokenizer: PreTrainedTokenizerFast, plan: Plan, rng: np.random.Generator) -> Batch:
    """Masked tokens are predicted where they stood, third texts that were taken away at the [CLS]."""
    says = [row.third < len(row.ids) and rng.random() < plan.said for row in rows]
    ids = _padded(
        [row.ids[: row.third] if said else row.ids for row, said in zip(rows, says, strict=True)],
        tokenizer.pad_token_id,
    )
    real = ids != tokenizer.pad_token_id
    chance = np.where(says, plan.learnt / 3, plan.learnt)[:, None]
    masked = real & (ids >= len(tokenizer.all_special_ids)) & (rng.random(ids.shape) < chance)
    row, column = np.nonzero(masked)
    target = ids[row, column]
    taken = [one.ids[one.third : -1] if said else one.ids[:0] for one, said in zip(rows, says, strict=True)]
    first = np.repeat(np.arange(len(rows)), [len(one) for one in taken])
    fate = rng.random(ids.shape)
    ids = np.where(masked & (fate < 0.8), tokenizer.mask_token_id, ids)
    ids = np.where(masked & (fate > 0.9), rng.integers(4, len(tokenizer), ids.shape), ids)
    parts = (ids, np.r_[row, first], np.r_[column, np.zeros_like(first)], np.r_[target, np.concatenate(taken)])
    return Batch(*map(torch.from_numpy, parts), mask=torch.from_numpy(real.astype(np.int64)))
