"""routing.private → the private layers of a trunk, attached to it; None where the routing has none."""

from functools import partial

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from relevance.config import Config, PrivateConfig, PrivateKind
from relevance.errors import UserError
from relevance.model.architectures import ATTENTION, blocks, linears
from relevance.model.private.inserted import Inserted, copied, gated, starts_at_identity
from relevance.model.private.layers import PrivateLayers
from relevance.model.private.lora import TaskLora
from relevance.model.private.top import Top
from relevance.tasks import TASK_NAMES


def attach(
    trunk: PreTrainedModel, config: Config, inputs: dict[str, torch.Tensor], gates: bool | None
) -> PrivateLayers | None:
    """Hang the private layers of `config` on a trunk without adapters; `inputs` are a batch to try blocks on.

    `gates` says whether new blocks stand behind gates, null: as the last block needs it.

    Raises UserError where the trunk has too few blocks.
    """
    private, tasks = config.routing.private, len(TASK_NAMES)
    if not private.layers:
        return None
    stack = blocks(trunk)
    _admit(private, config.model.lora.r, len(stack))
    match private.kind:
        case PrivateKind.top:
            return Top(stack, tasks, private.layers)
        case PrivateKind.lora:
            return TaskLora(list(own_targets(trunk, config).values()), tasks, config.model.lora)
    branches = tasks if private.kind is PrivateKind.inserted else 1
    return Inserted(stack[-1], _new_block(trunk, inputs, gates), branches, private.layers)


def _admit(private: PrivateConfig, adapters: int, depth: int) -> None:
    most = depth - 1 if adapters else depth  # the trunk's own adapters keep one block at least
    if private.kind in (PrivateKind.top, PrivateKind.lora) and private.layers > most:
        raise UserError(
            f"routing.private.layers={private.layers}: kind={private.kind} takes blocks of the backbone, "
            f"which has {depth}; {f'give at most {most}' if most else 'use kind=inserted'}"
        )


def own_targets(trunk: PreTrainedModel, config: Config) -> dict[str, nn.Linear | Conv1D]:
    """The linear layers of the top blocks that kind=lora adapts per task, by their names in the trunk."""
    places = {module: name for name, module in trunk.named_modules()}
    found: dict[str, nn.Linear | Conv1D] = {}
    for block in blocks(trunk)[-config.routing.private.layers :]:
        found |= {f"{places[block]}.{name}": part for name, part in linears(block).items()}
    wanted = config.model.lora.targets
    if wanted == "all-linear":
        return found
    known = ATTENTION if wanted == "attention" else frozenset(wanted)
    chosen = {name: part for name, part in found.items() if name.rsplit(".", 1)[-1] in known}
    if not chosen:
        raise UserError(f"model.lora.targets={wanted}: none of them in the top blocks; these have {sorted(found)[:8]}")
    return chosen


def _new_block(trunk: PreTrainedModel, inputs: dict[str, torch.Tensor], gates: bool | None):
    """A maker of blocks that start at the identity."""
    last = blocks(trunk)[-1]
    behind_gates = not starts_at_identity(last, trunk, inputs) if gates is None else gates
    return partial(gated if behind_gates else copied, last)
