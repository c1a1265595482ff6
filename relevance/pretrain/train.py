"""Documents as token ids → a pretrained model: AdamW, a cosine, batches of documents of like length.

an encoder reads  [CLS] text [SEP] text [SEP]   and fills in masked tokens
a decoder reads   text \\n text <eos>            and a third text of a document follows the <eos>
"""

from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from relevance.data.ragged import Ragged
from relevance.pretrain.corpus import Documents

IGNORED = -100  # what the loss of transformers leaves out


@dataclass(frozen=True)
class Plan:
    """How long and how hard to train."""

    tokens: int  # read in all, several epochs if the corpus is shorter
    batch_tokens: int = 4096
    lr: float = 2e-3
    warmup: float = 0.05  # share of the steps
    weight_decay: float = 0.05
    masked: float = 0.3  # share of an encoder's tokens


def encode(documents: Documents, tokenizer: PreTrainedTokenizerFast, longest: int = 128) -> list[np.ndarray]:
    """Token ids of each document, framed as the model will meet pairs; longer ones are cut."""
    flat = [text for document in documents for text in document]
    ids = tokenizer(flat, add_special_tokens=False, return_attention_mask=False)["input_ids"]
    encoder = tokenizer.mask_token_id is not None
    line = [] if encoder else tokenizer("\n", add_special_tokens=False)["input_ids"]
    end = [tokenizer.sep_token_id if encoder else tokenizer.eos_token_id]
    start = [tokenizer.cls_token_id] if encoder else []
    framed, at = [], 0
    for document in documents:
        whole = list(start)
        for number in range(len(document)):
            last = number == len(document) - 1
            whole += ids[at + number] + (end if encoder or last or number == 1 else line)
        framed.append(np.array(whole[:longest], dtype=np.int64))
        at += len(document)
    return framed


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


def train(model: PreTrainedModel, rows: list[np.ndarray], tokenizer: PreTrainedTokenizerFast, plan: Plan, seed: int):
    """Train in place; returns the number of steps and the mean loss of the last twentieth of them."""
    rng = np.random.default_rng(seed)
    steps = _steps(rows, plan, rng)
    optimiser = torch.optim.AdamW(_groups(model, plan.weight_decay), lr=plan.lr, betas=(0.9, 0.98), fused=True)
    warm = max(1, int(plan.warmup * len(steps)))
    losses = []
    model.train()
    progress = tqdm(steps, desc=model.config.model_type, unit="step", mininterval=2)
    for step, chosen in enumerate(progress):
        turn = (1 + np.cos(np.pi * step / len(steps))) / 2
        for group in optimiser.param_groups:
            group["lr"] = plan.lr * min((step + 1) / warm, turn)
        loss = model(**_batch([rows[row] for row in chosen], tokenizer, plan, rng)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        losses.append(loss.item())
        progress.set_postfix(loss=f"{losses[-1]:.3f}", refresh=False)
    model.eval()
    return len(losses), float(np.mean(losses[-max(1, len(losses) // 20) :]))


def unigram_loss(rows: list[np.ndarray]) -> float:
    """What guessing tokens by their frequency alone costs, in nats: the least a model has to beat."""
    counts = np.bincount(np.concatenate(rows)).astype(float)
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _steps(rows: list[np.ndarray], plan: Plan, rng: np.random.Generator) -> list[np.ndarray]:
    """Batches of as many epochs as it takes to read `plan.tokens` tokens."""
    lengths = np.array([len(row) for row in rows])
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


def _batch(rows: list[np.ndarray], tokenizer: PreTrainedTokenizerFast, plan: Plan, rng: np.random.Generator) -> dict:
    """Padded ids [B, T] and labels [B, T] for either objective."""
    ids = np.full((len(rows), max(map(len, rows))), tokenizer.pad_token_id)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
    real = ids != tokenizer.pad_token_id
    if tokenizer.mask_token_id is None:
        # causal attention never looks right, so padding needs no mask
        labels = np.where(real, ids, IGNORED)
        return {"input_ids": torch.from_numpy(ids), "labels": torch.from_numpy(labels)}
    chosen = real & (rng.random(ids.shape) < plan.masked) & (ids >= len(tokenizer.all_special_ids))
    chosen[:, 1] |= ~chosen.any()
    labels = np.where(chosen, ids, IGNORED)
    kind = rng.random(ids.shape)
    ids = np.where(chosen & (kind < 0.8), tokenizer.mask_token_id, ids)
    ids = np.where(chosen & (kind > 0.9), rng.integers(4, len(tokenizer), ids.shape), ids)
    tensors = {"input_ids": ids, "attention_mask": real.astype(np.int64), "labels": labels}
    return {name: torch.from_numpy(array) for name, array in tensors.items()}
