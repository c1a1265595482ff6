"""The devices one cell may ask for: trainer settings → (wrong, message) of each check."""

from relevance.config import ALL, TrainerConfig

ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")  # those of Lightning's that networks here can train on


def device_checks(trainer: TrainerConfig) -> list[tuple[bool, str]]:
    """What is wrong with accelerator or devices, and what to give instead."""
    return [
        (
            not _countable(trainer.devices),
            f"trainer.devices={trainer.devices}: give the number of one cell's devices, 1 or more, auto for all there "
            "are, or a list of different GPU numbers, [0,1]",
        ),
        (
            isinstance(trainer.devices, list) and trainer.accelerator == "cpu",
            f"trainer.devices={trainer.devices} trainer.accelerator=cpu: a list names GPUs; give a number",
        ),
        (
            trainer.accelerator not in ACCELERATORS,
            f"trainer.accelerator={trainer.accelerator}: use {', '.join(ACCELERATORS)}",
        ),
    ]


def _countable(devices: object) -> bool:
    """Whether it says how many devices a cell has: 4, "4", auto, -1 (all) or [0,1]."""
    if isinstance(devices, list):
        whole = all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in devices)
        return whole and bool(devices) and len(set(devices)) == len(devices)
    text = str(devices)
    return text in ALL or (text.isdecimal() and int(text) > 0)
