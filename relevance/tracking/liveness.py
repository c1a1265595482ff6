"""Whether a RUNNING run is still held, and how far it is: the run's tags → Life, Pulse; this process → such tags.

{"host": "box-1", "pid": "4711", "process_start": "1764075600.12", "pulse": "{...}"} → Life.alive
{"pulse": '{"at": 1764075600, "epoch": 2, "epochs": 3, "step": 120, ...}'} → Pulse(at=1764075600.0, epoch=2.0, ...)
"""

import fcntl
import json
import math
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path

import psutil

SILENCE = 600.0  # seconds without a pulse after which a run of another host is dead
STARTING = "starting"  # locked while a sweep starts
SAME_START = 2.0  # seconds two readings of one process's start may differ by: they follow corrections of the clock


@dataclass(frozen=True)
class Pulse:
    """What a run last said of itself; None: it did not say."""

    at: float  # unix seconds
    epoch: float | None = None
    epochs: float | None = None
    step: float | None = None
    steps: float | None = None
    rows_per_second: float | None = None
    seconds_left: float | None = None


Life = StrEnum("Life", "alive dead unknown")


@contextmanager
def starting(outputs: Path) -> Iterator[None]:
    """Within it others see that a sweep starts: its rows are prepared, and the store has no run of it yet."""
    outputs.mkdir(parents=True, exist_ok=True)
    with (outputs / STARTING).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def is_starting(outputs: Path) -> bool:
    """Whether a sweep of these outputs starts; False where a file system has no locks."""
    try:
        with (outputs / STARTING).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def life(tags: Mapping[str, str], now: float) -> Life:
    """On this host the process is asked for; of another host the pulse decides, and without one nobody can know."""
    if tags.get("host") == socket.gethostname():
        return _process(tags)
    if not tags.get("host") or pulse(tags) is None:
        return Life.unknown
    return Life.dead if now - last_sign(tags) > SILENCE else Life.alive


def _process(tags: Mapping[str, str]) -> Life:
    try:
        pid, start = int(tags["pid"]), float(tags["process_start"])
        process = psutil.Process(pid)
        same = abs(process.create_time() - start) <= SAME_START  # a pid may be taken again by another
        return Life.alive if same and process.status() != psutil.STATUS_ZOMBIE else Life.dead
    except psutil.NoSuchProcess:
        return Life.dead
    except (KeyError, ValueError, psutil.Error):
        return Life.unknown


def last_sign(tags: Mapping[str, str]) -> float:
    """When the run last showed a sign of life, in unix seconds; 0 where it never did."""
    beat = pulse(tags)
    return max(beat.at if beat else 0.0, taken_up(tags))  # a run that goes on has its former pulse for a moment


def taken_up(tags: Mapping[str, str]) -> float:
    """When a process last took the run up, in unix seconds; 0 where that is not known."""
    touched = tags.get("touched", "")
    return int(touched) / 1e9 if touched.isdecimal() else 0.0


def pulse(tags: Mapping[str, str]) -> Pulse | None:
    """The pulse among the tags of a run; None where there is none, or none that can be read."""
    try:
        values = dict(json.loads(tags.get("pulse", "")))
    except (ValueError, TypeError):
        return None
    numbers = {name: value for name, value in values.items() if isinstance(value, int | float) and math.isfinite(value)}
    known = {field.name: float(numbers[field.name]) for field in fields(Pulse) if field.name in numbers}
    return Pulse(**known) if "at" in known else None


def held_by() -> dict[str, str]:
    """Tags that name this process: a pid alone may be taken again by another."""
    return {
        "host": socket.gethostname(),
        "pid": str(os.getpid()),
        "process_start": f"{psutil.Process().create_time():.2f}",
        "touched": str(time.time_ns()),
    }
