"""import relevance: the README's lines, frames, trained cells, errors that are raised and never exit."""

import pydoc
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_sweep import record

import relevance
from relevance import predictions
from relevance.data.stored import read_rows
from relevance.tracking.history import sweep_record

README = Path(__file__).parents[1] / "README.md"
LIGHT = "import sys, relevance; print([m for m in ('torch', 'mlflow', 'pandas', 'hydra', 'numpy') if m in sys.modules])"


def settings(config) -> list[str]:
    return [f"outputs={config.outputs}", f"tracking_uri={config.tracking_uri}", "device=cpu"]


@pytest.fixture(scope="module")
def trained(trained_cell):
    config = trained_cell("ce", "mh")
    cell = record(config).cells[0]
    return config, cell, relevance.load(cell.cell, settings=settings(config))


def test_it_imports_nothing_heavy_and_no_name_hides_a_module():
    assert subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True).stdout == "[]\n"
    modules = {path.stem for path in Path(relevance.__file__).parent.iterdir() if path.suffix in ("", ".py")}
    offered = ("run_sweep", "cells", "load", "write_report", "UserError", "SweepFailedError")
    assert {*relevance.__all__} == {*offered}
    assert not modules & {*offered}
    told = pydoc.plain(pydoc.render_doc(relevance))
    assert all(f"    {name}(" in told for name in ("run_sweep", "cells", "load", "write_report"))
    assert (Path(relevance.__file__).parent / "py.typed").is_file()  # what is typed is typed for others too
    assert re.fullmatch(r"\d+\.\d+\.\d+", relevance.__version__)
    assert all(getattr(relevance, name).__doc__ for name in offered)


def test_the_lines_of_the_readme_run_in_any_folder_and_thread(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["kernel", "-f", "kernel.json"])
    (lines,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    notebook: dict = {}
    with ThreadPoolExecutor(1) as thread:  # one that gets no signals
        thread.submit(exec, lines, notebook).result()
    frame, ranked = notebook["frame"], notebook["ranked"]
    assert frame["routing"].tolist() == ["mh", "mhp"]
    assert frame["status"].tolist() == ["FINISHED"] * 2
    assert ranked["score"].is_monotonic_decreasing
    assert sorted(ranked["item"]) == ["Volt USB-C cable 2 m", "red lamp"]
    assert sys.argv == ["kernel", "-f", "kernel.json"]
    said = capsys.readouterr().err
    best = relevance.load("best", settings="device=cpu").folder.parent.name
    (run,) = re.findall(r'relevance.load\("([0-9a-f]{8})"\)', said)  # what the log offers is what best means
    assert relevance.load(run, sweep=notebook["sweep"], settings=["device=cpu"]).folder.parent.name == best
    folder = relevance.write_report(settings=["figures=false", "name=notebook"])
    assert folder == Path("multirun_reports/notebook")
    assert (folder / "index.html").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["routing=mph"], "routing=mph: did you mean mh"),
        (["trainer.max_epoch=1"], "did you mean trainer.max_epochs"),
        ("data=pairs", "data.path is missing"),
        (["--help"], "--help: give settings as key=value"),
        (["-m"], "-m: give settings as key=value"),
        (["model.backbone=./nowhere"], "no such folder"),
    ],
)
def test_settings_that_cannot_be_are_raised(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(relevance.UserError, match=re.escape(said)):
        relevance.run_sweep(words)
    assert "error:" not in capsys.readouterr().err


def test_a_sweep_of_which_a_cell_fails_is_raised_and_its_frame_has_what_differs(tmp_path, monkeypatch, backbones):
    monkeypatch.chdir(tmp_path)
    small = [f"model.backbone={backbones['ce']}", "data.rows=400", "isolate=false", "save=none"]
    small += ["model.max_length=64", "name=odd"]
    with pytest.raises(relevance.SweepFailedError, match="sweep odd: 1 of its cells did not finish") as raised:
        relevance.run_sweep([*small, "model.lr=1e-4,3e-4,1e30", "trainer.max_epochs=2", "train.step_rows=16"])
    assert (raised.value.sweep, len(raised.value.failed)) == ("odd", 1)
    frame, logged = relevance.cells("odd"), sweep_record("sqlite:///mlflow.db", "relevance", Path("outputs"), []).cells
    assert frame["status"].tolist() == ["FINISHED", "FINISHED", "FAILED"]
    assert frame["lr"].tolist()[:2] == [1e-4, 3e-4]
    assert not {"data.rows", "trainer.max_epochs", "step_rows"} & {*frame}
    assert frame["run_id"].tolist() == [cell.run_id for cell in logged]
    assert frame["macro_accuracy"].tolist()[:2] == [cell.metrics["test/macro_accuracy"] for cell in logged[:2]]
    assert frame["macro_accuracy"].isna().tolist() == [False, False, True]
    known = frame[:2]
    assert (known["query_item_accuracy_low"] < known["query_item_accuracy"]).all()
    assert (known["query_item_accuracy"] < known["query_item_accuracy_high"]).all()
    assert frame["reason"][2]


def test_a_cell_answers_in_python_as_it_did_on_its_test_rows(trained):
    config, cell, model = trained
    table = predictions.read(cell.files.test)
    rows = read_rows(
        next(Path(config.outputs).glob("data/*/rows.parquet")), table["row"].to_numpy(), ["task", "left", "right"]
    )
    frame = rows.select(["task", "left", "right"]).to_pandas().assign(mine=1)
    frame.index = [f"row {at}" for at in range(len(frame))]
    answered = model.predict(frame)
    assert answered.index.equals(frame.index)
    assert answered.columns.tolist() == [*frame, *predictions.PROBABILITIES, "score", "predicted"]
    p = answered[list(predictions.PROBABILITIES)].to_numpy()
    assert np.allclose(p, predictions.probabilities(table), atol=1e-6)
    assert answered["predicted"].tolist() == table["predicted"].to_pylist()
    assert np.allclose(answered["score"], p[:, 1] + 2 * p[:, 2])
    assert "p_partial" not in frame
    assert model.predict([], "query_item").empty
    pairs = model.predict([("red lamp", "a lamp"), ("red lamp", "chair")], "query_item")
    ranked = model.rank("red lamp", (text for text in ("a lamp", "chair", "a lamp")))
    assert model.rank("red lamp", []).columns.equals(ranked.columns)
    assert ranked["score"].is_monotonic_decreasing
    assert np.allclose(ranked["score"][[0, 1]], pairs["score"], atol=1e-6)
    places = ranked.index.tolist()
    assert places.index(0) < places.index(2)  # equal scores stay in their order


def framed(left, **more) -> pd.DataFrame:
    return pd.DataFrame({"left": left, "right": ["b", "c"], **more})


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (lambda model: model.predict([("a", "b")]), "pairs: missing column task; present: left, right"),
        (lambda model: model.predict([("a", "b")], "query_itm"), "task=query_itm: did you mean query_item?"),
        (lambda model: model.predict([("a", " ")], "query_item"), "right is empty"),
        (lambda model: model.predict([("a", None)], "query_item"), "pairs row 0: null"),
        (lambda model: model.predict([("a", "b", "c")], "query_item"), "a list of (left, right)"),
        (lambda model: model.predict(["ab"], "query_item"), "a list of (left, right)"),
        (lambda model: model.predict([1, None], "query_item"), "a list of (left, right)"),
        (lambda model: model.predict([("a", "\ud83d")], "query_item"), "have to be texts"),
        (lambda model: model.predict(pd.DataFrame({"left": ["a", 1], "right": "b"}), "query_item"), "have to be texts"),
        (
            lambda model: model.predict(pd.DataFrame({"left": ["a"], "right": "b", "score": 1}), "query_item"),
            "column score",
        ),
        (lambda model: model.rank("query", "item"), "give a list of texts"),
        (lambda model: model.rank("query", pd.DataFrame({"item": ["a"]})), "items is a DataFrame: give a list"),
        (lambda model: model.rank("", ["item"]), "left is empty"),
    ],
)
def test_pairs_that_cannot_be_scored_are_raised(trained, asked, said):
    with pytest.raises(relevance.UserError, match=re.escape(said)):
        asked(trained[2])


def test_a_notebook_may_change_folders(trained, tmp_path, monkeypatch):
    config, cell, _ = trained
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(Path(config.outputs).parent)
    frame = relevance.cells()
    assert frame["run_id"].tolist() == [cell.run_id]
    monkeypatch.chdir(tmp_path / "empty")
    assert relevance.load(frame["folder"][0], settings=["device=cpu"]).folder == cell.folder.absolute() / "model"
    with pytest.raises(relevance.UserError, match=r"sqlite:///mlflow\.db: no such file"):
        relevance.cells()
    shutil.copy(Path(config.outputs).parent / "mlflow.db", "mlflow.db")
    with pytest.raises(relevance.UserError, match="is a copy of"):  # and not the one that was open before
        relevance.cells()
