"""New blocks after the trunk's last, one branch per task (`inserted`) or one for all (`shared`), from the identity.

hidden [B, T, H] of the last block → each row through k blocks of its own task → hidden [B, T, H]
"""

import copy
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from relevance.config import Config, PrivateKind
from relevance.errors import UserError
from relevance.model.architectures import block_list, blocks, output_norms, silence_outputs
from relevance.model.grouped import hidden_of
from relevance.model.private import Inputs, PrivateLayers, Slices, arguments, rows, with_hidden
from relevance.tasks import TASK_NAMES

NUDGE, GENTLE = 1e-4, 0.05  # about one optimiser step of a silenced weight, and how far hidden states may move by it


class Gated(nn.Module):
    """h + g * (block(h) - h), its gate closed at first: for blocks that silencing does not make the identity."""

    def __init__(self, block: nn.Module):
        super().__init__()
        self.block = detached(block)
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        new = hidden_of(self.block(hidden_states, *args, **kwargs))
        return hidden_states + self.gate * (new - hidden_states)


class Inserted(PrivateLayers):
    """Branches of new blocks behind the last one, by a forward hook: the backbone keeps blocks and state dict."""

    def __init__(self, trunk: PreTrainedModel, config: Config, inputs: Inputs, saved: list[str] | None):
        last, private = blocks(trunk)[-1], config.routing.private
        if saved is None:
            is_gated = not starts_at_identity(last, trunk, inputs)
        else:  # a saved trunk's weights, which decided it, are not in yet
            is_gated = any(name.endswith(".gate") for name in saved)
        new_block = Gated if is_gated else copied
        tasks = ("all",) if private.kind is PrivateKind.shared else TASK_NAMES
        super().__init__(nn.ModuleList(nn.ModuleList(new_block(last) for _ in range(private.layers)) for _ in tasks))
        self.gated, self.kind, self.tasks, self.closed = is_gated, private.kind, tasks, False
        last.register_forward_hook(self._after, with_kwargs=True)

    def start(self) -> str:
        if self.gated:
            return "closed gate"
        return "silenced norms" if output_norms(self.branches[0][0]) else "silenced projections"

    def merge(self, trunk: PreTrainedModel, task: int) -> None:
        block_list(trunk).extend(self.branch(task))

    def check_mergeable(self) -> None:
        if self.gated:
            raise UserError(
                f"routing.private.kind={self.kind}: the gate h + g (block(h) - h) of post-norm blocks is no ordinary "
                "block; use relevance.predict or the served model, or train kind=top"
            )

    def gates(self) -> list[nn.Parameter]:
        """Gates of post-norm blocks; of blocks with a norm behind each sublayer, the weights of those norms."""
        new = [block for branch in self.branches for block in branch]
        norms = [norm.get_parameter("weight") for block in new for norm in output_norms(block).values()]
        return [*(block.gate for block in new if self.gated), *norms]

    def gate_values(self) -> dict[str, float]:
        return {
            task: float(torch.stack([block.gate.detach().abs() for block in branch]).mean())
            for task, branch in zip(self.tasks, self.branches, strict=True)
            if self.gated
        }

    def probes(self) -> dict[str, AbstractContextManager]:
        return {"closed_gate": self._closed()} if self.gated else {}

    @contextmanager
    def _closed(self) -> Iterator[None]:
        """Within it, rows pass the private layers by."""
        self.closed = True
        try:
            yield
        finally:
            self.closed = False

    def _after(self, block: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any) -> Any:
        if self.closed:
            return output
        passed = self.widened({**arguments(block, args, kwargs), "hidden_states": hidden_of(output)})
        slices = self.slices if len(self.branches) > 1 else [(0, 0, len(passed["hidden_states"]))]
        for place, grouped in enumerate(self.grouped):
            loop = partial(self._loop, place, slices, passed)
            passed = {**passed, "hidden_states": hidden_of(grouped.run(slices, loop, **passed))}
        return with_hidden(output, passed["hidden_states"])

    def _loop(self, place: int, slices: Slices, passed: dict[str, Any]) -> torch.Tensor:
        """The block at `place` of each task on its own rows."""
        return torch.cat([hidden_of(self.branches[task][place](**rows(passed, a, b))) for task, a, b in slices])


def copied(last: nn.Module) -> nn.Module:
    """A trainable copy of the last block that starts at the identity: silenced where that is exact."""
    block = detached(last)
    silence_outputs(block)
    return block


def detached(block: nn.Module) -> nn.Module:
    """A trainable copy of a block without the hooks of its place."""
    new = copy.deepcopy(block).requires_grad_(True)
    new._forward_hooks.clear()
    return new


def starts_at_identity(last: nn.Module, backbone: nn.Module, inputs: Inputs) -> bool:
    """Whether a silenced copy of the last block returns its input exactly, and leaves it gently once it learns.

    The block is run, its name says nothing: a norm behind what was silenced undoes either.
    """
    probe, seen = detached(last).eval(), []
    silenced = silence_outputs(probe)

    def compare(block: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any) -> None:
        passed = {**arguments(block, args, kwargs), "hidden_states": hidden_of(output)}
        still = torch.equal(hidden_of(probe(**passed)), passed["hidden_states"])
        generator = torch.Generator().manual_seed(0)
        for parameter in silenced:
            parameter.add_(NUDGE * torch.randn(parameter.shape, generator=generator).to(parameter))
        moved = (hidden_of(probe(**passed)) - passed["hidden_states"]).norm() / passed["hidden_states"].norm()
        seen.append(still and bool(moved < GENTLE))

    handle = last.register_forward_hook(compare, with_kwargs=True)
    try:
        with torch.no_grad():
            backbone(**inputs)
    finally:
        handle.remove()
    return seen == [True]
