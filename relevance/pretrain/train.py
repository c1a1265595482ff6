"""Documents as token ids → a pretrained model: AdamW, a cosine, batches of documents of like length.

an encoder reads  [CLS] text [SEP] text [SEP] text [SEP]   and fills in masked tokens
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

IGNORED = -100


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
    learnt_later: float = 0.6  # the same of an encoder's third text; a decoder predicts all of it


class Row(NamedTuple):
    """A framed document: its token ids, and where its third text starts."""

    ids: np.ndarray
    third: int


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


def loss(model: PreTrainedModel, kind: Architecture, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Mean cross-entropy in nats over the labelled tokens; logits are made for these only."""
    labels = batch.pop("labels")
    hidden = model.base_model(**batch).last_hidden_state
    if not kind.encoder:
        hidden, labels = hidden[:, :-1], labels[:, 1:]
    learnt = labels != IGNORED
    return cross_entropy(kind.logits(model, hidden[learnt]), labels[learnt])


@torch.no_grad()
def held_out(model: PreTrainedModel, kind: Architecture, rows: list[Row], tokenizer: PreTrainedTokenizerFast) -> tuple:
    """Loss on unread documents, and what guessing by the frequencies of their tokens alone costs, both in nats."""
    plan = Plan(seed=0, tokens=0, learnt=0.3 if kind.encoder else 1.0, learnt_later=0.3)
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


def _batch(rows: list[Row], tokenizer: PreTrainedTokenizerFast, plan: Plan, rng: np.random.Generator) -> dict:
    """Padded ids [B, T] and labels [B, T] for either objective."""
    ids = np.full((len(rows), max(len(row.ids) for row in rows)), tokenizer.pad_token_id)
    for number, row in enumerate(rows):
        ids[number, : len(row.ids)] = row.ids
    real = ids != tokenizer.pad_token_id
    later = np.arange(ids.shape[1]) >= np.array([row.third for row in rows])[:, None]
    chance = rng.random(ids.shape)
    if tokenizer.mask_token_id is None:
        # causal attention never looks right, so padding needs no mask
        labels = np.where(real & (later | (chance < plan.learnt)), ids, IGNORED)
        return {"input_ids": torch.from_numpy(ids), "labels": torch.from_numpy(labels)}
    masked = real & (ids >= len(tokenizer.all_special_ids)) & (chance < np.where(later, plan.learnt_later, plan.learnt))
    labels = np.where(masked, ids, IGNORED)
    fate = rng.random(ids.shape)
    ids = np.where(masked & (fate < 0.8), tokenizer.mask_token_id, ids)
    ids = np.where(masked & (fate > 0.9), rng.integers(4, len(tokenizer), ids.shape), ids)
    tensors = {"input_ids": ids, "attention_mask": real.astype(np.int64), "labels": labels}
    return {name: torch.from_numpy(array) for name, array in tensors.items()}
