"""New blocks after the trunk's last, one branch per task (`inserted`) or one for all (`shared`), from the identity.

hidden [B, T, H] of the last block → each row through k blocks of its own task → hidden [B, T, H]
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from relevance.model.architectures import output_norms, silence_outputs
from relevance.model.private.layers import PrivateLayers, arguments, hidden_of, rows, with_hidden

NUDGE, GENTLE = 1e-4, 0.05  # about one optimiser step of a silenced weight, and how far hidden states may move by it


class Gated(nn.Module):
    """h + g * (block(h) - h): the way to start at the identity where a block ends in a norm."""

    def __init__(self, block: nn.Module):
        super().__init__()
        self.block = block
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        new = hidden_of(self.block(hidden_states, *args, **kwargs))
        return hidden_states + self.gate * (new - hidden_states)


class Inserted(PrivateLayers):
    """Branches of new blocks, attached behind the trunk's last block by a forward hook.

    A hook leaves the backbone's own list of blocks, its layer indices and its state dict as they were.
    """

    def __init__(self, last: nn.Module, new_block: Callable[[], nn.Module], branches: int, layers: int):
        super().__init__(nn.ModuleList(nn.ModuleList(new_block() for _ in range(layers)) for _ in range(branches)))
        last.register_forward_hook(self._after, with_kwargs=True)
        self.closed = False  # probe: rows pass the private layers by

    def gates(self) -> list[nn.Parameter]:
        """Gates of post-norm blocks; of blocks with a norm behind each sublayer, the weights of those norms."""
        blocks = [block for branch in self.branches for block in branch]
        norms = [norm.get_parameter("weight") for block in blocks for norm in output_norms(block).values()]
        return [*(block.gate for block in blocks if isinstance(block, Gated)), *norms]

    def _after(self, block: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any) -> Any:
        if self.closed:
            return output
        given = {**arguments(block, args, kwargs), "hidden_states": hidden_of(output)}
        shared = len(self.branches) == 1
        slices = [(0, 0, len(given["hidden_states"]))] if shared else self.slices
        parts = [self._branch(task, rows(given, start, stop)) for task, start, stop in slices]
        return with_hidden(output, torch.cat(parts))

    def _branch(self, task: int, given: dict[str, Any]) -> torch.Tensor:
        hidden = given.pop("hidden_states")
        for block in self.branches[task]:
            hidden = hidden_of(block(hidden, **given))
        return hidden


def copied(last: nn.Module) -> nn.Module:
    """A trainable copy of the last block that starts at the identity: silenced where that is exact."""
    block = detached(last)
    silence_outputs(block)
    return block


def gated(last: nn.Module) -> nn.Module:
    """A trainable copy of the last block behind a closed gate: for blocks that silencing does not make the identity."""
    return Gated(detached(last))


def detached(block: nn.Module) -> nn.Module:
    """A trainable copy of a block without the hooks of its place."""
    new = copy.deepcopy(block).requires_grad_(True)
    new._forward_hooks.clear()
    return new


def starts_at_identity(last: nn.Module, backbone: nn.Module, inputs: dict[str, torch.Tensor]) -> bool:
    """Whether a silenced copy of the last block returns its input exactly, and leaves it gently once it learns.

    Asked of the block, not of its name: a norm behind what was silenced undoes either the one or the other.
    """
    probe, seen = detached(last).eval(), []
    silenced = silence_outputs(probe)

    def compare(block: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any) -> None:
        given = {**arguments(block, args, kwargs), "hidden_states": hidden_of(output)}
        still = torch.equal(hidden_of(probe(**given)), given["hidden_states"])
        generator = torch.Generator().manual_seed(0)
        for parameter in silenced:
            parameter.add_(NUDGE * torch.randn(parameter.shape, generator=generator).to(parameter))
        moved = (hidden_of(probe(**given)) - given["hidden_states"]).norm() / given["hidden_states"].norm()
        seen.append(still and bool(moved < GENTLE))

    handle = last.register_forward_hook(compare, with_kwargs=True)
    try:
        with torch.no_grad():
            backbone(**inputs)
    finally:
        handle.remove()
    return seen == [True]
