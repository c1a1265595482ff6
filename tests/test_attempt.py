"""One attempt at a cell: what befalls it before its record is open and after it is closed."""

import os
import signal
import threading

import pytest
from filelock import FileLock

from relevance.attempt import attempt
from relevance.identity import Cell, Request
from relevance.job import Job
from relevance.launch.stopping import stoppable
from relevance.resolve import prepared, resolve


@pytest.fixture
def cell(place) -> Cell:
    config = place()
    (found,), _ = resolve([Request(config, config)], prepared([config]))
    found.folder.parent.mkdir(parents=True)
    return found


def test_a_stop_is_ctrl_c_to_the_caller_also_while_another_process_is_waited_for(cell):
    with FileLock(cell.folder.with_suffix(".lock")), stoppable(), pytest.raises(KeyboardInterrupt):
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
        attempt(Job(cell, "", "[1/1]"))
