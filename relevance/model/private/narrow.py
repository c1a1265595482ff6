"""A narrow private block: hidden [B, T, H] → width W → a block of the backbone's class → back onto the stream.

h + up(block(down(h))), up from zero: the identity at the start, for pre-norm and post-norm blocks alike.
"""

import inspect
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from relevance.model.architectures import PLACE, blocks, narrowed
from relevance.model.private.slices import hidden_of


class Narrow(nn.Module):
    """A block of the backbone's class at width W between two projections."""

    def __init__(self, backbone: PreTrainedModel, width: int):
        super().__init__()
        config, stack = narrowed(backbone.config.get_text_config(), width), blocks(backbone)
        kind = type(stack[-1])
        takes = inspect.signature(kind.__init__).parameters
        self.block = kind(config, **{name: len(stack) - 1 for name in PLACE if name in takes})
        self.block.apply(backbone._init_weights)
        wide = backbone.config.get_text_config().hidden_size
        self.down, self.up = nn.Linear(wide, width, bias=False), nn.Linear(width, wide, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        return hidden_states + self.up(hidden_of(self.block(self.down(hidden_states), *args, **kwargs)))
