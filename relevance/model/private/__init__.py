"""What every kind of private weights answers, and what kinds share: the slices of a batch, a block's arguments cut so.

hidden [B, T, H], slices [(0, 0, 3), (4, 3, 8)] → rows 0 to 2 are of task 0, rows 3 to 7 of task 4
"""

import inspect
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from relevance.config import Config, ModelConfig
from relevance.errors import UserError
from relevance.model.architectures import PER_ROW, blocks
from relevance.model.grouped import Grouped, Slices

Inputs = dict[str, torch.Tensor]  # of a batch: input_ids, attention_mask, token_type_ids, each [B, T]


class PrivateLayers(nn.Module, ABC):
    """Abstract. `branches[task]` holds the modules of one task; where there is one branch, it serves all tasks.

    A kind is a final class in a file of this folder; it attaches itself to the trunk as it is made, see `build.KINDS`.
    Soft prompts and task matrices are kinds too, though they are no layers.
    `slices` is set before each forward pass; where blocks are checkpointed, the backward pass reads it again, so that
    it has to follow its own forward pass.
    """

    halves = True  # whether their weights are kept in bfloat16 under trainer.precision=bf16-true
    front = 0  # places that it puts in front of every row
    targets: tuple[str, ...] = ()  # names of the trunk's linear layers that they adapt, so that its own LoRA does not

    def __init__(self, branches: nn.ModuleList):
        super().__init__()
        self.branches: Any = branches  # a ModuleList a task, which torch's type of the outer one does not say
        self.slices: Slices = []
        self.grouped = [Grouped(blocks) for blocks in zip(*branches, strict=True)]

    def widened(self, passed: dict[str, Any]) -> dict[str, Any]:
        """A block's arguments, its hidden states in the precision of the private weights.

        A frozen trunk in bfloat16 hands on bfloat16, in which small updates of a gated block would round away.
        """
        return {**passed, "hidden_states": passed["hidden_states"].to(next(self.parameters()).dtype)}

    def branch(self, task: int) -> Any:
        """The modules that rows of `task` pass."""
        return self.branches[task if len(self.branches) > 1 else 0]

    def by_task(self, place: int, x: torch.Tensor) -> torch.Tensor:
        """The modules at `place` of each task on its own rows of [B, T, H], or of [B * T, H] as some blocks have it."""
        each = x.shape[0] // self.slices[-1][2]
        return torch.cat([self.branches[task][place](x[a * each : b * each]) for task, a, b in self.slices])

    def fronted(self, inputs: Inputs) -> Inputs:
        """The inputs of the trunk [B, front + T] of those of a batch [B, T]."""
        return inputs

    @abstractmethod
    def start(self) -> str:
        """What makes the network compute, at first, what it would without them: "B = 0"."""

    @abstractmethod
    def merge(self, trunk: PreTrainedModel, task: int) -> None:
        """Make those of `task` a part of `trunk`, its adapters not yet merged; other tasks cannot use it afterwards."""

    def check_mergeable(self) -> None:
        """UserError where no ordinary model computes what they do."""

    def adapter_weights(self, trunk: PreTrainedModel, task: int) -> dict[str, torch.Tensor]:
        """Those of `task` by the names peft gives an adapter's weights in the trunk; {} where they are no adapter.

        They stand beside the trunk's own, or for them where the names are the same.
        """
        return {}

    def rate(self, model: ModelConfig) -> float:
        """The learning rate of all but the gates, before routing.private.lr_factor."""
        return model.private_lr

    def gates(self) -> list[nn.Parameter]:
        """Parameters that open from zero, at a rate of their own."""
        return []

    def gate_values(self) -> dict[str, float]:
        """Mean |g| of each task's gates, or of "all": 0 is closed, as all start."""
        return {}

    def probes(self) -> dict[str, AbstractContextManager]:
        """Changes within which test rows are scored again, by name of the probe."""
        return {}


def top_blocks(trunk: PreTrainedModel, config: Config) -> list[nn.Module]:
    """The top k blocks of the trunk; UserError where it has too few."""
    stack, private = list(blocks(trunk)), config.routing.private
    most = len(stack) - (config.model.lora.r > 0)  # the trunk's own adapters keep one block at least
    if private.layers > most:
        raise UserError(
            f"routing.private.layers={private.layers}: kind={private.kind} takes blocks of the backbone, "
            f"which has {len(stack)}; {f'give at most {most}' if most else 'use kind=inserted'}"
        )
    return stack[-private.layers :]


def arguments(block: nn.Module, args: tuple, kwargs: dict[str, Any]) -> dict[str, Any]:
    """What a block was called with, by the names of its own signature."""
    bound = inspect.signature(block.forward).bind(*args, **kwargs).arguments
    return {**bound, **bound.pop("kwargs", {})}


def rows(passed: dict[str, Any], start: int, stop: int) -> dict[str, Any]:
    """The arguments of a block for rows start..stop: a view of whatever holds entries per row."""
    batch = passed["hidden_states"].shape[0]

    def cut(value: Any, least: int) -> Any:
        if isinstance(value, tuple):
            return tuple(cut(part, least) for part in value)
        if not isinstance(value, torch.Tensor) or value.dim() < least or value.shape[0] % batch:
            return value
        each = value.shape[0] // batch  # alibi: heads
        return value[start * each : stop * each]

    return {name: cut(value, PER_ROW[name]) if name in PER_ROW else value for name, value in passed.items()}


def with_hidden(output: Any, hidden: torch.Tensor) -> Any:
    """What a block returned, with other hidden states."""
    return (hidden, *output[1:]) if isinstance(output, tuple) else hidden
