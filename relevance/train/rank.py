"""python -m relevance.train.rank FOLDER: one of the processes that torchrun starts for a cell of several devices.

FOLDER/job.json → the cell's files and record by rank 0, FOLDER/error-<rank>.json where the cell failed
"""

import json
import os
import sys
import time
import traceback
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from relevance import distributed
from relevance.atomic_io import write_text
from relevance.cell_id import Cell, fingerprint
from relevance.config import TrainerConfig
from relevance.data.stored import file_digest
from relevance.errors import UserError, first_line, interruptible
from relevance.masking import masked_streams
from relevance.model.backbone import backbone_digest
from relevance.train.processes import die_with_parent, hold_sign

PATIENCE = timedelta(hours=2)  # for a rank that hangs: one that dies is known at once. Rank 0 saves alone meanwhile


@masked_streams()
def main(folder: Path) -> None:
    interruptible()
    die_with_parent(int(os.environ["RELEVANCE_PARENT"]))
    hold_sign(folder)
    code = 0
    try:
        _train(folder)
    except BaseException as error:
        _write_error(error, folder)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # no tidy end: libraries wait for ranks that are gone, or abort over threads that still run


def _train(folder: Path) -> None:
    from relevance.tracking import CellLog, RecordedRun
    from relevance.train.cell import train_cell
    from relevance.train.job import thaw

    job = thaw((folder / "job.json").read_text())
    join(job.cell.config.trainer)
    agree(job.cell)
    train_cell(job.cell, RecordedRun(job.cell.work) if distributed.first() else CellLog())
    leave()


def join(trainer: TrainerConfig) -> None:
    """Meet the other ranks that torchrun started: gloo on the CPU, NCCL between GPUs, each rank on its own."""
    if distributed.on_gpu(trainer):
        local = int(os.environ["LOCAL_RANK"])
        torch.cuda.set_device(trainer.devices[local] if isinstance(trainer.devices, list) else local)
        dist.init_process_group("cpu:gloo,cuda:nccl", timeout=PATIENCE)
    else:
        dist.init_process_group("gloo", timeout=PATIENCE)


def agree(cell: Cell) -> None:
    """UserError on every rank where a rank reads another config, other pairs or another backbone than the rest."""
    digest = fingerprint(cell.config, file_digest(cell.rows), backbone_digest(cell.config))
    gathered = distributed.gathered(torch.tensor([list(bytes.fromhex(digest))], dtype=torch.uint8))
    digests = [bytes(row).hex() for row in gathered.tolist()]
    if set(digests) != {cell.fingerprint}:
        ranks = ", ".join(f"rank {rank} {digest[:16]}" for rank, digest in enumerate(digests))
        raise UserError(
            f"fingerprint {cell.fingerprint[:16]} was asked for, found were {ranks}; give every rank the same config, "
            "pairs and backbone, and change none of them while cells wait"
        )


def leave() -> None:
    dist.destroy_process_group()


def _write_error(error: BaseException, folder: Path) -> None:
    reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {first_line(error)}"
    file = folder / f"error-{os.environ['RANK']}.json"
    write_text(file, json.dumps({"reason": reason, "traceback": traceback.format_exc(), "time": time.time()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
