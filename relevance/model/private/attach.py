"""routing.private → the private layers of a trunk, attached to it; None where the routing has none."""

from functools import partial

import torch
from torch import nn
from transformers import PreTrainedModel

from relevance.config import Config, PrivateKind
from relevance.errors import UserError
from relevance.model.architectures import ATTENTION, blocks, linears
from relevance.model.private.inserted import Inserted, copied, gated, starts_at_identity
from relevance.model.private.layers import PrivateLayers
from relevance.model.private.lora import TaskLora
from relevance.model.private.narrow import Narrow
from relevance.model.private.top import Top
from relevance.tasks import TASK_NAMES


def attach(trunk: PreTrainedModel, config: Config, inputs: dict[str, torch.Tensor]) -> PrivateLayers | None:
    """Hang the private layers of `config` on a trunk without adapters; `inputs` are a batch to try blocks on.

    Raises UserError where the trunk has too few blocks.
    """
    private, tasks = config.routing.private, len(TASK_NAMES)
    if not private.layers:
        return None
    stack = blocks(trunk)
    most = {PrivateKind.top: len(stack), PrivateKind.lora: len(stack) - 1}.get(private.kind, private.layers)
    if private.layers > most:  # one block at least keeps the shared adapters of kind=lora
        raise UserError(
            f"routing.private.layers={private.layers}: kind={private.kind} takes blocks of the backbone, "
            f"which has {len(stack)}; give at most {most}"
        )
    match private.kind:
        case PrivateKind.top:
            return Top(stack, tasks, private.layers)
        case PrivateKind.lora:
            return TaskLora(list(own_targets(trunk, config).values()), tasks, config.model.lora)
    branches = tasks if private.kind is PrivateKind.inserted else 1
    return Inserted(stack[-1], _new_block(trunk, private.width, inputs), branches, private.layers)


def own_targets(trunk: PreTrainedModel, config: Config) -> dict[str, nn.Module]:
    """The linear layers of the top blocks that kind=lora adapts per task, by their names in the trunk."""
    places = {module: name for name, module in trunk.named_modules()}
    found: dict[str, nn.Module] = {}
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


def _new_block(trunk: PreTrainedModel, width: int | None, inputs: dict[str, torch.Tensor]):
    """A maker of blocks that start at the identity."""
    if width is not None:
        return partial(Narrow, trunk, width)
    last = blocks(trunk)[-1]
    return partial(copied if starts_at_identity(last, trunk, inputs) else gated, last)
