"""How many processes a cell has, and the network of each: whole, its gradients summed once a step.

TrainerConfig(devices=2) → 2 processes; one of them holds Replicas
"""

import torch
import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy

from relevance import group
from relevance.config import ALL, TrainerConfig
from relevance.errors import UserError


def processes(trainer: TrainerConfig) -> int:
    """How many processes a cell has: one for each device."""
    if isinstance(trainer.devices, list):
        return len(trainer.devices)
    if str(trainer.devices) in ALL:
        return max(1, torch.cuda.device_count()) if trainer.accelerator in ("auto", "gpu", "cuda") else 1
    return int(trainer.devices)


def several(trainer: TrainerConfig) -> bool:
    """Whether the cell takes more than one process."""
    return processes(trainer) > 1


def admit(trainer: TrainerConfig) -> None:
    """UserError where this machine has not what the cell asks for by name."""
    has = torch.cuda.is_available() or torch.backends.mps.is_available()
    if trainer.accelerator not in ("auto", "cpu") and not has:
        raise UserError(f"trainer.accelerator={trainer.accelerator}: torch sees no GPU here; give auto or cpu")


class Replicas(DDPStrategy):
    """The whole network on every rank, without torch's wrapper: RelevanceModule sums the gradients once a step.

    The wrapper would have to be told which weights a rank's rows pass, and would sum after every micro-batch.
    """

    def configure_ddp(self) -> None:
        with torch.no_grad():
            for tensor in [*self.model.parameters(), *self.model.buffers()]:
                dist.broadcast(tensor, 0)
        torch.manual_seed(torch.initial_seed() + group.rank())  # dropout of its own on each rank
