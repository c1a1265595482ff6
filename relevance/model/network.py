"""Trunk, private layers and heads as one network: a batch of mixed tasks → logits [B, 3].

input_ids [B, T], attention_mask [B, T], rows grouped by task, slices [(task, start, stop), …]

Where its weights lie and what they took, as metrics:
{"params/adapters/trainable": 55808, "params/trunk/total": 1280256, "gate/query_item": 0.12, ...}
"""

from typing import Any

import torch
from torch import nn

from relevance.model.private.layers import PrivateLayers, Slices

PARTS = ("trunk", "adapters", "private", "gates", "heads")
KINDS = ("trainable", "total")


class Network(nn.Module):
    """One shared trunk; each row meets the head, and the private layers, of its own task."""

    def __init__(self, trunk: nn.Module, heads: nn.ModuleList, private: PrivateLayers | None, positions: bool):
        super().__init__()
        self.trunk: Any = trunk  # transformers' PreTrainedModel, or peft's around it
        self.heads, self.private, self.positions = heads, private, positions

    def forward(
        self,
        inputs: dict[str, torch.Tensor],
        slices: Slices,
        branches: Slices | None = None,
        heads: Slices | None = None,
    ) -> torch.Tensor:
        """Logits [B, 3] in float32. `branches` and `heads` send rows through those of other tasks (probes)."""
        mask, hidden = inputs["attention_mask"], self.states(inputs, branches or slices)
        # heads, logits and loss are in float32 whatever trainer.precision is
        with torch.autocast(hidden.device.type, enabled=False):
            hidden = hidden.float()
            if len(self.heads) == 1:
                return self.heads[0](hidden, mask)
            return torch.cat([self.heads[task](hidden[a:b], mask[a:b]) for task, a, b in heads or slices])

    def states(self, inputs: dict[str, torch.Tensor], slices: Slices) -> torch.Tensor:
        """Hidden states [B, T, H] of trunk and private layers."""
        if self.private is not None:
            self.private.slices = slices
        extra = {}
        if self.positions:
            # from the mask, so that the side of the padding changes nothing
            places = inputs["attention_mask"].cumsum(-1) - 1
            extra = {"position_ids": places.clamp(min=0), "use_cache": False}
        return self.trunk(**inputs, **extra).last_hidden_state

    def halve(self) -> None:
        """Keep trunk and private blocks in bfloat16; adapters and heads stay in float32, and so does what is no weight.

        Steps of 1e-4 would be lost on a quarter of the adapters' weights. Rotary frequencies are buffers that no state
        dict holds: rounded, they would turn far places by other angles.
        """
        parts = ("trunk", "private") if self.private is not None and self.private.halves else ("trunk",)
        weights = self.state_dict().keys()
        for name, tensor in (*self.named_parameters(), *self.named_buffers()):
            if name in weights and _part(name) in parts and tensor.is_floating_point():
                tensor.data = tensor.data.to(torch.bfloat16)

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """Every parameter by part of PARTS."""
        found: dict[str, list[nn.Parameter]] = {part: [] for part in PARTS}
        gates = {id(gate) for gate in self.private.gates()} if self.private is not None else set()
        for name, parameter in self.named_parameters():
            found["gates" if id(parameter) in gates else _part(name)].append(parameter)
        return found

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Weights of each part: trained, and in all."""
        return {
            part: (sum(p.numel() for p in found if p.requires_grad), sum(p.numel() for p in found))
            for part, found in self.parts().items()
        }


def _part(name: str) -> str:
    first = name.split(".", 1)[0]
    if first in ("private", "heads"):
        return first
    return "adapters" if "lora_" in name else "trunk"


def weight_counts(network: Network) -> dict[str, float]:
    """Weights trained and in all, of each part and of the whole."""
    parts = network.sizes()
    found = {f"params/{part}/{kind}": n for part, two in parts.items() for kind, n in zip(KINDS, two, strict=True)}
    both = [sum(n) for n in zip(*parts.values(), strict=True)]
    return {**found, **{f"params/{kind}": n for kind, n in zip(KINDS, both, strict=True)}}


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
