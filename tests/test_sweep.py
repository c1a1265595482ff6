"""Sweeps for real: skipped, failed, refused, asked again, asked twice at once."""

import shutil
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from small_sweep import record, runs, sweep

from relevance.cell_id import Request
from relevance.config import DataConfig, Save, Source
from relevance.errors import UserError
from relevance.shop.generate import generate_pairs
from relevance.sweep import attempt
from relevance.sweep.resolve import prepared, resolve
from relevance.tracking import Store

ROOT = Path(__file__).parent.parent


def test_a_finished_cell_is_not_trained_again_unless_asked(place, capsys):
    config = place()
    sweep(config)
    assert sweep(config) == 0
    assert "finished before, not trained again" in capsys.readouterr().err
    assert len(runs(config)) == 1
    sweep(replace(config, rerun=True))
    assert len(runs(config)) == 2
    assert len(runs(config, "tags.kind = 'sweep'")) == 1


def test_a_skipped_cell_names_another_thread_count(place, capsys):
    sweep(place())
    sweep(place(threads=2))
    assert "threads 1 then, 2 now" in capsys.readouterr().err


def test_a_cell_whose_predictions_are_gone_is_trained_again(place):
    config = place()
    sweep(config)
    (record(config).cells[0].folder / "test.parquet").unlink()
    assert sweep(config) == 0
    assert len(runs(config)) == 2


def test_a_cell_of_which_more_is_asked_than_was_kept_says_so(place, capsys):
    config = place(save=Save.none)
    assert sweep(config) == 0
    assert sweep(replace(config, save=Save.all)) == 0
    assert "finished before, but its model was not saved, or is gone; trained again" in capsys.readouterr().err


def test_a_sweep_whose_files_were_removed_is_whole_again_when_asked_again(place):
    config = place()
    sweep(config)
    shutil.rmtree(config.outputs)
    with pytest.raises(UserError, match=r"its list of cells is gone.*give its command again"):
        record(config)
    assert sweep(config) == 0
    assert [cell.status for cell in record(config).cells] == ["FINISHED"]


def test_a_finished_cell_without_predictions_is_shown_as_missing(place):
    config = place()
    sweep(config)
    (record(config).cells[0].folder / "test.parquet").unlink()
    cell = record(config).cells[0]
    assert cell.status == "MISSING"
    assert "predictions are gone" in cell.reason


def test_two_sweeps_at_once_train_a_cell_once(place, monkeypatch):
    train, config, others, waits = attempt.train_cell, place(), [], threading.Event()

    def heard(*lines):
        if "another process is training it; waiting" in lines[0]:
            waits.set()

    def slowly(cell, run):
        if not others:
            others.append(threading.Thread(target=lambda: others.append(sweep(config))))
            others[0].start()
            assert waits.wait(60)
        return train(cell, run)

    monkeypatch.setattr(attempt, "echo", heard)
    monkeypatch.setattr(attempt, "train_cell", slowly)
    assert sweep(config) == 0
    others[0].join()
    assert others[1] == 0
    assert [run.info.status for run in runs(config)] == ["FINISHED"]


def test_a_cell_that_another_sweep_finished_meanwhile_is_not_trained_again(place, monkeypatch, capsys):
    train, first, second = attempt.train_cell, place("llm"), place("ce")

    def overtaken(cell, run):
        if cell.config.model.name == "llm":
            monkeypatch.setattr(attempt, "train_cell", train)
            assert sweep(second) == 0
        return train(cell, run)

    monkeypatch.setattr(attempt, "train_cell", overtaken)
    assert sweep(first, second) == 0
    assert "finished by another process" in capsys.readouterr().err
    assert len(runs(first)) == 2


def test_a_failed_cell_reads_failed_with_its_traceback_and_the_rest_goes_on(place, monkeypatch, capsys):
    train, bad, good = attempt.train_cell, place("llm"), place("ce")

    def breaks(cell, run):
        if cell.config.model.name == "llm":
            sys.exit("the disk is on fire")
        return train(cell, run)

    monkeypatch.setattr(attempt, "train_cell", breaks)
    assert sweep(bad, good) == 1
    first, second = record(bad).cells
    assert (first.status, second.status) == ("FAILED", "FINISHED")
    assert "the disk is on fire" in first.reason
    assert "failed: llm-mh" in capsys.readouterr().err
    store = Store(bad.tracking_uri, bad.experiment, Path(bad.outputs))
    assert "traceback.txt" in {file.path for file in store.client.list_artifacts(first.run_id)}
    monkeypatch.undo()
    assert sweep(bad, good) == 0
    assert [cell.status for cell in record(bad).cells] == ["FINISHED", "FINISHED"]


def test_the_parent_lists_its_cells_before_the_first_one_trains(place, monkeypatch):
    seen = []

    def looks(cell, run):
        while not run.run_id:  # MLflow hears of the cell a moment after it began
            time.sleep(0.01)
        seen.append(record(cell.config))
        sys.exit(1)

    monkeypatch.setattr(attempt, "train_cell", looks)
    sweep(place("llm"), place("ce"))
    assert [cell.status for cell in seen[0].cells] == ["RUNNING", "MISSING"]
    assert seen[0].cells[0].cell.startswith("llm-mh")


def test_a_name_that_another_sweep_has_is_pointed_out(place, monkeypatch, capsys):
    monkeypatch.setattr(attempt, "train_cell", lambda cell, run: sys.exit(1))
    sweep(place("llm"))
    sweep(place("llm"))
    assert "name=test" not in capsys.readouterr().err
    sweep(place("ce"))
    assert "name=test: an earlier sweep of other cells has it too" in capsys.readouterr().err


def test_a_cell_asked_for_twice_runs_once_and_one_that_cannot_be_is_refused_by_itself(place, capsys):
    good = place()
    bad = replace(place("ce", "mhp"), model=replace(good.model, backbone="/nowhere"))
    assert sweep(good, bad, good) == 1
    said = capsys.readouterr().err
    assert "[1/2] ce-mh-joint-s0: new (asked for 2 times, run once)" in said
    assert "refused: ce-mhp-joint-s0: model.backbone=/nowhere" in said
    whole, refused = record(good).cells
    assert (whole.status, whole.asked, refused.status) == ("FINISHED", 2, "REFUSED")
    assert "/nowhere" in refused.reason
    with pytest.raises(UserError, match="/nowhere"):
        sweep(bad)


def test_cells_that_cannot_be_and_share_a_name_are_counted_and_told_each(place, capsys):
    good = place(save=Save.none)
    bad = [replace(good, model=replace(good.model, backbone=f"/nowhere/{name}/x")) for name in "ab"]
    assert sweep(good, *bad) == 1
    said = capsys.readouterr().err
    assert "1 of 3 cells finished" in said
    assert said.count("/nowhere/a/x") == said.count("/nowhere/b/x")


def test_of_one_question_asked_in_two_ways_it_is_said_which_way_it_runs(place, capsys):
    assert sweep(place(threads=1), place(threads=2, save=Save.all)) == 0
    assert "is one question however it runs, and runs once; left out: save=all,threads=2" in capsys.readouterr().err


def test_cells_that_cannot_be_are_told_apart_by_what_they_ask_for(place):
    few = [replace(place(), data=DataConfig(rows=rows)) for rows in (50, 60)]
    lost = [replace(place(), model=replace(place().model, backbone=name)) for name in ("no/a", "no/b")]
    requests = [Request(config, place(), refusal="cannot be") for config in (*few, *lost)]
    cells, _ = resolve([*requests, Request(place(), place())], prepared([place()]))
    assert [cell.asked for cell in cells] == [1] * 5
    assert len({cell.name for cell in cells}) == 5


def test_another_table_of_pairs_is_named_as_what_changed(place, capsys):
    generate_to = Path(place().outputs).parent / "pairs.parquet"
    for noise in (0.0, 0.2):
        pq.write_table(generate_pairs(300, 0, noise), generate_to)
        sweep(place(data=DataConfig(kind=Source.pairs, path=str(generate_to)), rerun=False))
    assert "new: data digest changed" in capsys.readouterr().err


def test_two_cells_of_one_name_are_refused_before_either_trains(place):
    config = place()
    other = replace(config, train=replace(config.train, weight_decay=0.5))
    with pytest.raises(
        UserError, match=r"two cells are called ce-mh-joint-s0: .*weight_decay=0\.01.*weight_decay=0\.5"
    ):
        sweep(config, other)
    assert not runs(config)
