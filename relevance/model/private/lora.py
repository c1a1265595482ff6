"""One LoRA adapter per task on the top k blocks, which all tasks share and which stay frozen.

linear [B, T, in] → [B, T, out] + scale * B_task(A_task(x)) for the rows of each task (arXiv 2106.09685)

The frozen block runs once on the whole mixed batch; only the low-rank part is cut by task. Adapters hang on their
linear layers by forward hooks, so a checkpointed block computes them again as it did before.
"""

import math
from functools import partial
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from relevance.config import Config, LoraConfig, ModelConfig
from relevance.errors import UserError
from relevance.model.architectures import ATTENTION, features, linears
from relevance.model.private import Inputs, PrivateLayers, top_blocks
from relevance.tasks import TASK_NAMES


class Adapter(nn.Module):
    """B(A(dropout(x))) of one linear layer, zero at the start."""

    def __init__(self, linear: nn.Linear | Conv1D, lora: LoraConfig):
        super().__init__()
        wide, out = features(linear)
        self.a, self.b = nn.Linear(wide, lora.r, bias=False), nn.Linear(lora.r, out, bias=False)
        self.dropout = nn.Dropout(lora.dropout)
        nn.init.kaiming_uniform_(self.a.weight, a=math.sqrt(5))
        nn.init.zeros_(self.b.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(self.a(self.dropout(x.to(self.a.weight.dtype))))


class TaskLora(PrivateLayers):
    """Branches of adapters: `branches[task][i]` stands beside the linear layer `targets[i]`."""

    halves = False

    def __init__(self, trunk: PreTrainedModel, config: Config, inputs: Inputs, saved: list[str] | None):
        lora, linears = config.model.lora, _adapted_linears(trunk, config)
        super().__init__(
            nn.ModuleList(nn.ModuleList(Adapter(linear, lora) for linear in linears.values()) for _ in TASK_NAMES)
        )
        self.targets = tuple(linears)
        self.scale = lora.alpha / (math.sqrt(lora.r) if lora.use_rslora else lora.r)  # arXiv 2312.03732
        for place, linear in enumerate(linears.values()):
            linear.register_forward_hook(partial(self._add, place))  # no closure: a deep copy has its own

    def start(self) -> str:
        return "B = 0"

    def rate(self, model: ModelConfig) -> float:
        """That of the trunk's adapters."""
        return model.lr

    @torch.no_grad()
    def merge(self, trunk: PreTrainedModel, task: int) -> None:
        for name, adapter in zip(self.targets, self.branch(task), strict=True):
            linear: Any = trunk.get_submodule(name)
            delta = self.scale * adapter.b.weight @ adapter.a.weight
            linear.weight += delta if isinstance(linear, nn.Linear) else delta.T  # gpt2 keeps [in, out]

    def adapter_weights(self, trunk: PreTrainedModel, task: int) -> dict[str, torch.Tensor]:
        weights: dict[str, torch.Tensor] = {}
        for name, adapter in zip(self.targets, self.branch(task), strict=True):
            weights |= {f"{name}.lora_A.weight": adapter.a.weight, f"{name}.lora_B.weight": adapter.b.weight}
        return weights

    def _add(self, place: int, linear: nn.Module, args: tuple, output: torch.Tensor) -> torch.Tensor:
        return output + self.scale * self.by_task(place, args[0]).to(output.dtype)


def _adapted_linears(trunk: PreTrainedModel, config: Config) -> dict[str, nn.Linear | Conv1D]:
    """The linear layers of the top blocks that model.lora.targets names, by their names in the trunk."""
    names, named = {module: name for name, module in trunk.named_modules()}, dict[str, nn.Linear | Conv1D]()
    for block in top_blocks(trunk, config):
        named |= {f"{names[block]}.{name}": linear for name, linear in linears(block).items()}
    targets = config.model.lora.targets
    if targets == "all-linear":
        return named
    known = ATTENTION if targets == "attention" else frozenset(targets)
    chosen = {name: linear for name, linear in named.items() if name.rsplit(".", 1)[-1] in known}
    if not chosen:
        raise UserError(f"model.lora.targets={targets}: none of them in the top blocks; these have {sorted(named)[:8]}")
    return chosen
