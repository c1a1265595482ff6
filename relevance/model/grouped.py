"""Equal modules of several tasks run as one over a mixed batch: only their weights are each row's own.

six blocks of one shape, rows of six tasks → one pass of a block: attention over the whole batch, each linear layer one
grouped product, each norm's weight [H] a row's own [B, 1, H]. Six passes of a block over a slice each give the same.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from relevance.model import ahead

NARROW = 64  # outputs of all tasks' layers together up to which all are computed and the row's own chosen
ALIGNED = 8  # bfloat16 numbers that a grouped product reads at once: widths have to be multiples
ALIKE = 0.05  # of the largest: how far the two ways may be apart, in bfloat16, to be the same
Slices = list[tuple[int, int, int]]  # (task index, first row, row after the last)


class Rows:
    """Which rows of a batch are of which of the modules."""

    def __init__(self, slices: Slices, device: torch.device):
        self.tasks = [task for task, _, _ in slices]
        self.sizes, self.count = [b - a for _, a, b in slices], slices[-1][2]
        member = np.eye(len(slices), dtype=np.float32).repeat(self.sizes, axis=0)
        both = torch.from_numpy(np.vstack([member, [[b for _, _, b in slices]]]).astype(np.float32))
        both = both.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else both
        self.member, self.ends = both[:-1], both[-1].int()  # [B, K] one where the row is of the module; [K]

    def chosen(self, weights: list[torch.Tensor], dims: int) -> torch.Tensor:
        """The weight [B, 1, …, H] of each row, of those [H] of the modules, for states of so many dimensions."""
        with torch.autocast(self.member.device.type, enabled=False):
            rows = self.member.to(weights[0].dtype) @ torch.stack(weights)
        return rows.view(self.count, *[1] * (dims - 2), -1)


class Leaf(nn.Module):
    """Stands in a block for a module with weights, of which each task has its own."""

    def __init__(self, modules: list[nn.Module]):
        super().__init__()
        vars(self)["each"] = modules  # not its own: the network has them
        self.rows: Any = None

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        modules = [vars(self)["each"][task] for task in self.rows.tasks]
        first = modules[0]
        if isinstance(first, nn.Linear | Conv1D):
            return self._linear(modules, states)
        if states.shape[0] != self.rows.count:
            raise ValueError(f"{type(first).__name__} of {list(states.shape)} for {self.rows.count} rows")
        weights = {
            name: self.rows.chosen([module.get_parameter(name) for module in modules], states.dim())
            for name, _ in first.named_parameters()
        }
        if isinstance(first, nn.LayerNorm):
            normed = functional.layer_norm(states, first.normalized_shape, eps=first.eps) * weights["weight"]
            return normed + weights["bias"] if "bias" in weights else normed
        return functional_call(first, weights, (states,))

    def _linear(self, modules: list[Any], states: torch.Tensor) -> torch.Tensor:
        each = states.shape[0] // self.rows.count  # some blocks flatten [B, T, H] to [B * T, H]
        weights = [module.weight if isinstance(module, nn.Linear) else module.weight.T for module in modules]
        out, wide = weights[0].shape
        if out * len(modules) <= NARROW:
            every = functional.linear(states, torch.cat(weights)).unflatten(-1, (len(modules), out))
            member = self.rows.member.repeat_interleave(each, 0) if each > 1 else self.rows.member
            product = (every * member.view(len(member), *[1] * (states.dim() - 2), -1, 1)).sum(-2)
        else:
            flat, ends = states.reshape(-1, wide), self.rows.ends * (states[..., 0].numel() // self.rows.count)
            sizes = [size * len(flat) // self.rows.count for size in self.rows.sizes]
            product = multiply(flat, weights, ends, sizes).view(*states.shape[:-1], out)
        if modules[0].bias is None:
            return product
        bias = self.rows.chosen([module.bias for module in modules], states.dim() + (each > 1))
        return (product.unflatten(0, (self.rows.count, each)) + bias).flatten(0, 1) if each > 1 else product + bias


def multiply(flat: torch.Tensor, weights: list[torch.Tensor], ends: torch.Tensor, sizes: list[int]) -> torch.Tensor:
    """Rows [N, in] times the weight [out, in] of their group → [N, out]; groups end at `ends` [K], of `sizes`."""
    kind = flat.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else flat.dtype
    if dtype != torch.bfloat16 or any(width % ALIGNED for width in weights[0].shape):
        parts = zip(flat.split(sizes), weights, strict=True)
        return torch.cat([functional.linear(part, weight) for part, weight in parts])
    stacked = torch.stack(weights).to(dtype).transpose(1, 2)
    return functional.grouped_mm(flat.to(dtype), stacked, offs=ends)


class Grouped:
    """Runs `modules[task]`, modules of one shape, as one; None where they cannot be, or are not on such a device."""

    def __init__(self, modules: Sequence[nn.Module]):
        self.modules = modules
        self.shell: nn.Module | None = None
        self.possible: bool | None = None  # not known before the first batch

    def run(self, slices: Slices, loop: Callable[[], Any], **passed: Any) -> Any:
        """What `loop` returns, by one call of the module with `passed` where the device makes that the faster way."""
        device = next(self.modules[0].parameters()).device
        if len(slices) == 1 or self.possible is False or not ahead.runs_ahead(device):
            return loop()
        if self.possible is None:
            self.possible = self._tried(slices, loop, device, passed)
            return self.run(slices, loop, **passed)
        return self._once(slices, device, passed)

    @torch.no_grad()
    def _tried(self, slices: Slices, loop: Callable[[], Any], device: torch.device, passed: dict[str, Any]) -> bool:
        """Whether the two ways give the same without dropout; once a network, for blocks are of any architecture."""
        training = self.modules[0].training
        for module in self.modules:
            module.eval()
        try:
            whole, apart = (hidden_of(output) for output in (self._once(slices, device, passed), loop()))
            return bool((whole - apart).abs().max() <= ALIKE * apart.abs().max())
        except (RuntimeError, TypeError, ValueError, AttributeError):
            return False
        finally:
            for module in self.modules:
                module.train(training)

    def _once(self, slices: Slices, device: torch.device, passed: dict[str, Any]) -> Any:
        if self.shell is None:
            self.shell = _shell(self.modules)
        rows, training = Rows(slices, device), self.modules[0].training
        for name, part in self.shell.named_modules():
            part.training = training
            if isinstance(part, Leaf):
                part.rows = rows
                continue
            parameters = self.modules[0].get_submodule(name)._parameters
            for scalar in parameters:  # a gate
                each = [self.modules[task].get_submodule(name).get_parameter(scalar) for task in rows.tasks]
                setattr(part, scalar, rows.chosen([weight.view(1) for weight in each], 3))
        return self.shell(**passed)


def hidden_of(output: Any) -> torch.Tensor:
    """A block returns its hidden states, or a tuple that starts with them."""
    return output[0] if isinstance(output, tuple) else output


def _shell(modules: Sequence[nn.Module]) -> nn.Module:
    """A copy of the module with a Leaf in the place of each part that has weights and no parts of its own."""
    shell = copy.deepcopy(modules[0])
    for name, part in modules[0].named_modules():
        if part._modules:
            shell.get_submodule(name)._parameters.clear()
        elif part._parameters:
            shell.set_submodule(name, Leaf([module.get_submodule(name) for module in modules]))
    return shell
