"""How a process ended: its exit code → words.

-9 → "was killed by SIGKILL (out of memory? the system's log tells)"    3 → "ended with code 3"

A process that ends with the one that started it: no `kill -9` of a parent leaves a child at work.

die_with_parent(parent=4711) → a thread that looks twice a second whether 4711 still is the parent

A lock that every process of a group holds while it lives, whatever it dies of: who waits for it waits for all.

SIGTERM as an exception, raised wherever the main thread is: what is under way ends in order and at once.
"""

import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from relevance.errors import Stopped

SIGNALS = {one.value: one.name for one in signal.Signals}  # those of real time have no names


def exit_reason(code: int) -> str:
    """What an exit code says, as subprocess gives it: below zero, the number of a signal."""
    if code >= 0:
        return f"ended with code {code}"
    hint = " (out of memory? the system's log tells)" if code == -signal.SIGKILL else ""
    return f"was killed by {SIGNALS.get(-code, f'signal {-code}')}{hint}"


PARENT_POLL, GRACE = 0.5, 5.0  # seconds between two looks, and between SIGTERM and SIGKILL


def die_with_parent(parent: int) -> None:
    """From now on, once `parent` is not this process's parent: SIGTERM to itself, and SIGKILL after GRACE seconds.

    The caller names the parent, since one that is gone already cannot be asked for any more.
    """
    threading.Thread(target=_watch, args=(parent,), name="die-with-parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_POLL)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)  # a main thread that waits inside a library runs no handler of its own
    os.kill(os.getpid(), signal.SIGKILL)


SIGN = "alive"
SIGN_POLL = 0.05  # seconds between two looks


def hold_sign(folder: Path) -> None:
    """A sign of life in `folder`, or where its link leads, until this process ends; the system takes it back."""
    fcntl.flock(os.open(folder / SIGN, os.O_CREAT | os.O_RDONLY), fcntl.LOCK_SH)


def wait_for_exit(sign: Path, seconds: float) -> bool:
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
                time.sleep(SIGN_POLL)
    finally:
        os.close(file)


ASKED = threading.Event()  # this process is to end: whatever exception that takes, the cell has not failed


@contextmanager
def stoppable() -> Iterator[None]:
    """Within it the first SIGTERM raises Stopped; those that follow are not heard. Of the main thread only."""

    def stop(*_: object) -> None:
        if not ASKED.is_set():
            ASKED.set()
            raise Stopped

    if _in_main():
        ASKED.clear()
    with _heard_by(stop, signal.SIGTERM):
        yield


@contextmanager
def noted() -> Iterator[threading.Event]:
    """Within it SIGTERM sets the event that is given: for calls out of which no exception comes whole."""
    asked = threading.Event()
    with _heard_by(lambda *_: asked.set(), signal.SIGTERM):
        yield asked


@contextmanager
def unheard() -> Iterator[None]:
    """Within it neither Ctrl-C nor SIGTERM is heard: the one that was ends everything in order."""
    with _heard_by(signal.SIG_IGN, signal.SIGINT, signal.SIGTERM):
        yield


@contextmanager
def ours(*signals: signal.Signals) -> Iterator[None]:
    """After it the signals are heard as before, whatever was set within."""
    before = {one: signal.getsignal(one) for one in signals}
    try:
        yield
    finally:
        for one, handler in before.items():
            if _in_main():
                signal.signal(one, handler)


@contextmanager
def _heard_by(handler: Callable | signal.Handlers, *signals: signal.Signals) -> Iterator[None]:
    """Within it `handler` hears the signals; nothing is changed in a thread that can hear none."""
    with ours(*signals):
        for one in signals:
            if _in_main():
                signal.signal(one, handler)
        yield


def _in_main() -> bool:
    return threading.current_thread() is threading.main_thread()
