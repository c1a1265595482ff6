"""Whether the process that holds a RUNNING run is still there: the run's tags → alive, dead or unknown.

{"host": "box-1", "pid": "4711", "process_start": "1764075600.12", "pulse": "{...}"} → Life.alive
"""

import socket
from collections.abc import Mapping
from enum import Enum

import psutil

from relevance.pulse import pulse

SILENCE = 600.0  # seconds without a pulse after which a run of another host is dead
SAME = 2.0  # seconds two readings of one process's start may differ by: they follow corrections of the clock


class Life(Enum):
    alive = "alive"
    dead = "dead"
    unknown = "unknown"


def life(tags: Mapping[str, str], now: float) -> Life:
    """On this host the process is asked for; of another host the pulse decides, and without one nobody can know."""
    if tags.get("host") == socket.gethostname():
        return _process(tags)
    if not tags.get("host") or pulse(tags) is None:
        return Life.unknown
    return Life.dead if now - last_sign(tags) > SILENCE else Life.alive


def last_sign(tags: Mapping[str, str]) -> float:
    """When the run last showed a sign of life, in unix seconds; 0 where it never did."""
    beat = pulse(tags)
    return max(beat.at if beat else 0.0, taken_up(tags))  # a run that goes on has its former pulse for a moment


def taken_up(tags: Mapping[str, str]) -> float:
    """When a process last took the run up, in unix seconds; 0 where that is not known."""
    touched = tags.get("touched", "")
    return int(touched) / 1e9 if touched.isdecimal() else 0.0


def _process(tags: Mapping[str, str]) -> Life:
    try:
        pid, start = int(tags["pid"]), float(tags["process_start"])
        process = psutil.Process(pid)
        same = abs(process.create_time() - start) <= SAME  # a pid may be taken again by another
        return Life.alive if same and process.status() != psutil.STATUS_ZOMBIE else Life.dead
    except psutil.NoSuchProcess:
        return Life.dead
    except (KeyError, ValueError, psutil.Error):
        return Life.unknown
