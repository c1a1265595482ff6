"""A cell of several devices: a job, its ranks started by torchrun, which none of them outlives; and what a rank does.

Job(devices=2) → a folder with the frozen job → relevance.train.processes (torchrun) → rank 0, rank 1

python -m relevance.train.rank FOLDER is one of them: FOLDER/job.json → the cell's files and record by rank 0,
FOLDER/error-<rank>.json where the cell failed
"""

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.distributed as dist

from relevance import distributed
from relevance.atomic_io import write_text
from relevance.cell_id import Cell, fingerprint
from relevance.cli import echo
from relevance.config import TrainerConfig
from relevance.data.stored import file_digest
from relevance.distributed import check_devices, on_gpu, process_count
from relevance.errors import UserError, first_line, interruptible
from relevance.masking import masked_streams
from relevance.model.backbone import backbone_digest
from relevance.train.job import Job, thaw
from relevance.train.processes import SIGN, die_with_parent, exit_reason, hold_sign, wait_for_exit

PATIENCE = timedelta(hours=2)  # for a rank that hangs: one that dies is known at once. Rank 0 saves alone meanwhile
GRACE, LAST = 3.0, 15.0  # seconds for torchrun to end its ranks, and for ranks to be gone after that
FOREIGN = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # of a group that may be around us


def train_in_ranks(job: Job) -> None:
    """Train the cell in processes of their own; rank 0 writes to the record of the run that the caller has opened.

    Raises UserError with the reason where a rank fails or is killed; when this returns, or raises, none is left.
    """
    from relevance.train.cell import threads  # only now: a rank shows first that it lives

    config, most = job.cell.config, torch.cuda.device_count()
    check_devices(config.trainer)
    if on_gpu(config.trainer) and process_count(config.trainer) > most:
        raise UserError(f"trainer.devices={config.trainer.devices}: this machine has {most}; give at most {most}")
    with TemporaryDirectory(prefix="relevance-ranks-") as name:
        folder = Path(name)
        (folder / SIGN).symlink_to(sign_of(job.cell).resolve())
        (folder / "job.json").write_text(job.with_settings(threads=threads(config)).text())
        # on this machine; one attempt, and one rank that prints: the others would print the same
        words = ["--standalone", f"--nproc-per-node={process_count(config.trainer)}", "--max-restarts=0"]
        words += ["--local-ranks-filter=0", "-m", "relevance.train.rank", name]
        (folder / "torchrun.json").write_text(json.dumps(words))
        if code := _run(folder):
            raise _failure(folder, code)


def sign_of(cell: Cell) -> Path:
    """Where the ranks of a cell show that they live: they may outlive the process with its lock by seconds."""
    return cell.folder.with_suffix(".ranks")


def _run(folder: Path) -> int:
    """Exit code of the agent, negative where a signal killed it. No process of the group is left afterwards."""
    known = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    environment = {**known, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}  # torch takes config.threads
    command = [sys.executable, "-m", "relevance.train.processes", str(os.getpid()), str(folder)]
    agent = subprocess.Popen(command, env=environment, start_new_session=True)  # Ctrl-C is for us, who end the group
    try:
        return agent.wait()
    finally:
        if agent.poll() is None:
            agent.terminate()
            try:
                agent.wait(GRACE)
            except subprocess.TimeoutExpired:
                agent.kill()
                agent.wait()
        if not wait_for_exit(folder / SIGN, LAST):
            echo(f"ranks of {folder} are still there {LAST:.0f} s after their end: look for relevance.train.rank")


def _failure(folder: Path, code: int) -> UserError:
    """Why the group failed: a rank or the agent that a signal killed, or the first rank that raised an error.

    In this order: ranks that lose another, or the agent, raise errors about their connections, and torchrun ends by
    SIGTERM those that are left.
    """
    failed = folder / "failed.json"
    codes = json.loads(failed.read_text()) if failed.is_file() else {}
    killed = {rank: f"rank {rank} {exit_reason(ended)}" for rank, ended in codes.items() if ended < 0}
    struck = [reason for rank, reason in killed.items() if codes[rank] != -signal.SIGTERM]
    if code < 0:
        struck.append(f"the process that holds the ranks {exit_reason(code)}")
    if struck:
        return UserError(f"{struck[0]}; the ranks that were left ended with it")
    errors = [(json.loads(file.read_text()), file.stem.removeprefix("error-")) for file in folder.glob("error-*.json")]
    if not errors:
        return UserError("; ".join(killed.values()) or f"ranks ended without a word: {codes or code}")
    first, rank = min(errors, key=lambda error: error[0]["time"])
    error = UserError(f"rank {rank}: {first['reason']}")
    error.add_note(first["traceback"])
    return error


@masked_streams()
def main(folder: Path) -> None:
    interruptible()
    die_with_parent(int(os.environ["RELEVANCE_PARENT"]))
    hold_sign(folder)
    code = 0
    try:
        _train(folder)
    except BaseException as error:
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {first_line(error)}"
        note = {"reason": reason, "traceback": traceback.format_exc(), "time": time.time()}
        write_text(folder / f"error-{os.environ['RANK']}.json", json.dumps(note))
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # no tidy end: libraries wait for ranks that are gone, or abort over threads that still run


def _train(folder: Path) -> None:
    from relevance.tracking import CellLog, RecordedRun
    from relevance.train.cell import train_cell

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


if __name__ == "__main__":
    main(Path(sys.argv[1]))
