"""The command on a real sweep in a real store, and what it says where it cannot look."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_sweep import sweep

from relevance.cli import run_command
from relevance.errors import UserError
from relevance.status.__main__ import status
from relevance.status.table import Looks, row
from relevance.sweep import attempt
from relevance.tracking import Store
from relevance.tracking.history import cell_record
from relevance.tracking.liveness import starting

CELLS = "tags.kind = 'cell'"


def states(looks: Looks) -> list[str]:
    return [row(one, time.time()).state.value for one in looks.look().cells]


def until(looks: Looks, expected: list[str]) -> None:
    """Look until it stands like this: the store may hear of a run a little later than it begins."""
    ends = time.monotonic() + 60
    while (found := states(looks)) != expected:
        assert time.monotonic() < ends, found
        time.sleep(0.05)


def test_a_sweep_is_looked_at_from_its_first_cell_to_its_last(place, monkeypatch, capsys):
    first, second, told, asked = place("llm"), place("ce"), [], []
    where = first.tracking_uri, first.experiment, Path(first.outputs)
    of_store = Store.runs
    monkeypatch.setattr(Store, "runs", lambda store, wanted: asked.append(wanted) or of_store(store, wanted))

    def train(cell, run):
        told[:] = told or [Looks(*where, [])]
        turn = cell.config.model.name == "ce"
        until(told[0], ["failed", "running"] if turn else ["running", "waiting"])
        sys.exit("the disk [red]is\x1b on fire")

    monkeypatch.setattr(attempt, "train_cell", train)
    assert sweep(first, second) == 1
    asked.clear()
    until(told[0], ["failed", "failed"])
    assert asked
    assert CELLS not in asked  # all cells of the store are not read at each look

    store = Store(*where)
    run = store.runs(CELLS)[0]
    store.client.update_run(run.info.run_id, status="RUNNING")
    until(told[0], ["failed", "running"])
    store.client.set_terminated(run.info.run_id, "KILLED", end_time=1)  # long ago: heard of late
    until(told[0], ["failed", "killed"])
    as_command(where, monkeypatch, capsys)


def as_command(where, monkeypatch, capsys) -> None:
    """The same sweep, asked for at the command line."""
    monkeypatch.setattr(sys, "argv", ["status", f"tracking_uri={where[0]}", f"outputs={where[2]}", "sweep=test"])
    capsys.readouterr()
    status()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "sweep test"
    assert r"the disk [red]is\x1b on fire" in lines[2]
    assert lines[-1].startswith("2 cells: 1 failed, 1 killed; nothing runs it now, the same command goes on: python -m")
    sys.argv[-1] = "sweep=other"
    with pytest.raises(SystemExit):
        run_command(status)
    assert "sweep=other: no such sweep" in capsys.readouterr().err
    sys.argv[-1] = "experiment=typo"
    with pytest.raises(SystemExit):
        run_command(status)
    assert "experiment=typo: is not in" in capsys.readouterr().err
    assert Store(*where).client.get_experiment_by_name("typo") is None


def test_a_refused_cell_is_one_whatever_its_runs_say(tmp_path):
    names = dict.fromkeys("cell model routing task_mix variant fingerprint data_digest".split(), "x")
    listed = {**names, "seed": 0, "status": "REFUSED", "reason": "routing=mh has one task"}
    found = cell_record(listed, None, tmp_path)
    assert (found.status, found.reason) == ("REFUSED", "routing=mh has one task")
    assert cell_record({**names, "seed": 0}, None, tmp_path).status == "MISSING"


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("seconds=0", "seconds=0.0: give a number from 0.1 to 3600"),
        ("seconds=nan", "seconds=nan: give a number"),
        ("watch=often", "watch: Value 'often' is not a valid bool"),
        ("sweep=[a,a]", "different names"),
        ("tracking_uri=sqlite:///no/such.db", "no/such.db: no such file"),
        ("sweeps=x", "did you mean sweep?"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(word, told, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["status", word])
    with pytest.raises(SystemExit) as end:
        run_command(status)
    assert end.value.code == 2
    assert told in capsys.readouterr().err


def test_it_knows_no_torch_and_mlflow_only_when_it_looks():
    code = (
        "import sys, relevance.status.__main__, relevance.status.table\n"
        "print([name for name in ('torch', 'lightning', 'transformers', 'mlflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_sweep_that_starts_is_no_store_that_is_missing(tmp_path, monkeypatch, capsys):
    words = [f"tracking_uri=sqlite:///{tmp_path}/mlflow.db", f"outputs={tmp_path}/outputs"]
    monkeypatch.setattr(sys, "argv", ["status", *words])
    with starting(tmp_path / "outputs"):
        status()
        assert "a sweep starts: its pairs are prepared" in capsys.readouterr().err
        monkeypatch.setattr(sys, "argv", ["status", *words, "sweep=other"])
        with pytest.raises(UserError, match="no such file; train a sweep first"):
            status()
    monkeypatch.setattr(sys, "argv", ["status", *words])
    with pytest.raises(UserError, match="no such file; train a sweep first"):
        status()
