"""What MLflow's pages show of cells and of their sweep, and that it is read again, of runs before and after."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import ndcg_score
from small_sweep import ROUTINGS, record, runs, small_cell, sweep

from relevance import predictions
from relevance.cell_id import Cell
from relevance.config import PrivateConfig, Save
from relevance.metrics import COLUMN_NAMES
from relevance.tracking import Run, Store
from relevance.tracking.history import keep
from relevance.tracking.records import TAG, WIDTHS, numbers
from relevance.tracking.summary import NOTE, describe, ranked
from relevance.train.cell import settings

MOST = 25  # metrics of a cell; what its page shows without scrolling far


@pytest.fixture(scope="module")
def trained(backbones, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shown")
    config = small_cell(folder, backbones, "ce", "prefix", save=Save.all)
    assert sweep(*both(config)) == 0
    return config


def both(config):
    return config, replace(config, routing=ROUTINGS["mhp"])


def where(config):
    return config.tracking_uri, config.experiment, Path(config.outputs)


def test_the_axes_and_counts_of_a_cell_are_params_and_its_metrics_are_few(trained):
    for run in runs(trained):
        params, metrics = run.data.params, run.data.metrics
        axes = {"model": "ce", "task_mix": "joint", "seed": "0", "variant": "", "family": "ce", "tuning": "full"}
        assert axes.items() <= params.items()
        assert run.info.run_name.startswith(f"ce-{params['routing']}-")
        assert int(params["params/trainable"]) > int(params["test/query_item/n"]) > 0
        assert {f"{split}/{name}" for split in ("test", "validation") for name in COLUMN_NAMES} <= metrics.keys()
        assert {"test/macro_f1", "test/ndcg_10", "train/rows_per_second", "seconds"} <= metrics.keys()
        assert len(metrics) <= MOST


def test_what_mlflow_does_not_show_is_read_from_the_record(trained):
    _, mhp = record(trained).cells
    assert 0 < mhp.metrics["probe/other_private/accuracy"] <= 1
    assert mhp.metrics["params/trainable"] > mhp.metrics["test/query_item/n"] > 0
    (run,) = [run for run in runs(trained) if run.data.params["routing"] == "mhp"]
    assert not [key for key in run.data.metrics if key.startswith(("probe/", "gate/", "params/"))]


def test_counts_are_read_of_a_run_whose_counts_are_metrics_too():
    old = SimpleNamespace(params={"lr": "0.1"}, metrics={"params/trainable": 7.0, "train/rows": 5.0, "seconds": 2.0})
    new = SimpleNamespace(params={"lr": "0.1", "params/trainable": "7", "train/rows": "5"}, metrics={"seconds": 2.0})
    assert numbers(old) == numbers(new) == {"params/trainable": 7.0, "train/rows": 5.0, "seconds": 2.0}


def test_a_setting_that_differs_is_a_param(place):
    config = place()
    changed = replace(config, routing=replace(config.routing, private=PrivateConfig(layers=1, lr_factor=9)))
    cell = Cell(changed, "f" * 64, "x", "private.layers=1,private.lr_factor=9", "d" * 64, "b" * 64, Path("x"), 100)
    assert {"private.layers": "1", "private.lr_factor": "9", "variant": cell.variant}.items() <= settings(cell).items()


def test_ndcg_is_the_mean_over_tasks_of_that_of_scikit_learn(trained):
    cell = record(trained).cells[0]
    pairs = pq.read_table(next(Path(trained.outputs).glob("data/*/rows.parquet"))).to_pandas().set_index("row")
    rows = predictions.read(cell.files.test).to_pandas().set_index("row")
    rows = rows.assign(grade=rows.p_partial + 2 * rows.p_relevant).join(pairs[["left_id", "right_id"]])
    scores = [
        (task, ndcg_score([2.0**group.label - 1], [group.grade], k=10))
        for (task, _), group in rows.groupby(["task", "left_id"])
        if group.right_id.nunique() >= 2 and group.label.any()
    ]
    means = pd.DataFrame(scores).groupby(0)[1].mean()
    assert cell.metrics["test/ndcg_10"] == pytest.approx(means.mean(), abs=1e-5)


def test_the_sweeps_run_has_the_best_macro_of_each_family_and_a_table(trained):
    cells = record(trained).cells
    newest, *_ = runs(trained, "tags.kind = 'sweep'")
    for known in (cells[:1], cells):  # a report's answer gives way to a table once there is a new cell
        describe(Run(Store(*where(trained)), newest.info.run_id), known)
    parent, *_ = runs(trained, "tags.kind = 'sweep'")
    best = max(cell.metrics["test/macro_accuracy"] for cell in cells)
    assert parent.data.metrics == {"best/ce/macro_accuracy": pytest.approx(best), "cells": 2}
    note = parent.data.tags[NOTE]
    assert "| ce | prefix | joint |" in note
    assert f"{100 * best:.1f}" in note.splitlines()[2]


def test_a_report_puts_its_answer_and_a_link_in_the_place_of_the_table(trained, tmp_path, capsys):
    (tmp_path / "matrix.md").write_text("# Report: x\n\n**ce: use mhp.**\n\n![n](a.png)\n\n## Matrix\n\n| much |\n")
    keep(*where(trained), record(trained), tmp_path)
    parent, *_ = runs(trained, "tags.kind = 'sweep'")
    note = parent.data.tags[NOTE]
    assert note.startswith("**ce: use mhp.**\n\nThe whole report: [report/index.html](#/experiments/")
    said = capsys.readouterr().err
    assert f"/runs/{parent.info.run_id}?workflowType=machine_learning" in said
    assert 'mlflow.register_model("runs:/' in said


def test_a_sweep_asked_for_again_keeps_the_answer_until_something_is_new(trained):
    cells, store = record(trained).cells, Store(*where(trained))
    run = Run(store, runs(trained, "tags.kind = 'sweep'")[0].info.run_id)
    for said, now in ((cells[:1], "prefix"), (cells[:1], "answer"), (cells, "prefix")):
        describe(run, said)
        assert now in store.client.get_run(run.run_id).data.tags[NOTE]
        run.tags({NOTE: "answer"})


def test_a_sweep_ends_with_links_and_how_to_register_the_highest(trained, capsys):
    assert sweep(*both(trained)) == 0
    said = capsys.readouterr().err
    assert "viewStateShareKey=cells" in said
    (run_id,) = [cell.run_id for cell in record(trained).cells if cell.run_id in said]
    assert f'mlflow.register_model("runs:/{run_id}/model", "relevance")' in said


def test_the_experiment_has_the_view_that_links_name_also_one_made_before(trained):
    store = Store(*where(trained))
    store.client.set_experiment_tag(store.experiment_id, TAG, "older")
    found = Store(*where(trained)).client.get_experiment(store.experiment_id).tags[TAG]
    state = json.loads(json.loads(found)["state"])
    assert state["selectedColumns"] == list(WIDTHS)
    logged = runs(trained)[0].data
    known = {f"metrics.`{key}`" for key in logged.metrics} | {f"params.`{key}`" for key in logged.params}
    assert set(state["selectedColumns"]) <= known


def test_a_sweep_without_a_finished_cell_says_so(trained):
    (last, *_) = runs(trained, "tags.kind = 'sweep'")
    assert describe(Run(Store(*where(trained)), last.info.run_id), [])[2:] == []  # links, and nothing to register
    (last, *_) = runs(trained, "tags.kind = 'sweep'")
    assert last.data.tags[NOTE] == "No cell finished."


def test_cells_of_fewer_tasks_are_not_ranked_beside_those_of_all(trained):
    cells = record(trained).cells
    metrics = {"test/query_item/accuracy": 1.0, "test/macro_accuracy": 1.0}
    single = replace(cells[0], task_mix="query_item", metrics=metrics)
    assert [row[0].task_mix for row in ranked([*cells, single])] == ["joint"] * len(cells)
    assert ranked([single]) == [[single]]
