"""The line above and the line below the table, and whether there is something to wait for."""

from dataclasses import replace

import pytest
from standings import COMMAND, NOW, cell, finished, run, running, standing, sweep, waiting

from relevance.status import table
from relevance.status.table import Row, State, counted, moving, row, summary, time_left, title

FAILED = cell("bad", "FAILED"), run("FAILED", reason="boom")


def rows(of) -> list[Row]:
    return [row(one, NOW) for one in of.cells]


def test_the_last_line_counts_and_says_how_long():
    of = standing(finished("a"), finished("b", 120), finished("c"), running(seconds_left=65.0), FAILED, waiting())
    told = "6 cells: 3 finished, 1 running, 1 failed, 1 waiting; about 2 min left (from 3 finished cells)"
    assert summary(rows(of), of, NOW) == told


def test_cells_that_wait_are_shared_by_those_that_run():
    done, wait = Row("a", State.finished, seconds=60.0), Row("b", State.waiting)
    busy = Row("c", State.running, left=30.0)
    assert time_left([done, *[wait] * 4, busy])[0] == 30 + 4 * 60
    assert time_left([done, *[wait] * 4, busy, busy])[0] == 30 + 2 * 60
    assert time_left([done, *[wait] * 4])[0] == 4 * 60


def test_a_running_cell_that_does_not_say_is_taken_for_a_common_one():
    done = [Row("a", State.finished, seconds=60.0), Row("b", State.finished, seconds=100.0)]
    assert time_left([*done, Row("c", State.running, seconds=30.0)]) == (50.0, "from 2 finished cells")
    assert time_left([*done, Row("c", State.running, seconds=300.0)])[0] == 0


def test_the_slowest_running_cell_is_waited_for():
    assert time_left([Row("a", State.running, left=500.0), Row("b", State.running, left=1.0)]) == (
        500.0,
        "as last told",
    )


@pytest.mark.parametrize(
    "known", [[Row("a", State.waiting)], [Row("a", State.running, seconds=9.0)], [Row("a", State.finished)], []]
)
def test_no_time_is_made_up(known):
    assert time_left(known) is None or time_left(known)[0] == 0


def test_where_nothing_runs_it_the_command_is_given():
    of = standing(finished(), FAILED, waiting(), driver=sweep("KILLED"))
    told = f"3 cells: 1 finished, 1 failed, 1 waiting; nothing runs it now, the same command goes on: {COMMAND}"
    assert summary(rows(of), of, NOW) == told
    assert title(of, NOW) == "sweep nightly"


def test_what_is_done_is_counted_alone():
    of = standing(finished(), (cell("x", "REFUSED", "no"), None), driver=sweep("FINISHED"))
    assert summary(rows(of), of, NOW) == "2 cells: 1 finished, 1 refused"


def test_the_title_says_which_process_runs_it():
    assert title(standing(waiting()), NOW) == "sweep nightly, run by process 7 on box-1"


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (standing(waiting()), True),
        (standing(waiting(), driver=sweep("KILLED")), False),
        (standing(waiting(), driver=sweep(ago=5000, pulse={"at": 700})), False),
        (standing(running(), driver=sweep("KILLED")), True),
        (standing(finished(), FAILED), False),
    ],
)
def test_it_moves_while_a_cell_runs_or_waits_for_a_process(of, expected):
    assert moving(rows(of), of, NOW) is expected


@pytest.mark.parametrize(
    ("flags", "precision", "host", "expected"),
    [
        ({"avx2", "avx512_bf16"}, "32-true", "here", "(avx512_bf16)"),
        ({"amx_bf16", "avx512_bf16"}, "32-true", "here", "(amx_bf16)"),
        ({"avx2"}, "32-true", "here", ""),
        ({"avx512_bf16"}, "bf16-mixed", "here", ""),
        ({"avx512_bf16"}, "32-true", "box-1", ""),
    ],
)
def test_cells_in_float32_on_a_processor_that_is_faster_in_bfloat16_are_told(
    monkeypatch, flags, precision, host, expected
):
    monkeypatch.setattr(table, "flags", lambda: frozenset(flags))
    monkeypatch.setattr("socket.gethostname", lambda: "here")
    done = replace(finished()[0], precision=precision), run("FINISHED", host=host)
    told = table.hint(standing(done, waiting()))
    assert told.endswith(expected)
    assert told.startswith("; trainer.precision=bf16-mixed trains about twice as fast") == bool(expected)


def test_flags_are_those_of_the_first_processor_or_none(tmp_path, monkeypatch):
    monkeypatch.setattr(table, "CPUINFO", tmp_path / "cpuinfo")
    assert table.flags.__wrapped__() == frozenset()
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nflags\t\t: fpu avx512_bf16\n\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert {"fpu", "avx512_bf16"} <= table.flags.__wrapped__()


def test_no_cells_are_counted_too():
    assert counted([]) == "0 cells"
    assert counted([Row("a", State.dead)]) == "1 cell: 1 dead"
