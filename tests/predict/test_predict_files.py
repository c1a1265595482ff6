"""Files in, files out, labels, votes and what is said."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from stand_in import KINDS, Lengths, expected, pairs, saved

from relevance.config import Config, RoutingConfig
from relevance.data.readers import read_table

P = ("p_irrelevant", "p_partial", "p_relevant")


@pytest.mark.parametrize("written", KINDS)
@pytest.mark.parametrize("given", KINDS)
def test_every_kind_of_file_gives_the_same_output(tmp_path, run, cells, given, written):
    source, output = saved(tmp_path / f"in.{given}", pairs()), tmp_path / f"out.{written}"
    _, _, code = run(f"cells={cells[0]}", f"input={source}", f"output={output}", "chunk=8")
    assert code == 0
    found = read_table(output, {}).table
    assert found.column_names == [*pairs().column_names, *P, "score", "predicted"]
    assert found["predicted"].cast(pa.int64()).to_pylist() == expected(pairs()).tolist()
    assert found["p_partial"].cast(pa.float32())[0].as_py() == pytest.approx(0.6)
    score = found["score"].cast(pa.float32()).to_numpy()
    assert np.allclose(score, np.array([0.6, 1, 1.4])[expected(pairs())], atol=1e-6)  # p_partial + 2 p_relevant
    for name in pairs().column_names:
        assert found[name].cast(pairs().schema.field(name).type).to_pylist() == pairs()[name].to_pylist()
    if written == "parquet":
        assert [found.schema.field(name).type for name in (*P, "score", "predicted")] == [pa.float32()] * 4 + [
            pa.int8()
        ]


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
    assert found.column_names == ["id", "task", "left", "label", "right", "mine", *P, "score", "predicted"]
    assert found["mine"].equals(table["mine"])
    assert "micro" in out


@pytest.mark.parametrize("written", KINDS)
def test_lines_that_bring_other_columns_fill_them_with_nothing_elsewhere(tmp_path, run, cells, written):
    rows = [{**row, **({} if k < 30 else {"price": k / 2})} for k, row in enumerate(pairs().to_pylist())]
    source, output = tmp_path / "in.jsonl", tmp_path / f"out.{written}"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, _, code = run(f"cells={cells[0]}", f"input={source}", f"output={output}", "chunk=8")
    assert code == 0
    found = read_table(output, {}).table
    assert found.column_names == [*pairs().column_names, "price", *P, "score", "predicted"]
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


SHARES = ("votes_irrelevant", "votes_partial", "votes_relevant")


def test_cells_vote_by_their_mean_probability(tmp_path, run, cells):
    source, output = saved(tmp_path / "in.parquet", pairs()), tmp_path / "out.parquet"
    _, err, _ = run(f"cells=[{','.join(cells)}]", f"input={source}", f"output={output}", "chunk=20")
    assert "votes: of 3 cells; predicted is the label of the highest mean probability" in err
    assert Lengths.seen == [20, 20, 20, 20, 20, 20, 10, 10, 10]
    run(f"cells=[{cells[0]},{cells[1]}]", f"input={source}", f"output={output}")
    found = pq.read_table(output)
    assert np.allclose(sorted(found[name][0].as_py() for name in P), [0.2, 0.4, 0.4])
    beside = np.stack([found[name].to_numpy() for name in P])
    assert (beside[found["predicted"].to_numpy(), range(50)] == beside.max(axis=0)).all()
    _, err, code = run(f"cells=[{cells[0]},{cells[0]}/]", f"input={source}", f"output={output}")
    assert code == 2
    assert "is the same cell as" in err


def test_the_majority_is_written_beside_the_shares_of_its_votes(tmp_path, run, cells):
    source, output = saved(tmp_path / "in.parquet", pairs()), tmp_path / "out.parquet"
    words = (f"cells=[{','.join(cells)}]", f"input={source}", f"output={output}", "vote=majority")
    _, err, _ = run(*words)
    assert "predicted is the label that most of them give; ties=higher; votes_* are the shares of their votes" in err
    found = pq.read_table(output)
    assert found["predicted"].to_pylist() == [2] * 50  # the three never agree
    assert found.column_names == [*pairs().column_names, *SHARES, "score", "predicted"]
    assert np.allclose([found[name].to_numpy() for name in SHARES], 1 / 3)
    assert np.allclose(found["score"].to_numpy(), 1)  # of the mean probabilities
    run(*words, "ties=lower")
    assert pq.read_table(output)["predicted"].to_pylist() == [0] * 50


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ties=lower"], "ties=lower: has no effect under vote=mean; give vote=majority with it"),
        (["vote=majority", "ties=abstain"], "use one of higher, lower, median, mean_probability"),
        (["vote=majority", "ties=best_validation"], "no validation rows are read"),
        (["vote=median"], "vote"),
    ],
)
def test_a_vote_that_cannot_be_held_is_refused(tmp_path, run, cells, words, said):
    source, output = saved(tmp_path / "in.parquet", pairs()), tmp_path / "out.parquet"
    _, err, code = run(f"cells=[{cells[0]},{cells[1]}]", f"input={source}", f"output={output}", *words)
    assert (code, said in err, output.exists()) == (2, True, False)
    _, err, code = run(f"cells={cells[0]}", f"input={source}", f"output={output}", "vote=majority")
    assert (code, "one cell does not vote" in err) == (2, True)


def test_rows_of_tasks_a_cell_never_saw_are_told_once(tmp_path, run, cells, monkeypatch):
    monkeypatch.setattr(Lengths, "reading", replace(Lengths.reading, tasks=("type_type",)))
    source = saved(tmp_path / "in.csv", pairs())
    _, err, code = run(f"cells={cells[0]}", f"input={source}", f"output={tmp_path / 'o.csv'}", "chunk=5")
    assert code == 0
    assert err.count("was trained on type_type alone; scored all the same: query_item, item_type") == 1
    only = saved(source, pairs().filter(pc.equal(pairs()["task"], "type_type")))
    _, err, _ = run(f"cells={cells[0]}", f"input={only}", f"output={tmp_path / 'o.csv'}")
    assert "alone" not in err


def test_rows_of_a_head_that_was_never_trained_are_refused(tmp_path, run, cells, monkeypatch):
    monkeypatch.setattr(Lengths, "reading", replace(Lengths.reading, tasks=("query_item", "type_type")))
    monkeypatch.setattr(Lengths, "config", Config(routing=RoutingConfig(heads=True)))
    source, output = saved(tmp_path / "in.csv", pairs()), tmp_path / "o.csv"
    _, err, code = run(f"cells={cells[0]}", f"input={source}", f"output={output}")
    assert code == 2
    assert "was trained on query_item, type_type; its heads of item_type never were; leave rows of these" in err
    assert not output.exists()


def test_help_tells_of_votes_and_imports_nothing_heavy():
    probe = (
        "import sys; sys.argv = ['predict', '--help']; from relevance.predict.__main__ import predict; predict(); "
        "print([name for name in ('torch', 'mlflow', 'pyarrow', 'pandas') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    assert "predicted is the label of the highest" in shown
    assert "on_bad_row=error" in shown
    assert shown.endswith("[]\n")


def test_what_a_file_leaves_out_may_be_said(tmp_path, run, cells):
    source, output = tmp_path / "in.csv", tmp_path / "out.parquet"
    source.write_text("usb;cable;yes\nlamp;bulb;no\nsofa;bed;\n", encoding="utf-16")
    words = (f"cells={cells[0]}", f"input={source}", f"output={output}", "header=[left,right,label]")
    _, err, code = run(*words, "task=query_item", "grades={yes: 2, no: 0}", "chunk=2")
    assert (code, "labels: on 2 rows" in err) == (0, True)
    table = pq.read_table(output).to_pydict()
    assert (table["left"], table["task"]) == (["usb", "lamp", "sofa"], ["query_item"] * 3)
    assert table["label"] == [2, 0, None]
    _, err, code = run(*words, "task=query_items")
    assert (code, "task=query_items: must be one of query_item" in err) == (2, True)
