"""A process that ends with the one that started it: no `kill -9` of a parent leaves a child at work.

die_with_parent(parent=4711) → a thread that looks twice a second whether 4711 still is the parent
"""

import os
import signal
import threading
import time

EVERY, GRACE = 0.5, 5.0  # seconds between two looks, and between SIGTERM and SIGKILL


def die_with_parent(parent: int) -> None:
    """From now on, once `parent` is not this process's parent: SIGTERM to itself, and SIGKILL after GRACE seconds.

    The caller names the parent, since one that is gone already cannot be asked for any more.
    """
    threading.Thread(target=_watch, args=(parent,), name="die-with-parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(EVERY)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)  # a main thread that waits inside a library runs no handler of its own
    os.kill(os.getpid(), signal.SIGKILL)
