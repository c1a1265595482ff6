"""SIGTERM as an exception, raised wherever the main thread is: what is under way ends in order and at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from relevance.errors import Stopped

ASKED = threading.Event()  # this process is to end: whatever exception that takes, the cell has not failed


@contextmanager
def stoppable() -> Iterator[None]:
    """Within it the first SIGTERM raises Stopped; those that follow are not heard. Of the main thread only."""
    heard = False

    def stop(number: int, frame: object) -> None:
        nonlocal heard
        if not heard:
            heard = True
            ASKED.set()
            raise Stopped

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ASKED.clear()
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def noted() -> Iterator[threading.Event]:
    """Within it SIGTERM sets the event that is given: for calls out of which no exception comes whole."""
    asked = threading.Event()
    with ours():
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: asked.set())
        yield asked


@contextmanager
def ours() -> Iterator[None]:
    """After it SIGTERM is heard as before, whatever a library has set within."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


@contextmanager
def unheard() -> Iterator[None]:
    """Within it neither Ctrl-C nor SIGTERM is heard: the one that was ends everything in order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    both = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(one, signal.SIG_IGN) for one in both]
    try:
        yield
    finally:
        for one, handler in zip(both, before, strict=True):
            signal.signal(one, handler)
