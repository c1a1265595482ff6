"""Ctrl-C at any time is a word and 130, a closed terminal ends a sweep as SIGTERM does, accidents show no secret."""

import os
import signal
import subprocess
import sys
import time

import pytest

from relevance.cli import run_command
from relevance.errors import Stopped
from relevance.train.processes import STOPPING, signals_ignored, stoppable


@pytest.mark.parametrize("module", ["run", "report", "status", "predict", "export", "ensemble", "data", "__main__"])
@pytest.mark.parametrize("imported", ["'relevance'", "'relevance.errors'", "'omegaconf'"])
def test_ctrl_c_as_a_command_starts_is_no_traceback(module, imported):
    words = [sys.executable, "-v", "-m", f"relevance.{module}", "run"]  # -v says what it imports
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background were started without
    try:
        process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        next(line for line in process.stderr if line.startswith(f"import {imported} "))
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=300)[1]
    assert "Traceback" not in rest
    assert "interrupted" in rest
    assert process.returncode == 130


def test_a_closed_terminal_stops_a_sweep_in_order():
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup, under which tests may run, leaves it ignored
    try:
        with stoppable(), pytest.raises(Stopped):
            signal.raise_signal(signal.SIGHUP)
    finally:
        STOPPING.clear()  # this process goes on
        signal.signal(signal.SIGHUP, before)
    with signals_ignored():
        os.kill(os.getpid(), signal.SIGHUP)


def test_nohup_is_obeyed():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable():
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.1)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_accident_is_a_traceback_without_a_secret(capsys, monkeypatch):
    def fail():
        raise ValueError("no answer of http://ana:CANARY@host:5000 for hydra.job.env_set.A=CANARY")

    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    with pytest.raises(ValueError, match="no answer") as accident:
        run_command(fail)
    sys.excepthook(accident.type, accident.value, accident.tb)
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "CANARY" not in said


def test_a_sweep_that_cannot_write_is_one_line():
    words = [sys.executable, "-m", "relevance.run", "-m", "routing=mh", "outputs=/proc/no_such"]
    found = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert found.returncode == 2
    assert found.stderr.startswith("error: /proc/no_such")
    assert len(found.stderr.splitlines()) == 1
