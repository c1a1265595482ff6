"""Private layers: blocks that only one task's rows pass through, between the trunk's last block and its final norm.

hidden [B, T, H], slices [(0, 0, 3), (4, 3, 8)] → rows 0 to 2 through task 0's blocks, rows 3 to 7 through task 4's
"""

import copy
import inspect
from typing import Any

import torch
from torch import nn

from relevance.model.architectures import PER_ROW, silence_outputs

Slices = list[tuple[int, int, int]]  # (task index, first row, row after the last)


class Gated(nn.Module):
    """h + g * (block(h) - h): the way to start at the identity where a block ends in a norm."""

    def __init__(self, block: nn.Module):
        super().__init__()
        self.block = block
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        new = hidden_of(self.block(hidden_states, *args, **kwargs))
        return hidden_states + self.gate * (new - hidden_states)


class PrivateLayers(nn.Module):
    """One branch of new blocks per task, attached behind the trunk's last block by a forward hook.

    A hook leaves the backbone's own list of blocks, its layer indices and its state dict as they were.
    """

    def __init__(self, last: nn.Module, tasks: int, layers: int, gated: bool):
        super().__init__()
        self.branches = nn.ModuleList(
            nn.ModuleList(_new_block(last, gated) for _ in range(layers)) for _ in range(tasks)
        )
        self.slices: Slices = []
        last.register_forward_hook(self._after, with_kwargs=True)

    def _after(self, block: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any) -> Any:
        given = _arguments(block, args, kwargs, output)
        parts = [self._branch(task, _rows(given, start, stop)) for task, start, stop in self.slices]
        hidden = parts[0] if len(parts) == 1 else torch.cat(parts)
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    def _branch(self, task: int, given: dict[str, Any]) -> torch.Tensor:
        hidden = given.pop("hidden_states")
        for block in self.branches[task]:
            hidden = hidden_of(block(hidden, **given))
        return hidden


def hidden_of(output: Any) -> torch.Tensor:
    """A block returns its hidden states, or a tuple that starts with them."""
    return output[0] if isinstance(output, tuple) else output


def _arguments(block: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any) -> dict[str, Any]:
    """What the next block is called with, by name: this block's arguments, and its output as hidden states."""
    bound = inspect.signature(block.forward).bind(*args, **kwargs).arguments
    return {**bound, **bound.pop("kwargs", {}), "hidden_states": hidden_of(output)}


def _new_block(last: nn.Module, gated: bool) -> nn.Module:
    block = copy.deepcopy(last).requires_grad_(True)
    block._forward_hooks.clear()
    if gated:
        return Gated(block)
    silence_outputs(block)
    return block


def _rows(given: dict[str, Any], start: int, stop: int) -> dict[str, Any]:
    """The arguments of a block for rows start..stop: a view of whatever holds one entry per row."""
    batch = given["hidden_states"].shape[0]

    def cut(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(cut(part) for part in value)
        has_rows = isinstance(value, torch.Tensor) and value.dim() > 1 and value.shape[0] == batch
        return value[start:stop] if has_rows else value

    return {name: cut(value) if name in PER_ROW else value for name, value in given.items()}


def starts_at_identity(last: nn.Module, backbone: nn.Module, ids: torch.Tensor) -> bool:
    """Whether a silenced copy of the last block returns its input exactly; asked of the block, not of its name."""
    probe, seen = copy.deepcopy(last), []
    silence_outputs(probe)

    def compare(block: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any) -> None:
        given = _arguments(block, args, kwargs, output)
        seen.append(torch.equal(hidden_of(probe(**given)), given["hidden_states"]))

    handle = last.register_forward_hook(compare, with_kwargs=True)
    try:
        with torch.no_grad():
            backbone(input_ids=ids, attention_mask=torch.ones_like(ids))
    finally:
        handle.remove()
    return seen == [True]
