"""A cell of several devices: a job, its ranks started by torchrun, which none of them outlives.

Job(devices=2) → a folder with the frozen job → agent (torchrun) → rank 0, rank 1 → the cell's files, or why not
"""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from relevance.cell_id import Cell
from relevance.cli import echo
from relevance.distributed import check_devices, on_gpu, process_count
from relevance.errors import UserError
from relevance.train.cell import threads
from relevance.train.job import Job
from relevance.train.processes import SIGN, exit_reason, wait_for_exit

GRACE, LAST = 3.0, 15.0  # seconds for torchrun to end its ranks, and for ranks to be gone after that
FOREIGN = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # of a group that may be around us


def train_in_ranks(job: Job) -> None:
    """Train the cell in processes of their own; rank 0 writes to the record of the run that the caller has opened.

    Raises UserError with the reason where a rank fails or is killed; when this returns, or raises, none is left.
    """
    config, most = job.cell.config, torch.cuda.device_count()
    check_devices(config.trainer)
    if on_gpu(config.trainer) and process_count(config.trainer) > most:
        raise UserError(f"trainer.devices={config.trainer.devices}: this machine has {most}; give at most {most}")
    frozen = replace(job.cell, config=replace(config, threads=threads(config)))
    with TemporaryDirectory(prefix="relevance-ranks-") as name:
        folder = Path(name)
        (folder / SIGN).symlink_to(sign_of(job.cell).resolve())
        (folder / "job.json").write_text(replace(job, cell=frozen).text())
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
    command = [sys.executable, "-m", "relevance.train.agent", str(os.getpid()), str(folder)]
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
