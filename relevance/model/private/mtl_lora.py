"""A matrix of each task between the two of every adapter, which all tasks share (MTL-LoRA, arXiv 2410.09437).

linear [B, T, in] → [B, T, out] + scale * B(Λ_task(A(x))), Λ [r, r] from the identity: at first it is the trunk's LoRA

Of the paper the task's matrix is built, not its several B, which each task weighs: there is the trunk's one B. A hook
on peft's A puts Λ behind it; folded into B it is a plain adapter again, which peft merges and writes.
"""

from functools import partial
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from relevance.config import ModelConfig
from relevance.model.private import PrivateLayers
from relevance.tasks import TASK_NAMES

ADAPTER = "default"  # as peft names the one that a model has


class TaskMatrices(PrivateLayers):
    """Branches of matrices: `branches[task][i]` stands in the adapter of the linear layer `adapted[i]`."""

    halves = False

    def __init__(self, trunk: Any):
        """`trunk` is peft's PeftModel."""
        from peft.tuners.lora import LoraLayer

        layers = {name: part for name, part in trunk.get_base_model().named_modules() if isinstance(part, LoraLayer)}
        ranks = [layer.r[ADAPTER] for layer in layers.values()]
        super().__init__(nn.ModuleList(nn.ModuleList(map(_identity, ranks)) for _ in TASK_NAMES))
        self.adapted = tuple(layers)
        for place, layer in enumerate(layers.values()):
            layer.lora_A[ADAPTER].register_forward_hook(partial(self._turn, place))

    def start(self) -> str:
        return "Λ = 1"

    def rate(self, model: ModelConfig) -> float:
        """That of the adapters."""
        return model.lr

    @torch.no_grad()
    def merge(self, trunk: PreTrainedModel, task: int) -> None:
        for name, matrix in zip(self.adapted, self.branch(task), strict=True):
            up = _up(trunk, name)
            up.weight.copy_(up.weight @ matrix.weight)

    def adapter_weights(self, trunk: PreTrainedModel, task: int) -> dict[str, torch.Tensor]:
        return {
            f"{name}.lora_B.weight": _up(trunk, name).weight @ matrix.weight
            for name, matrix in zip(self.adapted, self.branch(task), strict=True)
        }

    def _turn(self, place: int, down: nn.Module, args: tuple, output: torch.Tensor) -> torch.Tensor:
        return self.by_task(place, output)


def _identity(rank: int) -> nn.Linear:
    matrix = nn.Linear(rank, rank, bias=False)
    nn.init.eye_(matrix.weight)
    return matrix


def _up(trunk: PreTrainedModel, name: str) -> Any:
    layer: Any = trunk.get_submodule(name)
    return layer.lora_B[ADAPTER]
