"""How a sweep ends before its time: asked to, or killed for real; and how others know."""

import os
import signal
import time
from pathlib import Path

import forked
from small_sweep import furnish, record, runs, sweep

from relevance.cell_id import Request
from relevance.errors import Stopped
from relevance.sweep import attempt
from relevance.sweep import sweep as sweeps
from relevance.sweep.resolve import prepared, resolve
from relevance.tracking import Record, Store
from relevance.tracking.liveness import SILENCE, Life, held_by, life


def test_a_sweep_shows_signs_of_life_by_which_another_host_knows_that_it_is_dead(place, monkeypatch):
    config, found = place(), []

    def waits(cell, run):
        for _ in range(600):
            (parent,) = runs(config, "tags.kind = 'sweep'")
            if "pulse" in parent.data.tags:
                found.append({**parent.data.tags, "host": "another"})
                break
            time.sleep(0.1)
        raise Stopped

    monkeypatch.setattr(attempt, "train_cell", waits)
    sweep(config)
    now = time.time()
    assert life(found[0], now) is Life.alive
    assert life(found[0], now + 2 * SILENCE) is Life.dead


def test_sigterm_ends_the_sweep_like_ctrl_c(place, monkeypatch):
    def ended(cell, run):
        raise Stopped

    monkeypatch.setattr(attempt, "train_cell", ended)
    assert sweep(place("llm"), place("ce")) == 130
    assert [cell.status for cell in record(place()).cells] == ["KILLED", "MISSING"]


def test_a_sweep_ends_in_order_though_its_store_does_not_answer(place, monkeypatch, capsys):
    def silent(store):
        raise RuntimeError("database is locked")

    def ended(cell, run):
        monkeypatch.setattr(Store, "bury", silent)
        raise Stopped

    monkeypatch.setattr(attempt, "train_cell", ended)
    assert sweep(place()) == 130
    said = capsys.readouterr().err
    assert "MLflow has not heard that it ended (database is locked)" in said
    assert "interrupted; the same command goes on from here" in said


def test_a_sweep_that_is_stopped_does_not_wait_for_its_store(place, monkeypatch, capsys):
    def slow(store):
        time.sleep(60)

    def ended(cell, run):
        monkeypatch.setattr(Store, "bury", slow)
        raise Stopped

    monkeypatch.setattr(attempt, "train_cell", ended)
    monkeypatch.setattr(sweeps, "HASTE", 0.3)
    assert sweep(place()) == 130
    assert "no answer in" in capsys.readouterr().err


def test_a_sweep_that_is_stopped_before_its_first_cell_does_not_stay_open(place, monkeypatch):
    def stopped(cells, store):
        raise Stopped

    monkeypatch.setattr(sweeps, "plan", stopped)
    assert sweep(place()) == 130
    config = place()
    store = Store(config.tracking_uri, config.experiment, Path(config.outputs))
    assert [run.info.status for run in store.runs("tags.kind = 'sweep'")] == ["KILLED"]


def test_ctrl_c_ends_the_sweep_and_marks_the_cell_killed(place, monkeypatch):
    def interrupted(cell, run):
        raise KeyboardInterrupt

    monkeypatch.setattr(attempt, "train_cell", interrupted)
    assert sweep(place("llm"), place("ce")) == 130
    assert [cell.status for cell in record(place()).cells] == ["KILLED", "MISSING"]


def test_kill_nine_after_the_second_cell_then_the_same_command(tmp_path, backbones):
    furnish(tmp_path)
    words = [
        "relevance.run",
        *("-m", "isolate=false", "save=none", "data.rows=300", "trainer.max_epochs=1"),
        *("routing=prefix,mh", "model=llm,ce"),
        *(f"backbones.{name}={backbones[name]}" for name in ("llm", "ce")),
        *(
            "model.max_length=64",
            "threads=1",
            f"outputs={tmp_path}/outputs",
            f"tracking_uri=sqlite:///{tmp_path}/mlflow.db",
        ),
    ]
    said, again = tmp_path / "said", tmp_path / "again"
    process = forked.start(said, *words)
    while not (said.exists() and "\n[3/4]" in said.read_text()):
        assert os.waitpid(process, os.WNOHANG) == (0, 0), said.read_text()
        time.sleep(0.02)
    os.kill(process, signal.SIGKILL)
    assert forked.wait(process) == -signal.SIGKILL
    assert forked.wait(forked.start(again, *words)) == 0, again.read_text()
    assert again.read_text().count("finished before, not trained again") == 2
    assert "4 cells, 2 to train" in again.read_text()
    store = Store(f"sqlite:///{tmp_path}/mlflow.db", "relevance", tmp_path / "outputs")
    assert len(store.runs("tags.kind = 'sweep'")) == 1
    statuses = sorted(run.info.status for run in store.runs("tags.kind = 'cell'"))
    assert statuses == ["FINISHED"] * 4  # the one cut off went on in its own run
    parents = {run.data.tags["mlflow.parentRunId"] for run in store.runs("tags.kind = 'cell'")}
    assert len(parents) == 1


def test_a_cell_that_another_process_trains_was_not_cut_off(place):
    config = place()
    (cell,), _ = resolve([Request(config, config)], prepared([config]))
    cell.work.mkdir(parents=True)
    Record(cell.work).append("start", name=cell.name, tags=held_by(), at=1)
    store = Store(config.tracking_uri, config.experiment, Path(config.outputs))
    assert sweeps.plan([cell], store)[0].why == f"is in training by process {os.getpid()}, which is waited for"
    Record(cell.work).append("reopen", tags={"process_start": "1.0"})
    assert sweeps.plan([cell], store)[0].why == "was cut off; tried again from the start"
