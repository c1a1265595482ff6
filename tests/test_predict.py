"""The command around the models: files, faults, votes and what it says; the model is a stand-in that reads lengths."""

import json
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from relevance.commands import main
from relevance.config import Config, Mix, MixConfig
from relevance.data import readers
from relevance.predict import predict

KINDS = ("parquet", "csv", "tsv", "jsonl")
P = ("p_irrelevant", "p_partial", "p_relevant")


class Lengths:
    """Label: length of the left text + a shift from the folder's name, modulo 3; certain of it with 0.6."""

    seen: list[int]
    config = Config()

    def __init__(self, folder, device):
        self.shift = int(folder.name)

    def probabilities(self, table, tell):
        Lengths.seen.append(len(table))
        tell(len(table))
        return np.where(np.eye(3)[expected(table, self.shift)] > 0, 0.6, 0.2).astype(np.float32)


def expected(table, shift=0):
    return (pc.utf8_length(table["left"]).to_numpy() + shift) % 3


@pytest.fixture
def cells(tmp_path, monkeypatch):
    """Three model folders for the stand-in."""
    monkeypatch.setitem(sys.modules, "relevance.scorer", SimpleNamespace(Scorer=Lengths))
    monkeypatch.setattr(Lengths, "seen", [], raising=False)
    monkeypatch.setattr(Lengths, "config", Config())
    for shift in range(3):
        (tmp_path / f"{shift}").mkdir()
        (tmp_path / f"{shift}" / "template.json").touch()
    return [str(tmp_path / f"{shift}") for shift in range(3)]


def pairs(n=50):
    tasks = ["query_item", "type_type", "item_type"]
    return pa.table(
        {
            "id": [f"{k}" for k in range(n)],
            "task": [tasks[k % 3] for k in range(n)],
            "left": ["x" * (k % 7 + 1) for k in range(n)],
            "label": pa.array([k % 3 for k in range(n)], pa.int8()),
            "right": [f"right {k}, é" for k in range(n)],
        }
    )


def saved(path, table):
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=20)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    else:
        delimiter = "\t" if path.suffix == ".tsv" else ","
        pa.csv.write_csv(table, path, pa.csv.WriteOptions(delimiter=delimiter))
    return path


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command on these words; its stdout, stderr and exit code."""

    def running(*words):
        monkeypatch.setattr(sys, "argv", ["predict", *map(str, words)])
        code = 0
        try:
            main(predict)
        except SystemExit as end:
            code = end.code
        return (*capsys.readouterr(), code)

    return running


@pytest.mark.parametrize("written", KINDS)
@pytest.mark.parametrize("given", KINDS)
def test_every_kind_of_file_gives_the_same_output(tmp_path, run, cells, given, written):
    source, output = saved(tmp_path / f"in.{given}", pairs()), tmp_path / f"out.{written}"
    _, _, code = run(f"cells={cells[0]}", f"input={source}", f"output={output}", "chunk=8")
    assert code == 0
    found = readers.read(output, {}).table
    assert found.column_names == [*pairs().column_names, *P, "predicted"]
    assert found["predicted"].cast(pa.int64()).to_pylist() == expected(pairs()).tolist()
    assert found["p_partial"].cast(pa.float32())[0].as_py() == pytest.approx(0.6)
    for name in pairs().column_names:
        assert found[name].cast(pairs().schema.field(name).type).to_pylist() == pairs()[name].to_pylist()
    if written == "parquet":
        assert [found.schema.field(name).type for name in (*P, "predicted")] == [pa.float32()] * 3 + [pa.int8()]


def test_rows_are_held_a_chunk_at_a_time(tmp_path, run, cells):
    source = saved(tmp_path / "in.csv", pairs())
    run(f"cells={cells[0]}", f"input={source}", f"output={tmp_path / 'out.csv'}", "chunk=8")
    assert Lengths.seen == [8, 8, 8, 8, 8, 8, 2]


def test_columns_are_renamed_and_the_rest_carried_along_untouched(tmp_path, run, cells):
    table = (
        pairs().rename_columns(["id", "kind", "query", "grade", "right"]).append_column("mine", pa.array([[1]] * 50))
    )
    source, output = saved(tmp_path / "in.parquet", table), tmp_path / "out.parquet"
    names = "columns={task: kind, left: query, label: grade}"
    out, _, _ = run(f"cells={cells[0]}", f"input={source}", f"output={output}", names)
    found = pq.read_table(output)
    assert found.column_names == ["id", "task", "left", "label", "right", "mine", *P, "predicted"]
    assert found["mine"].equals(table["mine"])
    assert "micro" in out


@pytest.mark.parametrize("written", KINDS)
def test_lines_that_bring_other_columns_fill_them_with_nothing_elsewhere(tmp_path, run, cells, written):
    rows = [{**row, **({} if k < 30 else {"price": k / 2})} for k, row in enumerate(pairs().to_pylist())]
    source, output = tmp_path / "in.jsonl", tmp_path / f"out.{written}"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, _, code = run(f"cells={cells[0]}", f"input={source}", f"output={output}", "chunk=8")
    assert code == 0
    found = readers.read(output, {}).table
    assert found.column_names == [*pairs().column_names, "price", *P, "predicted"]
    price = [value or None for value in found["price"].to_pylist()]
    assert price[:30] == [None] * 30
    assert [float(value) for value in price[30:]] == [k / 2 for k in range(30, 50)]


def test_scores_are_printed_where_there_are_labels(tmp_path, run, cells):
    source, output = saved(tmp_path / "in.parquet", pairs()), tmp_path / "out.parquet"
    out, err, _ = run(f"cells={cells[0]}", f"input={source}", f"output={output}", "chunk=7")
    right = expected(pairs()) == pairs()["label"].to_numpy()
    task = np.array(pairs()["task"])
    shown = {line.split()[0]: line.split()[1:] for line in out.splitlines()}
    each = [right[task == name].mean() for name in ("query_item", "item_type", "type_type")]
    assert shown["query_item"][:2] == ["17", f"{100 * each[0]:.1f}"]
    assert shown["micro"] == ["50", f"{100 * right.mean():.1f}"]
    assert shown["macro"] == ["50", f"{100 * np.mean(each):.1f}"]
    assert "query_query" not in shown
    assert "50 rows in" in err
    assert "rows/s" in err
    assert "labels:" not in err


@pytest.mark.parametrize("kind", KINDS)
def test_rows_without_labels_are_scored_and_enter_no_score(tmp_path, run, cells, kind):
    partly = pa.array([None if k % 5 else k % 3 for k in range(50)], pa.int8())
    source, output = saved(tmp_path / f"in.{kind}", pairs().set_column(3, "label", partly)), tmp_path / "out.parquet"
    out, err, _ = run(f"cells={cells[0]}", f"input={source}", f"output={output}", "chunk=3")
    assert "labels: on 10 rows; the other 40 enter no score" in err
    assert [line.split()[1] for line in out.splitlines() if line.startswith("micro")] == ["10"]
    assert pq.read_table(output)["label"].to_pylist() == partly.to_pylist()
    source = saved(source, pairs().drop_columns("label"))
    out, err, _ = run(f"cells={cells[0]}", f"input={source}", f"output={output}")
    assert (out, "labels:" in err) == ("", False)
    assert pq.read_table(output)["predicted"].to_pylist() == expected(pairs()).tolist()


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
    listed = readers.read(aside, {}).table.to_pylist()
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
    output.write_text("before")
    score = Lengths.probabilities

    def failing(self, table, tell):
        assert len(Lengths.seen) < 3, "third chunk"
        return score(self, table, tell)

    monkeypatch.setattr(Lengths, "probabilities", failing)
    with pytest.raises(AssertionError, match="third chunk"):
        run(f"cells={cells[0]}", f"input={source}", f"output={output}", "chunk=8")
    assert output.read_text() == "before"
    assert not list(tmp_path.glob("*.part"))


def test_a_file_that_changes_between_the_readings_is_an_error(tmp_path, run, cells, monkeypatch):
    source, output = saved(tmp_path / "in.csv", pairs()), tmp_path / "out.csv"

    class Appending(Lengths):
        def __init__(self, folder, device):
            super().__init__(folder, device)
            source.write_text(source.read_text() + source.read_text().splitlines()[-1] + "\n")

    monkeypatch.setitem(sys.modules, "relevance.scorer", SimpleNamespace(Scorer=Appending))
    _, err, code = run(f"cells={cells[0]}", f"input={source}", f"output={output}")
    assert (code, output.exists()) == (2, False)
    assert "changed as it was scored (50 rows, then 51)" in err


def test_cells_vote_and_a_tie_goes_to_the_higher_label(tmp_path, run, cells):
    source, output = saved(tmp_path / "in.parquet", pairs()), tmp_path / "out.parquet"
    _, err, _ = run(f"cells=[{','.join(cells)}]", f"input={source}", f"output={output}", "chunk=20")
    assert "votes: of 3 cells; a tie goes to the higher label" in err
    assert pq.read_table(output)["predicted"].to_pylist() == [2] * 50  # the three never agree
    assert Lengths.seen == [20, 20, 20, 20, 20, 20, 10, 10, 10]
    run(f"cells=[{cells[0]},{cells[1]}]", f"input={source}", f"output={output}")
    found, first = pq.read_table(output), expected(pairs())
    assert found["predicted"].to_pylist() == np.maximum(first, (first + 1) % 3).tolist()
    assert np.allclose(sorted(found[name][0].as_py() for name in P), [0.2, 0.4, 0.4])
    _, err, code = run(f"cells=[{cells[0]},{cells[0]}/]", f"input={source}", f"output={output}")
    assert code == 2
    assert "is the same cell as" in err


def test_rows_of_tasks_a_cell_never_saw_are_told_once(tmp_path, run, cells, monkeypatch):
    single = Config(task_mix=MixConfig("single_type_type", Mix.single, task="type_type"))
    monkeypatch.setattr(Lengths, "config", single)
    source = saved(tmp_path / "in.csv", pairs())
    _, err, code = run(f"cells={cells[0]}", f"input={source}", f"output={tmp_path / 'o.csv'}", "chunk=5")
    assert code == 0
    assert err.count("was trained on type_type alone; scored all the same: query_item, item_type") == 1
    only = saved(source, pairs().filter(pc.equal(pairs()["task"], "type_type")))
    _, err, _ = run(f"cells={cells[0]}", f"input={only}", f"output={tmp_path / 'o.csv'}")
    assert "alone" not in err


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


def test_help_tells_of_ties_and_imports_nothing_heavy():
    probe = (
        "import sys; sys.argv = ['predict', '--help']; from relevance.predict import predict; predict(); "
        "print([name for name in ('torch', 'mlflow', 'pyarrow', 'pandas') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    assert "a tie goes to the higher label" in shown
    assert "on_bad_row=error" in shown
    assert shown.endswith("[]\n")
