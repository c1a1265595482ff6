"""One attempt at a cell: what befalls it before its record is open and after it is closed."""

import fcntl
import os
import signal
import threading

import pytest
from small_sweep import runs, sweep

from relevance.cell_id import Cell, Request
from relevance.sweep.attempt import attempt, lost
from relevance.sweep.resolve import prepared, resolve
from relevance.tracking import Record
from relevance.train.job import Job
from relevance.train.processes import STOPPING, stoppable


@pytest.fixture
def cell(place) -> Cell:
    config = place()
    (found,), _ = resolve([Request(config, config)], prepared([config]))
    found.folder.parent.mkdir(parents=True, exist_ok=True)
    return found


def test_a_stop_is_ctrl_c_to_the_caller_also_while_another_process_is_waited_for(cell):
    with cell.folder.with_suffix(".lock").open("w") as held, stoppable():
        fcntl.flock(held, fcntl.LOCK_EX)
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
        with pytest.raises(KeyboardInterrupt):
            attempt(Job(cell, "", "[1/1]"))
    STOPPING.clear()  # this process goes on


def test_a_cell_whose_record_cannot_be_begun_fails_alone_and_names_the_place(cell, capsys):
    cell.work.write_text("in the way")
    job = Job(cell, "", "[1/1] a")
    outcome = attempt(job)
    assert outcome.reason.startswith("FileExistsError")
    assert str(cell.work) in outcome.line
    lost(job, "its process was killed")
    assert f"how it ended could not be written ([Errno 17] File exists: '{cell.work}')" in capsys.readouterr().err


def test_a_disk_that_is_full_as_a_cell_begins_is_named(disk):
    (disk / "filler").write_bytes(bytes(2**20 - 4096 * 2))
    record = Record(disk)
    with pytest.raises(OSError, match=rf"No space left on device: '{record.path}'"):
        record.append("start", name="x" * 20_000, tags={}, at=0)
    record.path.unlink()


def test_a_cell_whose_worker_died_after_it_had_finished_is_finished(place):
    config = place()
    sweep(config)
    (found,), _ = resolve([Request(config, config)], prepared([config]))
    lost(Job(found, "", "[1/1]"), "its process was killed")
    assert not found.work.exists()
    assert [run.info.status for run in runs(config)] == ["FINISHED"]


def test_a_record_that_cannot_be_read_fails_its_cell_alone_with_its_place_and_the_remedy(place, capsys):
    config, other = place(), place(seed=1)
    (found,), _ = resolve([Request(config, config)], prepared([config]))
    found.work.mkdir(parents=True)
    (found.work / "record.jsonl").write_text('["start", {}]\nno event\n')
    assert sweep(config, other) == 1
    said = capsys.readouterr().err
    assert f"not delivered: {found.work}/record.jsonl: what ends at byte 23 is no event" in said
    assert f"failed: {found.name}: {found.work}/record.jsonl" in said
    assert {run.data.tags["seed"]: run.info.status for run in runs(config)} == {"1": "FINISHED"}
