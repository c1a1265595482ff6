"""SIGTERM as an exception, raised wherever the main thread is: what is under way ends in order and at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from relevance.errors import Stopped

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
