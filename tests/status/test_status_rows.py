"""What the table says of each cell: its state, and the numbers and words that belong to it."""

from dataclasses import replace
from datetime import datetime

import pytest
from standings import NOW, cell, finished, run, running, standing, sweep, waiting

from relevance.status.table import Row, State, row


def shown(one, driver=None, now: float = NOW) -> Row:
    return row(standing(one, driver=driver).cells[0], now)


def test_a_running_cell_says_where_it_runs_and_how_far_it_is():
    one = running(epoch=2, epochs=3, rows_per_second=900.4, seconds_left=35.0)
    assert shown(one) == Row("runs", State.running, "box-1", "4711", "2/3", 900.4, left=30.0, seconds=100.0)


def test_time_left_does_not_fall_below_nothing():
    assert shown(running(seconds_left=3.0)).left == 0


def test_a_running_cell_that_said_nothing_yet_has_no_numbers():
    found = shown((cell("x", "RUNNING"), run("RUNNING", host="box-1", pulse={"at": 5})))
    assert (found.epoch, found.rate, found.left, found.note) == ("", None, None, "")


def test_the_pulse_of_an_earlier_attempt_counts_for_nothing():
    found = shown((cell("x", "RUNNING"), run("RUNNING", ago=10, pulse={"at": 3000, "epoch": 3, "epochs": 3})))
    assert (found.state, found.epoch, found.seconds) == (State.running, "", 10.0)


def test_a_running_cell_of_which_nobody_can_know_says_since_when():
    found = shown((cell("x", "RUNNING"), run("RUNNING", ago=7200)))
    assert found.state is State.running
    assert found.note == f"no sign since {datetime.fromtimestamp(NOW - 7200):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(("ago", "told"), [(20, False), (120, True)])
def test_a_running_cell_that_is_silent_for_a_minute_says_so(ago, told):
    found = shown((cell("x", "RUNNING"), run("RUNNING", ago=500, pulse={"at": ago})))
    assert found.state is State.running
    assert found.note.startswith("no sign since") is told


def test_a_run_that_nobody_runs_is_dead():
    found = shown((cell("x", "RUNNING"), run("RUNNING", ago=5000, pulse={"at": 700})), sweep("KILLED"))
    assert found.state is State.dead
    assert found.host == "box-1"
    assert "process 4711 is gone, last sign " in found.note


def test_a_finished_cell_shows_its_pace_and_accuracy():
    assert shown(finished()) == Row("done", State.finished, rate=987.4, macro=0.8123, seconds=60.0)


@pytest.mark.parametrize(("status", "state"), [("FAILED", State.failed), ("KILLED", State.killed)])
def test_a_cell_that_ended_badly_says_why(status, state):
    found = shown((cell("x", status), run(status, reason="RuntimeError: boom")))
    assert (found.state, found.note, found.host) == (state, "RuntimeError: boom", "box-1")


def test_a_cell_nobody_has_tried_waits():
    assert shown(waiting()) == Row("waits", State.waiting)


@pytest.mark.parametrize(
    ("newest", "note"),
    [
        (run("FAILED", ago=900, reason="boom"), "failed before: boom"),
        (run("KILLED", ago=900), "killed before"),
        (run("RUNNING", ago=9000, pulse={"at": 8000}), "dead before: process 4711 is gone"),
    ],
)
def test_asked_again_a_cell_waits_for_its_turn_and_says_what_was(newest, note):
    one = cell("x", newest.status), newest
    again = shown(one, sweep(ago=50))
    assert again.state is State.waiting
    assert again.note.startswith(note)
    assert shown(one, sweep(ago=50, pulse={"at": 700}, touched="")).state is not State.waiting  # that process died too
    assert shown(one, sweep("KILLED", ago=50)).state is not State.waiting


def test_a_cell_that_failed_in_this_sweep_does_not_wait():
    assert shown((cell("x", "FAILED"), run("FAILED", ago=40)), sweep(ago=50)).state is State.failed


def test_a_cell_whose_process_is_gone_waits_while_its_sweep_can_try_it_again():
    one = cell("x", "RUNNING"), run("RUNNING", ago=9000, pulse={"at": 8000})
    found = shown(one, sweep(ago=9500))
    assert found.state is State.waiting
    assert found.note.endswith("its sweep goes on with it")
    assert shown(one, sweep("KILLED", ago=9500)).state is State.dead


def test_of_two_sweeps_the_one_that_runs_and_asks_for_the_cell_decides():
    stopped, other = sweep("KILLED"), sweep(ago=50)
    both = standing((cell("x", "FAILED"), run("FAILED", ago=900)), driver=stopped)
    assert row(both.cells[0], NOW).state is State.failed
    assert row(replace(both.cells[0], sweeps=(stopped, other)), NOW).state is State.waiting


def test_predictions_that_are_gone_are_missing_until_the_sweep_is_asked_again():
    one = cell("x", "MISSING", "its predictions are gone"), run("FINISHED", ago=900)
    assert shown(one, sweep("FINISHED")) == Row("x", State.missing, "box-1", note="its predictions are gone")
    assert shown(one, sweep(ago=50)) == Row("x", State.waiting, note="its predictions are gone")


def test_a_refused_cell_says_why():
    one = cell("x", "REFUSED", "routing=mh has one task"), None
    assert shown(one) == Row("x", State.refused, note="routing=mh has one task")


def test_trained_anew_a_finished_cell_runs_and_is_finished_still_where_that_fails():
    done = finished()[0]
    assert shown((done, run("RUNNING", pulse={"at": 5}))).state is State.running
    assert shown((done, run("RUNNING", ago=5000, pulse={"at": 700}))).state is State.finished
    assert shown((done, run("FAILED"))).state is State.finished
