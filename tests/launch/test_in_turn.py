"""The default launcher with real processes that stand for workers: warm, dying, stopped, deaf."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from relevance.cell_id import Cell
from relevance.config import Config
from relevance.sweep.launchers import sequential
from relevance.sweep.launchers.sequential import Sequential
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
    with closing(Sequential((sys.executable, "-c", WORKER))) as launch:
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
    monkeypatch.setattr(sequential, "GRACE", 0.5)
    launch = Sequential((sys.executable, "-c", WORKER))
    launch.worker.stdin.write(jobs(name)[0].text() + "\n")
    launch.worker.stdin.flush()
    while not (tmp_path / "started").exists() or not (tmp_path / "started").read_text():
        time.sleep(0.01)
    launch.close()
    assert not psutil.pid_exists(int((tmp_path / "started").read_text()))


def test_a_worker_does_not_outlive_the_sweep_that_was_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("STARTED", str(tmp_path / "started"))
    sweep = os.fork()
    if not sweep:
        launch = Sequential((sys.executable, "-c", WORKER))
        launch.worker.stdin.write(jobs("deaf")[0].text() + "\n")
        launch.worker.stdin.flush()
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
    with subprocess.Popen(sequential.WORKER, stdin=subprocess.PIPE, env=environment) as worker:
        try:
            assert worker.wait(30) < 0  # by a signal
        finally:
            worker.kill()


STOPPED = """
from relevance.sweep import attempt
from relevance.sweep.launchers.sequential import main
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
