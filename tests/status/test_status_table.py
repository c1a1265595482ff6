"""The table at terminals of all sizes and in a pipe; names and reasons of any kind are shown as they are."""

import io

import pytest
from rich.console import Console

from relevance.status.table import STYLES, Row, State, fitted, page, plain, text

ROWS = [
    Row("ce-prefix-joint-s0", State.finished, rate=987.4, macro=0.8123),
    Row("ce-mh-joint-s0", State.running, "box-1", "4711", "2/3", 900.0, left=240.0),
    Row(
        "llm-mhp[private.kind=lora,private.layers=3]-joint-s0", State.failed, "box-1", note="RuntimeError:" + " @" * 60
    ),
    Row("ce-mhp-joint-s0", State.waiting),
]
NASTY = "[red]<script>\n\x1b[31m\x9b2J\u202e" + "y" * 300 + "[/red]"


def terminal(width: int = 80, height: int = 24) -> Console:
    return Console(
        file=io.StringIO(), width=width, height=height, force_terminal=True, color_system="standard", _environ={}
    )


def printed(rows: list[Row], console: Console, of=page) -> str:
    console.print(of(rows, "sweep nightly", "4 cells", console))
    return console.file.getvalue()


def bare(rows: list[Row], width: int = 80, height: int = 24, of=page) -> list[str]:
    """The lines at a terminal of that size, without colours."""
    return printed(rows, Console(file=io.StringIO(), width=width, height=height), of).splitlines()


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal_and_no_letter_is_lost(width):
    lines = bare(ROWS, width)
    assert max(map(len, lines)) <= width
    assert "".join(lines).count("@") == 60
    assert "4 min" in "".join(lines)
    names = {name for name in ("ce-mh-joint-s0", "ce-mhp-joint-s0") if any(line.startswith(name) for line in lines)}
    assert len(names) == 2


def test_a_narrow_terminal_shows_less_rather_than_nothing_of_the_names():
    assert bare(ROWS, 40)[1].split() == ["cell", "state", "left"]


def test_at_eighty_columns_the_reason_stands_below_the_table():
    lines = bare(ROWS)
    assert lines[0].rstrip() == "sweep nightly"
    assert lines[1].split() == ["cell", "state", "host", "pid", "epoch", "rows/s", "left", "macro"]
    assert any(line.startswith("ce-mh-joint-s0 ") and "running" in line for line in lines)
    assert any(line.startswith(f"{ROWS[2].cell}: RuntimeError") for line in lines)
    assert lines[-1].rstrip() == "4 cells"


def test_where_there_is_room_it_stands_in_the_table():
    assert bare(ROWS, 200)[1].split()[-1] == "note"


def test_a_long_host_is_folded_before_the_names_of_cells_are():
    name, host = "llm-prefix_mhp[seed_rows=1]-joint-s0", "ip-10-0-12-3.eu-central-1.compute.internal"
    lines = bare([Row(name, State.running, host, "4711", "2/3")])
    assert any(line.startswith(f"{name} ") for line in lines)
    assert len(lines) > 4


def test_columns_that_would_be_empty_are_left_out():
    assert bare(ROWS[3:])[1].split() == ["cell", "state"]


def test_a_pipe_gets_a_line_a_cell_uncut_and_without_colours():
    long = Row("ce" + "y" * 300, State.failed, "a" * 90, note="z" * 8000)
    lines = text([*ROWS, long], "sweep nightly", "5 cells").splitlines()
    assert len(lines) == 1 + 1 + 5 + 1
    assert all(one in lines[-2] for one in (long.cell, "failed", long.host, long.note))
    assert "\x1b" not in "".join(lines)
    assert not any(line.endswith(" ") for line in lines)


def test_colours_tell_the_states_apart():
    shown = printed(ROWS, terminal())
    for code, word in ((32, "finished"), (36, "running"), (31, "failed"), (2, "waiting")):
        assert f"\x1b[{code}m{word}" in shown
    assert set(STYLES) == set(State)


def test_a_name_or_reason_does_no_harm():
    row = Row(NASTY, State.failed, host=NASTY, pid=NASTY, note=NASTY)
    console = terminal()
    console.print(page([row], NASTY, NASTY, console))
    shown = console.file.getvalue()
    assert "\x1b[31m\\x9b" not in shown
    assert not {"\x9b", "\u202e"} & set(shown)
    for line in text([row], NASTY, NASTY).splitlines()[2:]:
        assert f"[red]<script>\\n\\x1b[31m\\x9b2J\\u202e{'y' * 300}[/red]" in line


def test_plain_spells_out_what_is_no_letter():
    assert plain("a\tb\r\n\x00\u2028é 商品") == "a\\tb\\r\\n\\x00\\u2028é 商品"
    assert plain("\ud800") == "\\ud800"


def test_a_long_note_takes_a_few_lines_of_a_terminal_at_most():
    lines = bare([Row("x", State.failed, note="z" * 8000)])
    assert len(lines) < 12
    assert "…" in lines[-2]


@pytest.mark.parametrize("height", [8, 12, 24])
def test_a_live_table_fits_the_terminal_and_shows_first_what_matters(height):
    many = [Row(f"done-{index}", State.finished) for index in range(300)] + ROWS
    lines = bare(many, height=height, of=fitted)
    assert len(lines) < height
    assert "running" in "".join(lines)
    assert any(line.startswith("… and 30") for line in lines) or height == 24
    assert lines[-1].rstrip() == "4 cells"


def test_cut_rows_keep_their_order_and_are_counted():
    many = [Row(f"cell-{index:03}", State.running if index % 2 else State.finished) for index in range(60)]
    lines = bare(many, height=24, of=fitted)
    names = [line.split()[0] for line in lines if line.startswith("cell-")]
    assert names == sorted(names)
    assert all(int(name[-3:]) % 2 for name in names)
    hidden = 60 - len(names)
    assert lines[-2].rstrip() == f"… and {hidden} cells: 30 finished, {hidden - 30} running"


def test_a_table_that_fits_is_not_cut():
    assert bare(ROWS, of=fitted) == bare(ROWS)
