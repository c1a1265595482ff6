"""Processes and signals: how one ended, one that ends with its parent, a lock that a group holds, SIGTERM in order.

SIGHUP, of a terminal that is closed, ends as SIGTERM does, but where nohup has it ignored.

python -m relevance.train.processes PARENT FOLDER: torchrun, in a process that ends with PARENT.
FOLDER/job.json, FOLDER/torchrun.json (its arguments) → FOLDER/failed.json, {"1": -9}: rank → exit code, where some did
"""

import fcntl
import json
import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from relevance.errors import Stopped

SIGNALS = {number.value: number.name for number in signal.Signals}  # those of real time have no names
PARENT_POLL, GRACE = 0.5, 5.0  # seconds between two looks for the parent, and between SIGTERM and SIGKILL
SIGN = "alive"  # the file that is locked
SIGN_POLL = 0.05  # seconds between two tries to lock it
STOPPING = threading.Event()  # this process is to end: whatever exception that takes, the cell has not failed


def exit_reason(code: int) -> str:
    """What an exit code says, as subprocess gives it: below zero, the number of a signal."""
    if code >= 0:
        return f"ended with code {code}"
    hint = " (out of memory? the system's log tells)" if code == -signal.SIGKILL else ""
    return f"was killed by {SIGNALS.get(-code, f'signal {-code}')}{hint}"


def die_with_parent(parent: int) -> None:
    """From now on, once `parent` is not this process's parent: SIGTERM to itself, and SIGKILL after GRACE seconds.

    The caller names the parent, since one that is gone already cannot be asked for any more.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_POLL)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE)  # a main thread that waits inside a library runs no handler of its own
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="die-with-parent", daemon=True).start()


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


@contextmanager
def stoppable() -> Iterator[None]:
    """Within it the first SIGTERM or SIGHUP raises Stopped; later ones do nothing. In the main thread only."""

    def stop(*_: object) -> None:
        if not STOPPING.is_set():
            STOPPING.set()
            raise Stopped

    if _in_main():
        STOPPING.clear()
    with _handled_by(stop, signal.SIGTERM, signal.SIGHUP):
        yield


@contextmanager
def sigterm_event() -> Iterator[threading.Event]:
    """Within it SIGTERM or SIGHUP sets an event: for calls out of which no exception comes whole."""
    stop = threading.Event()
    with _handled_by(lambda *_: stop.set(), signal.SIGTERM, signal.SIGHUP):
        yield stop


@contextmanager
def signals_ignored() -> Iterator[None]:
    """Within it Ctrl-C, SIGTERM and SIGHUP do nothing: the first signal ends everything in order."""
    with _handled_by(signal.SIG_IGN, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        yield


@contextmanager
def restored_handlers(*signals: signal.Signals) -> Iterator[None]:
    """After it the signals have the handlers of before, whatever was set within."""
    before = {number: signal.getsignal(number) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            if _in_main():
                signal.signal(number, handler)


@contextmanager
def _handled_by(handler: Callable | signal.Handlers, *signals: signal.Signals) -> Iterator[None]:
    """Within it `handler` handles the signals; does nothing in a thread that gets none."""
    with restored_handlers(*signals):
        for number in signals:
            if _in_main() and (number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN):
                signal.signal(number, handler)
        yield


def _in_main() -> bool:
    return threading.current_thread() is threading.main_thread()


def run_ranks(parent: int, folder: Path) -> None:
    die_with_parent(parent)
    hold_sign(folder)
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    logging.disable(logging.CRITICAL)  # the process that waits for this one prints the reason
    os.environ["RELEVANCE_PARENT"] = str(os.getpid())
    try:
        run(parse_args(json.loads((folder / "torchrun.json").read_text())))
    except ChildFailedError as error:
        codes = {rank: failure.exitcode for rank, failure in error.failures.items()}
        (folder / "failed.json").write_text(json.dumps(codes))
        raise SystemExit(1) from None
    except SignalException as stop:  # the ranks are ended by now
        if os.getppid() != parent:
            shutil.rmtree(folder, ignore_errors=True)  # nobody else will
        raise SystemExit(128 + stop.sigval) from None


if __name__ == "__main__":
    run_ranks(int(sys.argv[1]), Path(sys.argv[2]))
