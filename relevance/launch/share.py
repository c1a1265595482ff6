"""What a cell takes of a cluster: its devices, what was asked for and what there is → GPUs and cores.

share(TrainerConfig(devices=4), gpus=None, cpus=None, there=(8, 64)) → (4.0, 32.0)
"""

from relevance.config import ALL, TrainerConfig
from relevance.errors import UserError
from relevance.strategy import processes


def share(
    trainer: TrainerConfig, gpus: float | None, cpus: float | None, there: tuple[float, float]
) -> tuple[float, float]:
    """A GPU for each device, where there are any, and its share of the cores; or what was asked for.

    UserError where the devices cannot be told apart by so many GPUs, or the cluster has too few for this cell alone.
    """
    several = devices(trainer)
    if gpus is None:
        gpus = float(several) if there[0] and trainer.accelerator != "cpu" else 0.0
    if cpus is None:
        cpus = max(float(several), there[1] * gpus / there[0] // 1 if there[0] else 0.0)
    asked = f"hydra.launcher.gpus_per_cell={gpus:g} cpus_per_cell={cpus:g} trainer.devices={trainer.devices}"
    if gpus > there[0] or cpus > there[1]:
        raise UserError(
            f"{asked}: there are {there[0]:g} GPUs and {there[1]:g} cores; no cell would ever start, ask for less"
        )
    if not _suits(gpus, several, trainer.devices):
        raise UserError(
            f"{asked}: leave gpus_per_cell out, or give as many as there are devices (of one device: 1, or a fraction)"
        )
    return gpus, cpus


def devices(trainer: TrainerConfig) -> int:
    """Of one cell; "all there are" are those of one cell's share."""
    return 1 if str(trainer.devices) in ALL else processes(trainer)


def _suits(gpus: float, several: int, named: object) -> bool:
    """Whether each device of a cell has a GPU of its own, or its only one shares it with other cells."""
    alone = several == 1 and (gpus <= 1 or (str(named) in ALL and float(gpus).is_integer()))
    return alone or gpus in (0, several)
