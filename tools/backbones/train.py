"""Documents as token ids → a pretrained model: Muon and AdamW, a cosine, batches of documents of like length.

[CLS] text \\n text \\n text [SEP], or [CLS] name of the pair \\n text \\n text [SEP]: a decoder predicts some of the
tokens from those before them, an encoder the same ones from all others.

The state that fine-tuning will pool (a decoder's last, an encoder's first) also answers the facts of a pair through a
linear layer that is thrown away afterwards.
"""

from dataclasses import astuple, dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from relevance.data.token_ids import Ragged
from relevance.data.tokens import pair_frame
from tools.backbones.architectures import Architecture
from tools.backbones.compare import FACTS, UNKNOWN, is_name
from tools.backbones.corpus import Corpus

HIDDEN = 0.25  # of the share of tokens that are learnt: what of it falls on pairs, whose facts a mask hides
LONGEST = 96  # tokens of a document; the rest is cut


@dataclass(frozen=True)
class Plan:
    """How long and how hard to train."""

    seed: int  # of order, masks and chosen tokens
    tokens: int  # read in all, several epochs if the corpus is shorter
    batch_tokens: int = 2048
    muon_lr: float = 1e-2  # of the blocks' matrices
    lr: float = 4e-3  # of embeddings, norms and biases
    warmup: float = 0.05  # share of the steps
    weight_decay: float = 0.05  # of the blocks' matrices
    learnt: float = 0.3  # share of the tokens that are masked or predicted


class Encoded(NamedTuple):
    """N framed documents and their facts."""

    ids: Ragged
    facts: np.ndarray  # [N, len(FACTS)]

    def take(self, rows: np.ndarray) -> "Encoded":
        return Encoded(self.ids.take(rows), self.facts[rows])


class Losses(NamedTuple):
    """Mean cross-entropies in nats, and the share of stated facts answered right."""

    tokens: torch.Tensor
    facts: torch.Tensor
    right: torch.Tensor


class Pretrainer(torch.nn.Module):
    """A model with the linear layer that answers facts; only the model is kept."""

    def __init__(self, model: PreTrainedModel, kind: Architecture, tokenizer: PreTrainedTokenizerFast):
        super().__init__()
        self.model, self.kind, self.tokenizer = model, kind, tokenizer
        self.causal = not kind.encoder  # states see what stands before them only
        self.answers = torch.nn.Linear(model.config.hidden_size, sum(FACTS))

    def forward(self, batch: Encoded, learnt: float, rng: np.random.Generator) -> Losses:
        ids, real = _padded(batch.ids, self.tokenizer.pad_token_id)
        share = np.where(batch.facts[:, :1] == UNKNOWN, learnt, learnt * HIDDEN)
        chosen = real & (rng.random(ids.shape) < share) & (ids >= len(self.tokenizer.all_special_ids))
        shown = ids if self.causal else np.where(chosen, self.tokenizer.mask_token_id, ids)
        mask = torch.from_numpy(real).long()
        hidden = self.model.base_model(input_ids=torch.from_numpy(shown), attention_mask=mask).last_hidden_state
        row, column = np.nonzero(chosen)
        logits = self.model.lm_head(hidden[row, column - self.causal])
        tokens = cross_entropy(logits, torch.from_numpy(ids[row, column]))
        pooled = hidden[torch.arange(len(ids)), self.causal * (mask.sum(1) - 1)]
        return Losses(tokens, *self._facts(pooled, torch.from_numpy(batch.facts)))

    def _facts(self, pooled: torch.Tensor, facts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self.answers(pooled).split(FACTS, dim=1)
        stated = facts != UNKNOWN
        losses = [
            cross_entropy(answer, fact, ignore_index=UNKNOWN, reduction="sum")
            for answer, fact in zip(logits, facts.T, strict=True)
        ]
        hits = [(answer.argmax(1) == fact).sum() for answer, fact in zip(logits, facts.T, strict=True)]
        loss, right = sum(losses, torch.zeros(())), sum(hits, torch.tensor(0))
        return loss / max(1, int(stated[:, 0].sum())), right / max(1, int(stated.sum()))


def encode(whole: Corpus, tokenizer: PreTrainedTokenizerFast) -> Encoded:
    """Token ids of each document, framed as the model will meet pairs."""
    flat = [text for document in whole.documents for text in document]
    ids = iter(tokenizer(flat, add_special_tokens=False, return_attention_mask=False)["input_ids"])
    before, between, after = astuple(pair_frame(tokenizer, pair=True))
    rows = []
    for document in whole.documents:
        # a name ends in a line break of its own
        joined = [token for text in document for token in (*next(ids), *([] if is_name(text) else between))]
        rows.append([*before, *joined[: -len(between)][: LONGEST - 2], *after])
    return Encoded(Ragged.of(rows), whole.facts)


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


def train(whole: Pretrainer, rows: Encoded, plan: Plan) -> int:
    """Train in place; returns the number of steps."""
    rng = np.random.default_rng(plan.seed)
    steps = _steps(rows.ids.lengths, plan, rng)
    optimisers = _optimisers(whole, plan)
    groups = [group for optimiser in optimisers for group in optimiser.param_groups]
    rates = [group["lr"] for group in groups]
    warm = max(1, int(plan.warmup * len(steps)))
    whole.train()
    bar = tqdm(steps, desc=whole.model.config.model_type, unit="step", mininterval=5)
    for step, chosen in enumerate(bar):
        turn = min((step + 1) / warm, (1 + np.cos(np.pi * step / len(steps))) / 2)
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate * turn
        losses = whole(rows.take(chosen), plan.learnt, rng)
        (losses.tokens + losses.facts).backward()
        torch.nn.utils.clip_grad_norm_(whole.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        if step % 50 == 0:
            bar.set_postfix_str(
                f"tokens {losses.tokens:.2f} facts {losses.facts:.2f} right {losses.right:.0%}", refresh=False
            )
    whole.eval()
    return len(steps)


@torch.no_grad()
def held_out(whole: Pretrainer, rows: Encoded) -> dict[str, float]:
    """Losses on documents that were not read, in nats, and the share of stated facts answered right."""
    losses = whole(rows, Plan.learnt, np.random.default_rng(0))
    return {name: round(float(value), 4) for name, value in losses._asdict().items()}


def unigram(rows: Encoded) -> float:
    """What guessing tokens by their frequencies alone costs, in nats."""
    counts = np.bincount(rows.ids.ids).astype(float)
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _steps(lengths: np.ndarray, plan: Plan, rng: np.random.Generator) -> list[np.ndarray]:
    """Batches of as many epochs as it takes to read `plan.tokens` tokens."""
    steps, left = [], plan.tokens
    while left > 0:
        for chosen in batches(lengths, plan.batch_tokens, rng):
            if left > 0:
                steps.append(chosen)
            left -= int(lengths[chosen].sum())
    return steps


def _optimisers(whole: Pretrainer, plan: Plan) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the blocks, AdamW for embeddings, norms and what reads the states."""
    table = {id(weight) for weight in whole.model.get_input_embeddings().parameters()}
    blocks = [w for n, w in whole.model.base_model.named_parameters() if w.ndim == 2 and id(w) not in table]
    inside = {id(weight) for weight in blocks}
    others = [weight for weight in whole.parameters() if id(weight) not in inside]
    return [
        torch.optim.Muon(blocks, lr=plan.muon_lr, weight_decay=plan.weight_decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=plan.lr, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]


def _padded(rows: Ragged, pad: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids [B, T] and which of them are real [B, T]."""
    place = np.arange(rows.lengths.max())
    real = place < rows.lengths[:, None]
    flat = np.minimum(rows.starts[:, None] + place, len(rows.ids) - 1)
    return np.where(real, rows.ids[flat], pad).astype(np.int64), real
