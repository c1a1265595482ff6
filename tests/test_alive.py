"""Who is still there: by its process on this host, by its pulse on another."""

import json
import socket
import subprocess
import sys

import psutil
import pytest

from relevance.tracking.liveness import SILENCE, Life, Pulse, last_sign, life, pulse

NOW = 1_764_000_000.0


def held(pid: int, start: float) -> dict[str, str]:
    return {"host": socket.gethostname(), "pid": str(pid), "process_start": f"{start:.2f}"}


def elsewhere(seconds_ago: float | None, **tags: str) -> dict[str, str]:
    told = {} if seconds_ago is None else {"pulse": json.dumps({"at": NOW - seconds_ago})}
    return {"host": "another-host", "pid": "1", "process_start": "1.00", **told, **tags}


def test_a_process_of_this_host_is_asked_for():
    me = psutil.Process()
    assert life(held(me.pid, me.create_time()), NOW) is Life.alive
    assert life(held(me.pid, me.create_time() + 1), NOW) is Life.alive  # the clock was corrected
    assert life(held(me.pid, me.create_time() - 60), NOW) is Life.dead  # its pid was taken again


def test_a_process_that_ended_is_dead_even_while_nobody_has_waited_for_it():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    tags = held(process.pid, psutil.Process(process.pid).create_time())
    assert life(tags, NOW) is Life.alive
    process.kill()
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    assert life(tags, NOW) is Life.dead
    process.stdin.close()
    process.wait()
    assert life(tags, NOW) is Life.dead


def test_on_this_host_an_old_pulse_does_not_kill():
    me = psutil.Process()
    tags = {**held(me.pid, me.create_time()), "pulse": json.dumps({"at": NOW - 10 * SILENCE})}
    assert life(tags, NOW) is Life.alive


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (elsewhere(5), Life.alive),
        (elsewhere(-30), Life.alive),  # its clock is ahead of ours
        (elsewhere(SILENCE - 1), Life.alive),
        (elsewhere(SILENCE + 1), Life.dead),
        (elsewhere(None), Life.unknown),
        (elsewhere(None, pulse="{torn"), Life.unknown),
        (elsewhere(SILENCE + 1, touched=f"{int((NOW - 3) * 1e9)}"), Life.alive),  # gone on with, first pulse to come
        ({}, Life.unknown),
        ({"pulse": json.dumps({"at": NOW})}, Life.unknown),
    ],
)
def test_elsewhere_the_pulse_decides(tags, expected):
    assert life(tags, NOW) is expected


def test_tags_that_say_nothing_of_a_process_leave_it_unknown():
    tags = held(1, 1.0)
    assert life({"host": tags["host"]}, NOW) is Life.unknown
    assert life({**tags, "pid": "x"}, NOW) is Life.unknown


def test_the_last_sign_is_the_pulse_or_that_it_was_taken_up():
    assert last_sign(elsewhere(5)) == NOW - 5
    assert last_sign(elsewhere(500, touched=f"{int((NOW - 3) * 1e9)}")) == pytest.approx(NOW - 3)
    assert last_sign({}) == 0


@pytest.mark.parametrize("told", ["", "{torn", "[]", "3", "null", "{}", '{"at": "noon"}', '{"at": NaN}'])
def test_a_pulse_that_cannot_be_read_is_none(told):
    assert pulse({"pulse": told}) is None


def test_a_pulse_leaves_open_what_it_does_not_say():
    told = json.dumps({"at": NOW, "step": 3, "epoch": None, "rows_per_second": "many", "seconds_left": float("inf")})
    assert pulse({"pulse": told}) == Pulse(at=NOW, step=3.0)
