"""A process that does not outlive the one that started it, however that one ends."""

import os
import signal
import threading
import time

LOOK = 0.5  # seconds between two looks at the parent
GRACE = 5.0  # seconds for an orderly end


def die_with_parent() -> None:
    """From now on SIGTERM, then SIGKILL, once the process that started this one is gone."""
    threading.Thread(target=_watch, args=(os.getppid(),), name="orphan", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os.kill(os.getpid(), signal.SIGKILL)
