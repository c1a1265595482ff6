"""Where a cell trains, in Lightning's words: one device of its own, or this process's among those of its ranks.

TrainerConfig(devices=2) in one of two ranks → {"strategy": Replicas(), "devices": 2, "use_distributed_sampler": False}
"""

import signal
from typing import Any

import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments import ClusterEnvironment, LightningEnvironment, TorchElasticEnvironment
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy

from relevance import group
from relevance.config import TrainerConfig
from relevance.errors import UserError

ALL = ("auto", "-1")  # of trainer.devices


def processes(trainer: TrainerConfig) -> int:
    """How many processes a machine runs for the cell: one for each device."""
    if isinstance(trainer.devices, list):
        return len(trainer.devices)
    if str(trainer.devices) in ALL:
        return max(1, torch.cuda.device_count()) if trainer.accelerator in ("auto", "gpu", "cuda") else 1
    return int(trainer.devices)


def several(trainer: TrainerConfig) -> bool:
    """Whether the cell takes more than one process."""
    return processes(trainer) * trainer.num_nodes > 1


def admit(trainer: TrainerConfig) -> None:
    """UserError where this machine has not what the cell asks for by name."""
    has = torch.cuda.is_available() or torch.backends.mps.is_available()
    if trainer.accelerator not in ("auto", "cpu") and not has:
        raise UserError(f"trainer.accelerator={trainer.accelerator}: torch sees no GPU here; give auto or cpu")


def placed(trainer: TrainerConfig) -> dict[str, Any]:
    """Arguments of lightning.Trainer that say where it runs; a rank's are read from what started it."""
    if group.size() == 1:
        return {"strategy": "auto", "devices": trainer.devices}
    if trainer.strategy == "fsdp":
        from relevance.sharded import Sharded  # it builds networks, which this file knows nothing of

        return {"strategy": Sharded(), "devices": _devices(trainer), "use_distributed_sampler": False}
    return {"strategy": Replicas(), "devices": _devices(trainer), "use_distributed_sampler": False}


def environment() -> ClusterEnvironment:
    """Lightning's view of the processes around: ours alone, whatever SLURM_* or RANK the surroundings have set."""
    return LightningEnvironment() if group.size() == 1 else TorchElasticEnvironment()


class Replicas(DDPStrategy):
    """The whole network on every rank, without torch's wrapper: RelevanceModule sums the gradients once a step.

    The wrapper would have to be told which weights a rank's rows pass, and would sum after every micro-batch.
    """

    def configure_ddp(self) -> None:
        with torch.no_grad():
            for tensor in [*self.model.parameters(), *self.model.buffers()]:
                dist.broadcast(tensor, 0)
        torch.manual_seed(torch.initial_seed() + group.rank())  # dropout of its own on each rank


class Mortal(Callback):
    """SIGTERM ends a rank at once: Lightning's handler would wait for the other ranks, which may be gone."""

    def on_train_start(self, trainer, module) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def on_predict_start(self, trainer, module) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _devices(trainer: TrainerConfig) -> list[int] | int:
    return trainer.devices if isinstance(trainer.devices, list) else processes(trainer)
