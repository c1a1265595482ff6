"""Runs in the experiment that this project did not make, or that people changed since."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from small_sweep import record, runs, sweep

from relevance.errors import UserError
from relevance.status.table import Looks, row
from relevance.tracking import CELLS, Run, Store
from relevance.tracking.names import model_folder

FOREIGN = [
    {},
    {"kind": "cell"},
    {"kind": "sweep"},
    {"kind": "sweep", "touched": "long ago", "fingerprint": "x", "command": "make"},
    {"kind": "sweep", "touched": "9" * 30, "fingerprint": "x"},
    {"kind": "cell", "versions": "{", "pulse": "[", "pid": "-", "host": "h", "model": "ce", "routing": "mh"},
]


def states(config) -> list[str]:
    look = Looks(config.tracking_uri, config.experiment, Path(config.outputs), []).look()
    return [row(cell, time.time()).state.value for cell in look.cells]


def test_runs_of_others_are_passed_over_and_left_as_they_are(place, capsys):
    config = place()
    sweep(config)
    store = Store(config.tracking_uri, config.experiment, Path(config.outputs))
    (cell,), (parent,) = runs(config), runs(config, "tags.kind = 'sweep'")
    copied = {**FOREIGN[-1], "fingerprint": cell.data.tags["fingerprint"], "mlflow.parentRunId": parent.info.run_id}
    foreign = [store.client.create_run(store.experiment_id, tags=tags).info.run_id for tags in [*FOREIGN, copied]]
    for run_id in foreign[::2]:
        store.client.set_terminated(run_id)
    assert states(config) == ["finished"]
    assert [found.run_id for found in record(config).cells] == [cell.info.run_id]
    assert sweep(config) == 0
    assert "finished before, not trained again" in capsys.readouterr().err
    assert [store.client.get_run(run_id).info.status for run_id in foreign[1::2]] == ["RUNNING"] * 3
    with pytest.raises(UserError, match="neither a folder nor a run of"):
        model_folder(foreign[1], config.tracking_uri, config.experiment, Path(config.outputs))


def test_tags_that_people_removed_and_runs_that_they_deleted_cost_no_traceback(place):
    config = place()
    sweep(config)
    store = Store(config.tracking_uri, config.experiment, Path(config.outputs))
    (cell,), (parent,) = runs(config), runs(config, "tags.kind = 'sweep'")
    for tag in ("command", "touched", "host", "pid"):
        store.client.delete_tag(parent.info.run_id, tag)
    for tag in ("model", "routing", "versions"):
        store.client.delete_tag(cell.info.run_id, tag)
    assert record(config).runs[0].command == ""
    assert sweep(config) == 0
    store.client.delete_run(cell.info.run_id)
    assert states(config) == ["waiting"]
    store.client.update_run(parent.info.run_id, status="SCHEDULED")
    store.client.delete_run(parent.info.run_id)
    with pytest.raises(UserError, match="no sweep yet"):
        record(config)


def test_a_changed_tag_of_a_finished_cell_costs_neither_a_report_nor_another_cell(place):
    config = place()
    sweep(config)
    store = Store(config.tracking_uri, config.experiment, Path(config.outputs))
    (cell,) = runs(config)
    for tag in ("model", "routing"):
        store.client.delete_tag(cell.info.run_id, tag)
    for versions in ("{", "[1]", "null"):
        store.client.set_tag(cell.info.run_id, "versions", versions)
        assert record(config).cells[0].versions == {}
    assert sweep(config, replace(config, seed=7)) == 0


@pytest.mark.parametrize("text", ["{", "[1]", "null", '[{"cell": "a"}]', "{}{}"])
def test_a_list_of_cells_that_is_none_names_its_sweep_and_the_remedy(place, text):
    config = place()
    store = Store(config.tracking_uri, config.experiment, Path(config.outputs))
    Run(store, store.start("mine", {"kind": "sweep", "fingerprint": "x", "command": "make it"}).run_id).text(
        text, CELLS
    )
    with pytest.raises(UserError, match=r"sweep mine: its list of cells is gone .*: make it"):
        record(config)
