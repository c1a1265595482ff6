"""What every kind of private layers has: branches, the slices of the batch passing through, a block's arguments cut so.

hidden [B, T, H], slices [(0, 0, 3), (4, 3, 8)] → rows 0 to 2 are of task 0, rows 3 to 7 of task 4
"""

import inspect
from typing import Any

import torch
from torch import nn

from relevance.model.architectures import PER_ROW

Slices = list[tuple[int, int, int]]  # (task index, first row, row after the last)


class PrivateLayers(nn.Module):
    """Abstract. `branches[task]` holds the modules of one task; kind=shared has one branch for all.

    `slices` is set before each forward pass; where blocks are checkpointed, the backward pass reads it again, so that
    it has to follow its own forward pass.
    """

    halves = True  # whether their weights are kept in bfloat16 under trainer.precision=bf16-true

    def __init__(self, branches: nn.ModuleList):
        super().__init__()
        self.branches: Any = branches  # a ModuleList a task, which torch's type of the outer one does not say
        self.slices: Slices = []

    def gates(self) -> list[nn.Parameter]:
        """Parameters that open from zero, at a rate of their own."""
        return []


def arguments(block: nn.Module, args: tuple, kwargs: dict[str, Any]) -> dict[str, Any]:
    """What a block was called with, by the names of its own signature."""
    bound = inspect.signature(block.forward).bind(*args, **kwargs).arguments
    return {**bound, **bound.pop("kwargs", {})}


def rows(given: dict[str, Any], start: int, stop: int) -> dict[str, Any]:
    """The arguments of a block for rows start..stop: a view of whatever holds entries per row."""
    batch = given["hidden_states"].shape[0]

    def cut(value: Any, least: int) -> Any:
        if isinstance(value, tuple):
            return tuple(cut(part, least) for part in value)
        if not isinstance(value, torch.Tensor) or value.dim() < least or value.shape[0] % batch:
            return value
        each = value.shape[0] // batch  # alibi: heads
        return value[start * each : stop * each]

    return {name: cut(value, PER_ROW[name]) if name in PER_ROW else value for name, value in given.items()}


def hidden_of(output: Any) -> torch.Tensor:
    """A block returns its hidden states, or a tuple that starts with them."""
    return output[0] if isinstance(output, tuple) else output


def with_hidden(output: Any, hidden: torch.Tensor) -> Any:
    """What a block returned, with other hidden states."""
    return (hidden, *output[1:]) if isinstance(output, tuple) else hidden
