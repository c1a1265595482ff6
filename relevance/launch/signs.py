"""A lock that every process of a group holds while it lives, whatever it dies of: who waits for it waits for all."""

import fcntl
import os
import time
from pathlib import Path

SIGN = "alive"
EVERY = 0.05  # seconds between two looks


def hold(folder: Path) -> None:
    """A sign of life in `folder`, or where its link leads, until this process ends; the system takes it back."""
    fcntl.flock(os.open(folder / SIGN, os.O_CREAT | os.O_RDONLY), fcntl.LOCK_SH)


def gone(sign: Path, seconds: float) -> bool:
    """Wait until no process shows a sign of life any more; False where one still does after `seconds`."""
    if not sign.exists():
        return True
    end = time.monotonic() + seconds
    file = os.open(sign, os.O_RDONLY)
    try:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if time.monotonic() > end:
                    return False
                time.sleep(EVERY)
    finally:
        os.close(file)
