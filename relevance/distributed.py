"""The ranks that train one cell: how many there are, what they sum and gather.

rank 0 holds [2.0], rank 1 holds [3.0] → summed: both hold [5.0]; gathered: both hold [2.0, 3.0]
TrainerConfig(devices=2) → 2 processes. A cell of one device is a group of one.
"""

from collections.abc import Iterator

import torch
import torch.distributed as dist

from relevance.config import ALL, TrainerConfig
from relevance.errors import UserError

BUCKET = 2**24  # weights whose gradients are summed in one call: few calls, and little memory beside the gradients


def rank() -> int:
    """Which of the ranks this process is, from 0."""
    return dist.get_rank() if _together() else 0


def size() -> int:
    return dist.get_world_size() if _together() else 1


def first() -> bool:
    """Whether this rank writes files and prints."""
    return rank() == 0


def _together() -> bool:
    return dist.is_available() and dist.is_initialized()


def summed(value: torch.Tensor) -> torch.Tensor:
    """The sum over ranks, the same on each."""
    if size() > 1:
        value = value.clone()
        dist.all_reduce(value)
    return value


def gathered(part: torch.Tensor) -> torch.Tensor:
    """The rows of every rank [n of rank 0 + n of rank 1 + …, ...], the same on each; n may differ."""
    if size() == 1:
        return part
    counts = [part.new_zeros((), dtype=torch.long) for _ in range(size())]
    dist.all_gather(counts, torch.tensor(len(part), device=part.device))
    most = int(torch.stack(counts).max())
    padded = part.new_zeros(most, *part.shape[1:])
    padded[: len(part)] = part
    parts = [torch.empty_like(padded) for _ in range(size())]
    dist.all_gather(parts, padded)
    return torch.cat([rows[:count] for rows, count in zip(parts, counts, strict=True)])


def sum_gradients(parameters: list[torch.nn.Parameter]) -> None:
    """Every parameter's gradient becomes its sum over ranks.

    A parameter without one on some rank, because no row of its task went there, counts as zero; without one anywhere
    it stays so, and the optimiser leaves it alone as it would on one device.
    """
    if size() == 1:
        return
    used = torch.tensor([p.grad is not None for p in parameters], dtype=torch.int32, device=parameters[0].device)
    dist.all_reduce(used)
    for parameter, anywhere in zip(parameters, used.tolist(), strict=True):
        if anywhere and parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    for bucket in _buckets([parameter.grad for parameter in parameters if parameter.grad is not None]):
        flat = torch.cat([gradient.flatten() for gradient in bucket])
        dist.all_reduce(flat)
        for gradient, total in zip(bucket, flat.split([gradient.numel() for gradient in bucket]), strict=True):
            gradient.copy_(total.view_as(gradient))


def _buckets(gradients: list[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Gradients of one type that together hold about BUCKET weights, or a single larger one."""
    for kind in dict.fromkeys(gradient.dtype for gradient in gradients):
        bucket: list[torch.Tensor] = []
        weights = 0
        for gradient in (gradient for gradient in gradients if gradient.dtype == kind):
            if bucket and weights + gradient.numel() > BUCKET:
                yield bucket
                bucket, weights = [], 0
            bucket.append(gradient)
            weights += gradient.numel()
        yield bucket


def process_count(trainer: TrainerConfig) -> int:
    """How many processes a cell has: one for each device."""
    if isinstance(trainer.devices, list):
        return len(trainer.devices)
    if str(trainer.devices) in ALL:
        return max(1, torch.cuda.device_count()) if trainer.accelerator in ("auto", "gpu", "cuda") else 1
    return int(trainer.devices)


def on_gpu(trainer: TrainerConfig) -> bool:
    return torch.cuda.is_available() and trainer.accelerator in ("auto", "gpu", "cuda")


def check_devices(trainer: TrainerConfig) -> None:
    """UserError where this machine lacks the accelerator of the config."""
    has = torch.cuda.is_available() or torch.backends.mps.is_available()
    if trainer.accelerator not in ("auto", "cpu") and not has:
        raise UserError(f"trainer.accelerator={trainer.accelerator}: torch sees no GPU here; give auto or cpu")
