"""What the command refuses, sets aside, and leaves as it was."""

import re
import sys
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stand_in import KINDS, Lengths, pairs, saved

from relevance.data.readers import read_table


def test_bad_rows_end_the_command_before_a_model_is_loaded_and_leave_the_output(tmp_path, run, cells):
    table = pairs().set_column(1, "task", pa.array(["q" if k in (3, 40) else "type_type" for k in range(50)]))
    source, output = saved(tmp_path / "in.csv", table), tmp_path / "out.csv"
    source.write_text(source.read_text() + "torn,row\n")
    output.write_text("before")
    _, err, code = run(f"cells={cells[0]}", f"input={source}", f"output={output}", "chunk=8")
    assert code == 2
    assert "3 rows at fault" in err
    for told in ("in.csv row 4: 'q'", "in.csv row 41: 'q'", "in.csv row 51: 2 cells, not 5", "on_bad_row=quarantine"):
        assert told in err
    assert output.read_text() == "before"
    assert Lengths.seen == []


@pytest.mark.parametrize("kind", KINDS)
def test_quarantine_leaves_bad_rows_out_counts_and_lists_them(tmp_path, run, cells, kind):
    table = pairs().set_column(1, "task", pa.array(["=q" if k in (3, 40) else "type_type" for k in range(50)]))
    table = table.set_column(4, "right", pa.array(["" if k == 3 else f"r{k}" for k in range(50)]))
    source, output = saved(tmp_path / f"in.{kind}", table), tmp_path / "out.parquet"
    words = (f"cells={cells[0]}", f"output={output}", "chunk=8")
    _, err, code = run(*words, f"input={source}", "on_bad_row=quarantine")
    assert code == 0
    assert "quarantined: 2 of 50 rows (unknown task 2, right is empty 1)" in err
    kept = [k for k in range(50) if k not in (3, 40)]
    assert pq.read_table(output)["id"].cast(pa.int64()).to_pylist() == kept
    aside = tmp_path / "out.parquet.quarantine.csv"
    listed = read_table(aside, {}).table.to_pylist()
    assert [(row["row"], row["problem"], row["task"], row["right"]) for row in listed] == [
        ("4", "unknown task", "'=q", ""),
        ("4", "right is empty", "'=q", ""),
        ("41", "unknown task", "'=q", "r40"),
    ]
    run(*words, f"input={saved(tmp_path / 'sound.csv', pairs())}")
    assert not aside.exists()


def test_where_every_row_is_bad_quarantine_cannot_help(tmp_path, run, cells):
    source = saved(tmp_path / "in.csv", pairs().set_column(1, "task", pa.array(["q"] * 50)))
    _, err, code = run(f"cells={cells[0]}", f"input={source}", f"output={tmp_path / 'o.csv'}", "on_bad_row=quarantine")
    assert code == 2
    assert "no row is left" in err


def test_an_error_while_scoring_leaves_the_output_and_no_part_of_a_new_one(tmp_path, run, cells, monkeypatch):
    source, output = saved(tmp_path / "in.csv", pairs()), tmp_path / "out.csv"
    run(f"cells={cells[0]}", f"input={saved(tmp_path / 'first.csv', pairs()[:3])}", f"output={output}")
    Lengths.seen.clear()
    before = output.read_text()
    score = Lengths.probabilities

    def failing(self, table, tell):
        assert len(Lengths.seen) < 3, "third chunk"
        return score(self, table, tell)

    monkeypatch.setattr(Lengths, "probabilities", failing)
    with pytest.raises(AssertionError, match="third chunk"):
        run(f"cells={cells[0]}", f"input={source}", f"output={output}", "chunk=8")
    assert output.read_text() == before
    assert not list(tmp_path.glob("*.part"))


def test_a_file_that_changes_between_the_readings_is_an_error(tmp_path, run, cells, monkeypatch):
    source, output = saved(tmp_path / "in.csv", pairs()), tmp_path / "out.csv"

    class Appending(Lengths):
        def __init__(self, *given):
            super().__init__(*given)
            source.write_text(source.read_text() + source.read_text().splitlines()[-1] + "\n")

    monkeypatch.setitem(sys.modules, "relevance.predict.scorer", SimpleNamespace(Scorer=Appending))
    _, err, code = run(f"cells={cells[0]}", f"input={source}", f"output={output}")
    assert (code, output.exists()) == (2, False)
    assert "changed as it was scored (50 rows, then 51)" in err


def test_names_of_the_output_are_refused_in_the_input(tmp_path, run, cells):
    table = pairs().append_column("predicted", pa.array(range(50))).append_column("p_partial", pa.array(range(50)))
    source = saved(tmp_path / "in.csv", table)
    _, err, code = run(f"cells={cells[0]}", f"input={source}", f"output={tmp_path / 'o.csv'}")
    assert code == 2
    assert "column p_partial, predicted is the output's own; rename or drop" in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["input=in.csv", "output=o.csv"], "cells missing; give cells="),
        (["cells=0"], "input and output missing"),
        (["cells=0", "input=in.csv", "output=o.xlsx"], "unknown kind of file '.xlsx'"),
        (["cells=0", "input=absent.csv", "output=o.csv"], "no such file; give input="),
        (["cells=0", "input=in.csv", "output=./in.csv"], "is the input; name another file"),
        (["cells=0", "input=in.csv", "output=o.csv", "chunk=0"], "chunk=0: rows held at a time, 1 or more"),
        (["cells=0", "input=in.csv", "output=o.csv", "columns={lefty: left}"], "lefty is none of our names"),
        (["cells=./9", "input=in.csv", "output=o.csv"], "no such folder"),
        (["cells=.", "input=in.csv", "output=o.csv"], "no model in .*save=all rerun=true"),
        (["cells=0", "input=empty.csv", "output=o.csv"], "holds no rows"),
        (["cells=ab12", "input=in.csv", "output=o.csv"], "tracking_uri=sqlite:///mlflow.db: no such file"),
    ],
)
def test_what_cannot_be_says_why(tmp_path, run, cells, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "in.csv", pairs())
    (tmp_path / "empty.csv").write_text("task,left,right\n")
    _, err, code = run(*words)
    assert code == 2
    assert re.search(told, err)
