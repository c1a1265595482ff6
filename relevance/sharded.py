"""trainer.strategy=fsdp: the trunk's blocks cut over the ranks by torch's FSDP2; all else is whole on each of them.

Every pass of every rank goes through every block, so that ranks meet in the same collectives. Which heads and private
layers its rows pass is each rank's own affair: they stay whole, and RelevanceModule sums their gradients.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from relevance import group
from relevance.model.architectures import blocks_name
from relevance.model.build import build
from relevance.model.module import RelevanceModule
from relevance.model.network import Network
from relevance.strategy import Replicas


class Sharded(Replicas):
    """Blocks are cut for as long as they are trained: weights, gradients and what the optimiser keeps of them."""

    trained: dict[str, torch.Tensor] | None = None  # whole, of a fit that ended

    def configure_ddp(self) -> None:
        super().configure_ddp()
        network, mesh = self.model.network, init_device_mesh(self.root_device.type, (group.size(),))
        for block in network.trunk.get_submodule(blocks_name(network.trunk)):
            if any(True for _ in block.parameters()):  # none are left where a private block stands in
                fully_shard(block, mesh=mesh, reshard_after_forward=True)
        rest = {parameter for parameter in network.parameters() if not isinstance(parameter, DTensor)}
        fully_shard(network, mesh=mesh, ignored_params=rest)
        for part in network.modules():
            if isinstance(part, FSDPModule):  # gradients are sums over ranks, as the loss is
                part.set_gradient_divide_factor(1.0)
                part.set_force_sum_reduction_for_comms(True)

    def on_train_end(self) -> None:
        """While every rank is here: one that failed on its own would wait for them in teardown."""
        self.trained = self.lightning_module_state_dict()

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """The trained weights, whole; those that are frozen are the backbone's own."""
        trained = {name for name, parameter in self.lightning_module.named_parameters() if parameter.requires_grad}
        return {name: _whole(one) for name, one in self.lightning_module.state_dict().items() if name in trained}

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """As one device has it, so that training may go on with other devices."""
        kept = super().optimizer_state(optimizer)
        state = {at: {name: _whole(one) for name, one in moments.items()} for at, moments in kept["state"].items()}
        alone = self.lightning_module.groups(together=True)
        return _rearranged({**kept, "state": state}, optimizer.param_groups, alone)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        alone = self.lightning_module.groups(together=True)
        cut = []
        for optimizer, kept in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            found, weights = _rearranged(kept, alone, optimizer.param_groups), _weights(optimizer.param_groups)
            state = {
                at: {k: _like(one, weights[at]) for k, one in moments.items()} for at, moments in found["state"].items()
            }
            cut.append({**found, "state": state})
        super().load_optimizer_state_dict({"optimizer_states": cut})


def trained_whole(module: RelevanceModule) -> Network:
    """The network after training, to be scored and saved: a new one, where this one's blocks were cut over ranks."""
    strategy = module.trainer.strategy
    if isinstance(strategy, Sharded):
        module.network, _ = build(module.config)
        module.load_state_dict(strategy.trained, strict=False)
    return module.network


def _whole(value: Any) -> Any:
    return value.full_tensor().cpu() if isinstance(value, DTensor) else value


def _like(value: Any, weight: nn.Parameter) -> Any:
    """What an optimiser keeps of a weight, cut as the weight is."""
    if not isinstance(weight, DTensor) or value.shape != weight.shape:
        return value
    return distribute_tensor(value.to(weight.device), weight.device_mesh, weight.placements)


def _rearranged(kept: dict[str, Any], given: list[dict], wanted: list[dict]) -> dict[str, Any]:
    """An optimiser's state where its weights, in groups as `given`, stand in groups as `wanted`."""
    places = {id(weight): at for at, weight in enumerate(_weights(given))}
    order = [places[id(weight)] for weight in _weights(wanted)]
    settings = {at: part for part in kept["param_groups"] for at in part["params"]}
    groups, first = [], 0
    for part in wanted:
        groups.append({**settings[order[first]], "params": list(range(first, first + len(part["params"])))})
        first += len(part["params"])
    state = {at: kept["state"][place] for at, place in enumerate(order) if place in kept["state"]}
    return {"state": state, "param_groups": groups}


def _weights(groups: list[dict[str, Any]]) -> list[nn.Parameter]:
    return [weight for part in groups for weight in part["params"]]
