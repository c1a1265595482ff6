"""How ranks come together: they join, agree on what they are about to train, and leave.

rank 0 reads fingerprint 9f2c…, rank 1 reads 77ab… → UserError on both, before the first step
"""

import os
from datetime import timedelta

import torch
import torch.distributed as dist

from relevance import group
from relevance.config import TrainerConfig
from relevance.data.rows import digest_of
from relevance.errors import UserError
from relevance.identity import Cell, fingerprint
from relevance.model import backbone

PATIENCE = timedelta(hours=2)  # for a rank that hangs: one that dies is known at once. Rank 0 saves alone meanwhile


def join(trainer: TrainerConfig) -> None:
    """Meet the other ranks that torchrun started: gloo on the CPU, NCCL between GPUs, each rank on its own."""
    if on_gpu(trainer):
        local = int(os.environ["LOCAL_RANK"])
        torch.cuda.set_device(trainer.devices[local] if isinstance(trainer.devices, list) else local)
        dist.init_process_group("cpu:gloo,cuda:nccl", timeout=PATIENCE)
    else:
        dist.init_process_group("gloo", timeout=PATIENCE)


def on_gpu(trainer: TrainerConfig) -> bool:
    return torch.cuda.is_available() and trainer.accelerator in ("auto", "gpu", "cuda")


def agree(cell: Cell) -> None:
    """UserError on every rank where one reads another config, other pairs or another backbone than the rest."""
    own = fingerprint(cell.config, digest_of(cell.rows), backbone.digest_of(cell.config))
    seen = group.gathered(torch.tensor([list(bytes.fromhex(own))], dtype=torch.uint8))
    found = [bytes(row).hex() for row in seen.tolist()]
    if set(found) != {cell.fingerprint}:
        told = ", ".join(f"rank {rank} {one[:16]}" for rank, one in enumerate(found))
        raise UserError(
            f"fingerprint {cell.fingerprint[:16]} was asked for, found were {told}; give every rank the same config, "
            "pairs and backbone, and change none of them while cells wait"
        )


def leave() -> None:
    """The end of the group, for a rank that has nothing more to do with the others."""
    dist.destroy_process_group()
