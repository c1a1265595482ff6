"""Trunk, private layers and heads as one network: a batch of mixed tasks → logits [B, 3].

input_ids [B, T], attention_mask [B, T], rows grouped by task, slices [(task, start, stop), …]
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndCrossAttentions, SequenceClassifierOutput

from relevance.config import ModelConfig, Pooling
from relevance.model.grouped import Grouped
from relevance.model.private import Inputs, PrivateLayers, Slices
from relevance.tasks import LABELS

PARTS = ("trunk", "adapters", "private", "gates", "heads")
SPREAD = 0.05  # root mean square of the first logits: a loss of ln 3. From zero the trunk would learn nothing at first,
# and then from directions that the first rows chose: on words under MiniLM it took twice the steps
DIGITS = 3  # of the rate: what rounding changes between devices is not in it


class Network(nn.Module):
    """One shared trunk; each row meets the head, and the private layers, of its own task."""

    def __init__(self, trunk: nn.Module, heads: nn.ModuleList, private: PrivateLayers | None, positions: bool):
        super().__init__()
        self.trunk: Any = trunk  # transformers' PreTrainedModel, or peft's around it
        self.heads, self.private, self.positions = heads, private, positions
        self.grouped = Grouped(heads)  # type: ignore[arg-type]  # torch says not that it is a sequence

    def forward(
        self, inputs: Inputs, slices: Slices, branches: Slices | None = None, heads: Slices | None = None
    ) -> torch.Tensor:
        """Logits [B, 3] in float32. `branches` and `heads` send rows through those of other tasks (probes)."""
        mask, hidden = inputs["attention_mask"], self.states(inputs, branches or slices)
        # heads, logits and loss are in float32 whatever trainer.precision is
        with torch.autocast(hidden.device.type, enabled=False):
            hidden = hidden.float()
            if len(self.heads) == 1:
                return self.heads[0](hidden, mask)
            routed = heads or slices

            def loop() -> torch.Tensor:
                return torch.cat([self.heads[task](hidden[a:b], mask[a:b]) for task, a, b in routed])

            return self.grouped.run(routed, loop, hidden=hidden, mask=mask)

    def states(self, inputs: Inputs, slices: Slices) -> torch.Tensor:
        """Hidden states [B, T, H] of trunk and private layers."""
        if self.private is not None:
            self.private.slices = slices
            inputs = self.private.fronted(inputs)
        extra = {}
        if self.positions:
            # from the mask, so that the side of the padding changes nothing
            places = inputs["attention_mask"].cumsum(-1) - 1
            extra = {"position_ids": places.clamp(min=0), "use_cache": False}
        states = self.trunk(**inputs, **extra).last_hidden_state
        return states[:, self.private.front :] if self.private is not None and self.private.front else states

    def halve(self) -> None:
        """Keep trunk and private blocks in bfloat16; adapters and heads stay in float32, and so does what is no weight.

        Steps of 1e-4 would be lost on a quarter of the adapters' weights. Rotary frequencies are buffers that no state
        dict holds: rounded, they would turn far places by other angles.
        """
        parts = ("trunk", "private") if self.private is not None and self.private.halves else ("trunk",)
        self._round(lambda name, tensor: _part(name) in parts)

    def halve_frozen(self) -> None:
        """Keep in bfloat16 what is computed in it and not trained."""
        self._round(lambda name, tensor: _part(name) == "trunk" and not tensor.requires_grad)

    def _round(self, chosen: Callable[[str, torch.Tensor], bool]) -> None:
        weights = self.state_dict().keys()
        for name, tensor in (*self.named_parameters(), *self.named_buffers()):
            if name in weights and tensor.is_floating_point() and chosen(name, tensor):
                tensor.data = tensor.data.to(torch.bfloat16)

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """Every parameter by part of PARTS."""
        parts: dict[str, list[nn.Parameter]] = {part: [] for part in PARTS}
        gates = {id(gate) for gate in self.private.gates()} if self.private is not None else set()
        for name, parameter in self.named_parameters():
            parts["gates" if id(parameter) in gates else _part(name)].append(parameter)
        return parts

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Weights of each part: trained, and in all."""
        return {
            part: (sum(p.numel() for p in weights if p.requires_grad), sum(p.numel() for p in weights))
            for part, weights in self.parts().items()
        }


def _part(name: str) -> str:
    first = name.split(".", 1)[0]
    if first in ("private", "heads"):
        return first
    return "adapters" if "lora_" in name else "trunk"


def weight_counts(network: Network) -> dict[str, float]:
    """Weights of each part and of the whole: {"params/adapters/trainable": 55808, "params/total": 1339904, …}."""
    counts: dict[str, float] = {}
    for at, kind in enumerate(("trainable", "total")):
        of_part = {part: size[at] for part, size in network.sizes().items()}
        counts |= {f"params/{part}/{kind}": n for part, n in of_part.items()}
        counts[f"params/{kind}"] = sum(of_part.values())
    return counts


def weights_line(network: Network) -> str:
    """ "trains 59,648 of 1,339,904 weights: adapters 55,808, heads 3,840"."""
    parts = network.sizes()
    trained, total = (sum(n) for n in zip(*parts.values(), strict=True))
    where = ", ".join(f"{part} {n:,}" for part, (n, _) in parts.items() if n)
    return f"trains {trained:,} of {total:,} weights: {where}"


def gate_values(network: Network) -> dict[str, float]:
    """Mean |g| of the gates of each task's private layers: 0 is closed, as all start."""
    values = network.private.gate_values() if network.private is not None else {}
    return {f"gate/{name}": value for name, value in values.items()}


def peak_memory() -> dict[str, float]:
    """What tensors took at most on the GPU, in bytes; main memory is the process's, not the cell's."""
    return {"peak_memory_bytes": torch.cuda.max_memory_allocated()} if torch.cuda.is_available() else {}


class Plain(nn.Module):
    """Where transformers has no classifier: one linear layer on a decoder's last real token, or an encoder's first."""

    base_model_prefix = "backbone"

    def __init__(self, backbone: PreTrainedModel, last: bool):
        super().__init__()
        self.backbone, self.config, self.last = backbone, backbone.config, last
        self.score = nn.Linear(backbone.config.get_text_config().hidden_size, 3, bias=False)
        nn.init.normal_(self.score.weight, std=0.02)

    def forward(self, input_ids, attention_mask, inputs_embeds) -> SequenceClassifierOutput:
        hidden = self.backbone(inputs_embeds=inputs_embeds).last_hidden_state
        places = torch.arange(hidden.shape[1], device=hidden.device)
        at = (attention_mask * places).argmax(-1) if self.last else torch.zeros_like(attention_mask[:, 0])
        return SequenceClassifierOutput(logits=self.score(hidden[torch.arange(len(hidden), device=hidden.device), at]))


def detach(
    classifier: PreTrainedModel, copies: int, pooling: Pooling | None = None
) -> tuple[PreTrainedModel, nn.ModuleList]:
    """A classifier taken apart: its backbone, and `copies` equal heads with weights of their own, that pool so."""
    name = classifier.base_model_prefix
    backbone = getattr(classifier, name)
    setattr(classifier, name, StatesOnly(getattr(backbone, "pooler", None)))
    if getattr(backbone, "pooler", None) is not None:
        backbone.pooler = None
    return backbone, nn.ModuleList(Head(copy.deepcopy(classifier), pooling) for _ in range(copies))


class Head(nn.Module):
    """A sequence classifier without its backbone; `pooling`, null: its own, says which states it reads."""

    def __init__(self, classifier: PreTrainedModel, pooling: Pooling | None = None):
        super().__init__()
        self.classifier, self.pooling = classifier, pooling
        self.pad = classifier.config.get_text_config().pad_token_id

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """[B, T, H], [B, T] → [B, 3] in float32.

        Decoders find the last real token by comparing ids with the pad id. They are shown marks made from the
        mask instead of the ids, so that a text that ends in the pad token (gpt2: pad is eos) is pooled right.
        """
        if self.pooling is not None:
            hidden, mask = pooled(hidden, mask, self.pooling)
        marks = torch.where(mask.bool(), self.pad + 1, self.pad)
        return self.classifier(input_ids=marks, attention_mask=mask, inputs_embeds=hidden).logits.float()


def pooled(hidden: torch.Tensor, mask: torch.Tensor, pooling: Pooling) -> tuple[torch.Tensor, torch.Tensor]:
    """One state of each row [B, 1, H], of its real tokens alone, as a text of one token; its mask [B, 1]."""
    if pooling is Pooling.mean:
        real = mask[..., None].bool()
        state = hidden.masked_fill(~real, 0.0).sum(1) / real.sum(1)
    else:
        places = torch.arange(mask.shape[1], device=mask.device)
        at = (mask * places).argmax(-1) if pooling is Pooling.last else mask.argmax(-1)
        state = hidden[torch.arange(len(hidden), device=mask.device), at]
    return state[:, None], mask.new_ones(len(mask), 1)


class StatesOnly(nn.Module):
    """Stands where the backbone stood: returns hidden states that were computed before."""

    def __init__(self, pooler: nn.Module | None):
        super().__init__()
        self.pooler = pooler  # BERT keeps the first layer of its head inside the backbone

    def forward(
        self, input_ids=None, attention_mask=None, inputs_embeds=None, **_other
    ) -> BaseModelOutputWithPoolingAndCrossAttentions:
        pooled = None if self.pooler is None else self.pooler(inputs_embeds)
        return BaseModelOutputWithPoolingAndCrossAttentions(last_hidden_state=inputs_embeds, pooler_output=pooled)


def start_heads(network: Network, model: ModelConfig, micro) -> ModelConfig:
    """Level the heads, and return the model's settings with `head_lr`, by the states of a micro-batch of rows.

    A head of weights of 0.02 starts MiniLM at logits of 0.03, SmolLM2-135M at 0.9 and Gemma-3-270m at a loss of 2.6.
    One AdamW step of rate r moves each weight by about r, and so a logit w·h + b by up to r (|h|₁ + 1): 23 r, 818 r,
    1,700 r. So the weights, and the rate, are divided by what the states make of them.
    """
    logits, reach = _first_logits(network, micro)
    with torch.no_grad():
        for layer in map(output_layer, network.heads):
            layer.weight.mul_(SPREAD / logits.square().mean().sqrt())
            if layer.bias is not None:
                layer.bias.zero_()
    if model.head_step is None:  # then it is head_lr that is given
        return model
    return replace(model, head_lr=float(f"{model.head_step / reach:.{DIGITS}g}"))


def output_layer(head: nn.Module) -> nn.Linear:
    """The layer of a head that writes the logits; it may read what other layers of the head made of the states."""
    return [part for part in head.modules() if isinstance(part, nn.Linear) and part.out_features == len(LABELS)][-1]


def _first_logits(network: Network, micro) -> tuple[torch.Tensor, float]:
    """Logits [B, 3] of new heads without their bias, and how far a rate of one moves them in a step (mean |h|₁ + 1).

    Without dropout. The gradient of a logit by the weights that write it is the state h that they read.
    """
    training = network.training
    network.eval()
    head, device = network.heads[0], next(network.parameters()).device
    inputs = {name: tensor.to(device) for name, tensor in micro.inputs.items()}
    with torch.no_grad():
        hidden = network.states(inputs, micro.slices).float()
    layer, logits, reaches = output_layer(head), [], []
    with torch.enable_grad():
        for row in range(len(hidden)):
            row_logits = head(hidden[row : row + 1], inputs["attention_mask"][row : row + 1])[0]
            gradients = torch.autograd.grad(row_logits[0], list(layer.parameters()))
            reaches.append(torch.stack([gradient[0].abs().sum() for gradient in gradients]).sum())
            logits.append(row_logits.detach() - (0 if layer.bias is None else layer.bias.detach()))
    network.train(training)
    return torch.stack(logits), float(torch.stack(reaches).mean())
