"""One kind of disturbance each: a ground, its chance → when it came, in words; the sweep is asked again after it."""

import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import psutil

from relevance.cli import INTERRUPTED
from relevance.tracking import Store
from tools.chaos.ground import WAIT, Ground

LONG = 10.0  # seconds within which a random moment falls: two of them reach the last of four cells
STOP = 5.0  # seconds a cell may take to end when it is asked to
Trial = Callable[[Ground, Random], str]  # → the moment, in words


def kill_both(ground: Ground, chance: Random) -> str:
    """SIGKILL of the process that trains, then of the sweep, which went on by itself: at two random moments."""
    process = ground.start()
    moments = [f"{_pause(ground, process, chance)}, {_kill(ground.worker(), ground)}"]
    moments.append(f"{_pause(ground, process, chance)}, {_where(ground)}")
    process.kill()
    process.wait()
    return "; ".join(moments)


def _kill(worker: psutil.Process | None, ground: Ground) -> str:
    if worker is None:
        return "no worker by then"
    worker.kill()
    return _where(ground)


def terminate(ground: Ground, chance: Random) -> str:
    """SIGTERM of the sweep while a cell trains."""
    process = ground.start()
    ground.until("trains", process)
    time.sleep(chance.uniform(0, 2))
    stopped = time.time()
    process.terminate()
    code = process.wait(WAIT)
    killed = Store(ground.uri, "relevance", ground.outputs).runs("tags.kind = 'cell' and attributes.status = 'KILLED'")
    took = max((run.info.end_time / 1000 - stopped for run in killed), default=float("inf"))
    if took > STOP or code != INTERRUPTED:
        ground.wrong.append(f"asked to stop, its run read KILLED after {took:.1f} s, code {code}")
    return f"{_where(ground)}; its run reads KILLED {took:.2f} s later, code {code}"


def faults(*kinds: str) -> Trial:
    """A fault of each kind in a cell of its own, at its fifth step."""

    def trial(ground: Ground, chance: Random) -> str:
        cells = ("llm-prefix", "llm-mh", "ce-prefix", "ce-mh")
        faults = dict(zip(cells, kinds, strict=False))
        code, output = ground.run(CHAOS=json.dumps(faults))
        reasons = [line.partition("FAILED: ")[2] for line in output.splitlines() if ": FAILED: " in line]
        return f"step 5; code {code}: {' | '.join(reason[:44] for reason in reasons)}"

    return trial


def torn_checkpoint(ground: Ground, chance: Random) -> str:
    """SIGKILL in an epoch, then half of the newest checkpoint gone."""
    ground.run(CHAOS=json.dumps({"llm-mh": "killed"}))
    file = _tear(ground)
    return f"step 5; {file.name if file else 'no checkpoint to tear'} cut in half"


def _tear(ground: Ground) -> Path | None:
    """Cut the newest checkpoint of a half-trained cell in half; None where no cell has two."""
    for folder in ground.outputs.glob("cells/*.part/checkpoints"):
        states = sorted(folder.glob("last-*.ckpt"), key=lambda file: int(file.stem.rpartition("-")[2]))
        if len(states) > 1:
            states[-1].write_bytes(states[-1].read_bytes()[: states[-1].stat().st_size // 2])
            return states[-1]
    return None


def locked_store(ground: Ground, chance: Random) -> str:
    """Another program holds the database for 25 seconds, while cells train."""
    process = ground.start()
    ground.until("trains", process)
    with sqlite3.connect(ground.folder / "mlflow.db", isolation_level=None, timeout=60) as store:
        store.execute("BEGIN EXCLUSIVE")
        time.sleep(25)
        store.execute("ROLLBACK")
    store.close()
    return f"first cell, 25 s; code {process.wait(WAIT)}"


def lost_store(ground: Ground, chance: Random) -> str:
    """The database is removed while cells train."""
    process = ground.start()
    ground.until("llm-mh[data.rows=300]-joint-s0: training", process)
    for file in ground.folder.glob("mlflow.db*"):
        file.unlink()
    return f"{_where(ground)}; code {process.wait(WAIT)}"


def full_disk(ground: Ground, chance: Random) -> str:
    """Outputs on a file system of 1 MB; then it grows."""
    ground.outputs.mkdir()
    _mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(ground.outputs))
    code, output = ground.run()
    errors = [line for line in output.splitlines() if "No space" in line or "FAILED" in line]
    _mount("-o", "remount,size=64m", str(ground.outputs))
    return f"1 MB; code {code}: {errors[0].strip()[-60:] if errors else output.splitlines()[-1][:60]}"


def can_mount() -> bool:
    """Whether this process may mount a file system."""
    tried = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    return os.geteuid() == 0 and tried.returncode == 0


def unmount(ground: Ground) -> None:
    subprocess.run(["umount", "-l", str(ground.outputs)], capture_output=True, check=False)


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def _pause(ground: Ground, process: subprocess.Popen, chance: Random) -> str:
    """Let a random time pass: three times of four after the first cell began, else from the very start."""
    began = time.monotonic()
    if chance.random() < 0.75:
        ground.until(": training", process)
    try:
        process.wait(chance.uniform(0, LONG))
    except subprocess.TimeoutExpired:
        return f"after {time.monotonic() - began:.1f} s"
    return "after its end"


def _where(ground: Ground) -> str:
    """The last thing it said of a cell."""
    lines = [line for line in ground.said().splitlines() if line.startswith("[")]
    if not lines:
        return "before the first cell"
    place, _, rest = lines[-1].partition(": ")
    return f"{place.partition('[data')[0]} {'in training' if rest == 'training' else 'ended'}"
