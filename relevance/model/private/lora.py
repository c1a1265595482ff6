"""One LoRA adapter per task on the top k blocks, which all tasks share and which stay frozen.

linear [B, T, in] → [B, T, out] + scale * B_task(A_task(x)) for the rows of each task (arXiv 2106.09685)

The frozen block runs once on the whole mixed batch; only the low-rank part is cut by task. Adapters hang on their
linear layers by forward hooks, so a checkpointed block computes them again as it did before.
"""

import math
from functools import partial

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from relevance.config import LoraConfig
from relevance.model.architectures import features
from relevance.model.private.layers import PrivateLayers


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
    """Branches of adapters: `branches[task][i]` stands beside `targets[i]`."""

    halves = False

    def __init__(self, targets: list[nn.Linear | Conv1D], branches: int, lora: LoraConfig):
        super().__init__(
            nn.ModuleList(nn.ModuleList(Adapter(linear, lora) for linear in targets) for _ in range(branches))
        )
        self.scale = scale(lora)
        for place, linear in enumerate(targets):
            linear.register_forward_hook(partial(self._add, place))  # no closure: a deep copy has its own

    def _add(self, place: int, linear: nn.Module, args: tuple, output: torch.Tensor) -> torch.Tensor:
        x = args[0]
        each = x.shape[0] // self.slices[-1][2]  # some blocks flatten [B, T, H] to [B * T, H]
        parts = [self.branches[task][place](x[a * each : b * each]) for task, a, b in self.slices]
        return output + self.scale * torch.cat(parts).to(output.dtype)


def scale(lora: LoraConfig) -> float:
    """What B A is multiplied with: alpha / r, with rsLoRA alpha / sqrt(r) (arXiv 2312.03732)."""
    return lora.alpha / (math.sqrt(lora.r) if lora.use_rslora else lora.r)
