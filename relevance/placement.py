"""Where a cell trains, in Lightning's words: one device of its own, or this process's among those of its ranks.

TrainerConfig(devices=2) in one of two ranks → {"strategy": Replicas(), "devices": 2, "use_distributed_sampler": False}
"""

import signal
from typing import Any

from lightning.fabric.plugins.environments import ClusterEnvironment, LightningEnvironment, TorchElasticEnvironment
from lightning.pytorch.callbacks import Callback

from relevance import group
from relevance.config import TrainerConfig
from relevance.strategy import Replicas, processes


def placed(trainer: TrainerConfig) -> dict[str, Any]:
    """Arguments of lightning.Trainer that say where it runs; a rank's are read from what started it."""
    if group.size() == 1:
        return {"strategy": "auto", "devices": trainer.devices}
    return {"strategy": Replicas(), "devices": _devices(trainer), "use_distributed_sampler": False}


def environment() -> ClusterEnvironment:
    """Lightning's view of the processes around: ours alone, whatever SLURM_* or RANK the surroundings have set."""
    return LightningEnvironment() if group.size() == 1 else TorchElasticEnvironment()


class Mortal(Callback):
    """SIGTERM ends a rank at once: Lightning's handler would wait for the other ranks, which may be gone."""

    def on_train_start(self, trainer, module) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def on_predict_start(self, trainer, module) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _devices(trainer: TrainerConfig) -> list[int] | int:
    return trainer.devices if isinstance(trainer.devices, list) else processes(trainer)
