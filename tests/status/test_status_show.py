"""Looking again and again: at a terminal and without one, until nothing moves, and when the store is silent."""

import os
import time
from dataclasses import replace

import pytest
from rich.console import Console
from standings import finished, run, running, standing, sweep, waiting

from relevance.errors import UserError
from relevance.status.show import show


def live(*cells, driver=None):
    """A standing at this very moment."""
    now = time.time()
    return standing(*cells, driver=driver or sweep(now=now))


def busy(name="runs"):
    return running(name)[0], run("RUNNING", now=time.time(), pulse={"at": 1, "seconds_left": 9})


@pytest.fixture
def terminal(monkeypatch, capsys):
    """Standard output as a terminal of 80 columns and 24 lines."""

    def console(**_):
        return Console(force_terminal=True, width=80, height=24, _environ={"TERM": os.environ["TERM"]})

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("relevance.status.show.Console", console)
    return capsys


def looking(*standings):
    """A look for each standing; a UserError among them is raised, and too many looks are an error."""
    left = list(standings)

    def look():
        found = left.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    look.left = left
    return look


def test_a_pipe_gets_one_table(capsys):
    show(looking(live(busy(), waiting())), None, 0.0)
    shown = capsys.readouterr().out
    assert shown.startswith("sweep nightly")
    assert shown.endswith("1 waiting\n")
    assert "\x1b" not in shown


def test_at_a_terminal_it_is_live_until_nothing_moves(terminal):
    look = looking(live(busy(), waiting()), live(finished("runs"), busy("waits")), live(finished(), finished("waits")))
    show(look, None, 0.0)
    assert look.left == []
    shown = terminal.readouterr().out
    assert "\x1b[?25l" in shown  # the cursor is hidden,
    assert "\x1b[?25h" in shown  # and comes back
    assert "running" in shown
    last = shown.partition("\x1b[?25h")[2]
    assert last.startswith("\r\x1b[1A\x1b[2K")  # what was live is wiped away,
    assert "running" not in last  # and the last table stands alone
    assert shown.rstrip().endswith("2 cells: 2 finished")


def test_at_a_terminal_there_is_one_table_where_nothing_moves_or_one_look_was_asked_for(terminal):
    show(looking(live(finished(), waiting(), driver=sweep("KILLED"))), None, 0.0)
    show(looking(live(busy())), False, 0.0)
    assert "\x1b[?25l" not in terminal.readouterr().out


def test_watched_in_a_pipe_a_table_comes_for_each_change(capsys):
    first = live(busy(), waiting())
    show(looking(first, first, live(finished("runs"), waiting()), live(finished("runs"), finished("waits"))), True, 0.0)
    tables = capsys.readouterr().out.split("sweep nightly")[1:]
    assert [table.strip().splitlines()[-1].partition(";")[0] for table in tables] == [
        "2 cells: 1 running, 1 waiting",
        "2 cells: 1 finished, 1 waiting",
        "2 cells: 2 finished",
    ]


def test_watched_it_waits_for_a_sweep_that_nothing_runs_yet(capsys):
    show(looking(live(waiting(), driver=sweep("KILLED")), live(finished())), True, 0.0)
    assert capsys.readouterr().out.rstrip().endswith("1 cell: 1 finished")


def test_a_store_that_does_not_answer_for_once_is_told_and_asked_again(terminal):
    show(looking(live(busy()), UserError("database is locked"), live(finished())), None, 0.0)
    shown = terminal.readouterr().out
    assert "no news since" in shown
    assert "database is locked" in " ".join(shown.split())
    assert "no news" not in shown.partition("\x1b[?25h")[2]


def test_a_store_that_does_not_answer_at_first_is_an_error():
    with pytest.raises(UserError, match="locked"):
        show(looking(UserError("database is locked")), None, 0.0)


def test_ctrl_c_leaves_the_last_table_and_ends_with_its_code(terminal):
    def again():
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        return live(busy("llm-mh-joint-s0"))

    calls = []
    with pytest.raises(SystemExit) as end:
        show(again, None, 0.0)
    assert end.value.code == 130
    shown, said = terminal.readouterr()
    assert "llm-mh-joint-s0" in shown.partition("\x1b[?25h")[2]
    assert said == ""


def test_a_dumb_terminal_gets_a_plain_table(terminal, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    show(looking(replace(live(busy()), name="a")), None, 0.0)
    assert "\x1b" not in terminal.readouterr().out
