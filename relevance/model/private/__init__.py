"""routing.private → the private layers of a trunk, attached to it.

A kind is a final class of PrivateLayers in a file of this folder, which answers all that others ask of it.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import safe_open
from transformers import PreTrainedModel

from relevance.config import Config, PrivateKind
from relevance.model.private.inserted import Inserted
from relevance.model.private.layers import PrivateLayers
from relevance.model.private.lora import TaskLora
from relevance.model.private.top import Top

# (trunk, config, a batch to try blocks on, names of a saved cell's weights; null: a new cell) → the layers, attached
Kind = Callable[[PreTrainedModel, Config, dict[str, torch.Tensor], list[str] | None], PrivateLayers]
KINDS: dict[PrivateKind, Kind] = {
    PrivateKind.inserted: Inserted,
    PrivateKind.shared: Inserted,
    PrivateKind.top: Top,
    PrivateKind.lora: TaskLora,
}


def attach(
    trunk: PreTrainedModel, config: Config, inputs: dict[str, torch.Tensor], saved: Path | None
) -> PrivateLayers | None:
    """Attach the private layers of `config` to a trunk without adapters; None where the routing has none.

    `inputs` are a batch to try blocks on; `saved` is the folder of a cell whose weights are loaded afterwards. Raises
    UserError where the trunk has too few blocks.
    """
    if not config.routing.private.layers:
        return None
    names = None if saved is None else _weight_names(saved / "private.safetensors")
    return KINDS[config.routing.private.kind](trunk, config, inputs, names)


def _weight_names(file: Path) -> list[str]:
    with safe_open(file, "pt") as weights:
        return list(weights.keys())
