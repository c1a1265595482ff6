"""The top k pretrained blocks, a trainable copy of each per task; the trunk ends below them.

the trunk's block at place N-k+i is taken by a stand-in: hidden [B, T, H] → each row through its own task's copy
"""

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from relevance.config import Config
from relevance.model.architectures import block_list
from relevance.model.grouped import hidden_of
from relevance.model.private import Inputs, PrivateLayers, arguments, rows, top_blocks, with_hidden
from relevance.tasks import TASK_NAMES


class StandIn(nn.Module):
    """Takes a block's place in the backbone's list: its plain attributes, and none of its weights."""

    def __init__(self, block: nn.Module, place: int, owner: "Top"):
        super().__init__()
        # the backbone reads some of them in its own forward, as attention_type
        self.__dict__.update({name: value for name, value in vars(block).items() if not name.startswith("_")})
        self.run = owner.run  # a bound method: the owner is no part of the trunk
        self.place = place

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.run(self.place, args, kwargs)


class Top(PrivateLayers):
    """Branches of copies of the top blocks, each called from the place its original had."""

    def __init__(self, trunk: PreTrainedModel, config: Config, inputs: Inputs, saved: list[str] | None):
        originals = nn.ModuleList(top_blocks(trunk, config))
        others = [copy.deepcopy(originals) for _ in TASK_NAMES[1:]]
        super().__init__(nn.ModuleList([originals, *others]).requires_grad_(True))
        self._place(trunk, [StandIn(block, place, self) for place, block in enumerate(originals)])

    def start(self) -> str:
        return "copied weights"

    def merge(self, trunk: PreTrainedModel, task: int) -> None:
        self._place(trunk, self.branch(task))

    def run(self, place: int, args: tuple, kwargs: dict[str, Any]) -> Any:
        """What the block at `place` would return, had every task a block of its own there."""
        passed = self.widened(arguments(self.branches[0][place], args, kwargs))

        def loop() -> Any:
            outputs = [self.branches[task][place](**rows(passed, start, stop)) for task, start, stop in self.slices]
            return with_hidden(outputs[0], torch.cat([hidden_of(output) for output in outputs]))

        return self.grouped[place].run(self.slices, loop, **passed)

    def _place(self, trunk: PreTrainedModel, top: Iterable[nn.Module]) -> None:
        stack = block_list(trunk)
        first = len(stack) - len(self.branches[0])
        for place, block in enumerate(top, first):
            stack[place] = block
