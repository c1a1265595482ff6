"""The default launcher with real processes that stand for workers: warm, dying, stopped, deaf."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from relevance.cell_id import Cell
from relevance.config import Config
from relevance.sweep.launchers import local
from relevance.sweep.launchers.local import Local
from relevance.train.job import Job
from relevance.train.processes import exit_reason

# answers each job with its own pid; a cell's name says what else it does
WORKER = """
import json, os, signal, sys, time
from relevance.train.job import Outcome
from relevance.train.processes import die_with_parent
die_with_parent(os.getppid())
for line in sys.stdin:
    name = json.loads(line)["name"]
    if name == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "leaves":
        sys.exit(3)
    if name == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if name in ("deaf", "slow"):
        open(os.environ["STARTED"], "w").write(str(os.getpid()))
        time.sleep(60)
    if name.startswith("meets"):
        place, number = os.environ["MEETING"], int(name.split()[1])
        open(f"{place}/{number}", "w").close()
        while not os.path.exists(f"{place}/{3 - number}"):
            time.sleep(0.01)
    last = name == "last"
    print(Outcome(str(os.getpid()), last=last).text(), flush=True)
    if last:
        time.sleep(0.5)  # it takes no other job, and its end takes a while
        sys.exit(143)
"""


def jobs(*names: str) -> list[Job]:
    cells = [Cell(Config(), "f" * 64, name, "", "", "", Path("rows"), 1) for name in names]
    return [Job(cell, "", f"[{number}] {cell.name}") for number, cell in enumerate(cells, 1)]


def outcomes(*names: str) -> list:
    with closing(Local(1, (sys.executable, "-c", WORKER))) as launch:
        return [outcome for _, outcome in launch(jobs(*names))]


def test_one_process_takes_all_jobs():
    assert len({outcome.line for outcome in outcomes("a", "b", "c")}) == 1


def test_a_worker_that_dies_costs_its_own_job_alone():
    first, second, third, fourth, fifth = outcomes("a", "killed", "b", "leaves", "c")
    assert "was killed by SIGKILL (out of memory?" in second.reason
    assert "ended with code 3" in fourth.reason
    assert (second.died, fourth.died) == (True, True)
    assert len({first.line, third.line, fifth.line}) == 3
    assert not any(outcome.reason for outcome in (first, third, fifth))


def test_a_worker_that_says_it_is_leaving_gets_no_other_job():
    first, second = outcomes("last", "a")
    assert not second.reason
    assert first.line != second.line


@pytest.mark.parametrize("name", ["slow", "deaf"])
def test_close_ends_a_worker_at_its_job_even_a_deaf_one(name, tmp_path, monkeypatch):
    monkeypatch.setenv("STARTED", str(tmp_path / "started"))
    monkeypatch.setattr(local, "GRACE", 0.5)
    launch = Local(1, (sys.executable, "-c", WORKER))
    launch.workers[0].requests.write(jobs(name)[0].text() + "\n")
    launch.workers[0].requests.flush()
    while not (tmp_path / "started").exists() or not (tmp_path / "started").read_text():
        time.sleep(0.01)
    launch.close()
    assert not psutil.pid_exists(int((tmp_path / "started").read_text()))


def test_a_worker_does_not_outlive_the_sweep_that_was_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("STARTED", str(tmp_path / "started"))
    sweep = os.fork()
    if not sweep:
        launch = Local(1, (sys.executable, "-c", WORKER))
        launch.workers[0].requests.write(jobs("deaf")[0].text() + "\n")
        launch.workers[0].requests.flush()
        time.sleep(60)
        os._exit(0)
    while not (tmp_path / "started").exists() or not (tmp_path / "started").read_text():
        time.sleep(0.01)
    os.kill(sweep, signal.SIGKILL)
    os.waitpid(sweep, 0)
    worker = int((tmp_path / "started").read_text())
    end = time.monotonic() + 50  # of the minute that it sleeps
    while psutil.pid_exists(worker) and time.monotonic() < end:
        time.sleep(0.1)
    assert not psutil.pid_exists(worker)


def test_a_worker_whose_sweep_was_gone_before_it_looked_ends_as_well():
    sweep = subprocess.Popen([sys.executable, "-c", ""])
    sweep.wait()
    environment = {**os.environ, "RELEVANCE_PARENT": str(sweep.pid)}
    with subprocess.Popen(local.WORKER, stdin=subprocess.PIPE, env=environment) as worker:
        try:
            assert worker.wait(30) < 0  # by a signal
        finally:
            worker.kill()


STOPPED = """
from relevance.sweep import attempt
from relevance.sweep.launchers.local import main
def stopped(job):
    raise KeyboardInterrupt
attempt.attempt = stopped
main()
"""


def test_a_worker_that_stops_has_nobody_to_tell_where_its_sweep_is_gone():
    pipe, known = subprocess.PIPE, {**os.environ, "RELEVANCE_PARENT": str(os.getpid())}
    command = [sys.executable, "-c", STOPPED]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=known) as worker:
        worker.stdout.close()
        _, said = worker.communicate(jobs("a")[0].text() + "\n", timeout=60)
    assert "Traceback" not in said


def test_what_an_exit_code_says():
    assert exit_reason(3) == "ended with code 3"
    assert exit_reason(-11) == "was killed by SIGSEGV"
    assert exit_reason(-(signal.SIGRTMIN + 1)) == f"was killed by signal {signal.SIGRTMIN + 1}"


def test_two_workers_have_a_cell_each_at_the_same_time(tmp_path, monkeypatch):
    monkeypatch.setenv("MEETING", str(tmp_path))
    with closing(Local(2, (sys.executable, "-c", WORKER))) as launch:
        met = [outcome for _, outcome in launch(jobs("meets 1", "meets 2", "a", "b"))]  # each waits for the other
    assert not any(outcome.reason for outcome in met)
    assert len({outcome.line for outcome in met}) == 2


def test_close_stops_both_and_starts_no_cell_that_waits(tmp_path, monkeypatch):
    monkeypatch.setenv("MEETING", str(tmp_path))
    launch = Local(2, (sys.executable, "-c", WORKER))
    outcomes = launch(jobs("meets 7", "a", "meets 8", "meets 9"))  # a ends; whom the others wait for never comes
    next(outcomes)
    launch.close()
    assert not any(psutil.pid_exists(worker.process.pid) for worker in launch.workers)
    assert not (tmp_path / "9").exists()


def test_as_many_cells_at_once_as_their_threads_have_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8))
    cells = [job.cell for job in jobs("a", "b", "c", "d", "e")]
    threaded = [replace(cell, config=replace(cell.config, threads=3)) for cell in cells]
    with closing(Local(command=(sys.executable, "-c", WORKER))) as launch:
        assert launch.at_once(cells) == 5
        assert launch.at_once(threaded) == 2
        assert launch.at_once(cells[:1]) == 1
        launch.cells = 3
        assert launch.at_once(cells) == 3
