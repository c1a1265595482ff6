"""The store under load and without it: one schema for many makers, a record that waits and is delivered once."""

import multiprocessing
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy
from small_sweep import record, runs, sweep

from relevance.cell_id import CellFolder
from relevance.errors import UserError
from relevance.sweep import attempt
from relevance.tracking import CellRun, Record, RecordedRun, Store, cell_run, deliver_all

MAKERS = 8


def make(uri: str, outputs: Path, start) -> None:
    start.wait()
    Store(uri, "relevance", outputs).client.search_experiments()


def broken_makers(folder: Path) -> list[int]:
    """Exit codes of eight processes that open a fresh SQLite file at once."""
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401  # once, for all forks

    fork = multiprocessing.get_context("fork")
    start = fork.Event()
    uri = f"sqlite:///{folder}/mlflow.db"
    workers = [fork.Process(target=make, args=(uri, folder / "outputs", start)) for _ in range(MAKERS)]
    for worker in workers:
        worker.start()
    start.set()
    for worker in workers:
        worker.join()
    return [worker.exitcode for worker in workers if worker.exitcode]


def test_eight_processes_on_a_fresh_file_make_one_schema(tmp_path):
    assert broken_makers(tmp_path) == []
    assert len(Store(f"sqlite:///{tmp_path}/mlflow.db", "relevance", tmp_path).client.search_experiments()) == 2


def test_a_store_that_is_locked_stops_no_cell_and_hears_it_later(place, monkeypatch, capsys):
    config, train, carry = place(), attempt.train_cell, CellRun.carry
    file = config.tracking_uri.removeprefix("sqlite:///")

    def locked(cell, run):
        lock.execute("BEGIN EXCLUSIVE")
        train(cell, run)

    def given_up(run, patience=None):
        carry(run, patience)
        lock.execute("ROLLBACK")  # not before the cell no longer waits

    monkeypatch.setattr(attempt, "train_cell", locked)
    monkeypatch.setattr(CellRun, "carry", given_up)
    monkeypatch.setattr(cell_run, "PATIENCE", 0.5)
    impatient = SimpleNamespace(text=lambda words: sqlalchemy.text(words.replace("= 20000", "= 200")))
    monkeypatch.setattr("mlflow.store.db.utils.sql", impatient)  # it waits 20 s for each lock
    with closing(sqlite3.connect(file, isolation_level=None, timeout=30)) as lock:
        sweep(config)
    assert "the next command delivers it" in capsys.readouterr().err
    monkeypatch.undo()
    assert sweep(config) == 0
    assert [run.info.status for run in runs(config)] == ["FINISHED"]
    assert "what MLflow had not heard of it is delivered" in capsys.readouterr().err


def test_a_store_that_was_lost_is_filled_again_from_the_records(place):
    config = place()
    sweep(config)
    before = runs(config)[0]
    Path(config.tracking_uri.removeprefix("sqlite:///")).unlink()
    attempt._store.cache_clear()
    fresh = Store(config.tracking_uri, config.experiment, Path(config.outputs))
    fresh_runs = _anew(config, fresh)
    assert [run.info.status for run in fresh_runs] == ["FINISHED"]
    same = {key: value for key, value in before.data.metrics.items() if key != "seconds"}
    assert {key: fresh_runs[0].data.metrics[key] for key in same} == same


def _anew(config, store: Store) -> list:
    import mlflow.tracking._tracking_service.utils as service

    service._tracking_store_registry._get_store_with_resolved_uri.cache_clear()
    folder = next(Path(config.outputs).glob("cells/*/record.jsonl")).parent
    deliver_all(store, "", [folder])
    deliver_all(store, "", [folder])
    return store.runs("tags.kind = 'cell'")


def test_a_record_is_said_once_however_often_it_is_sent(place):
    config = place()
    sweep(config)
    store = Store(config.tracking_uri, config.experiment, Path(config.outputs))
    folder = record(config).cells[0].folder
    history = store.client.get_metric_history(record(config).cells[0].run_id, "train/loss")
    (folder / "record.sent").unlink()
    assert deliver_all(store) == [record(config).cells[0].cell]
    assert len(runs(config)) == 1
    again = store.client.get_metric_history(record(config).cells[0].run_id, "train/loss")
    assert [point.value for point in again] == [point.value for point in history]


def test_half_a_line_is_cut_off_and_the_run_goes_on(tmp_path):
    whole = Record(tmp_path)
    whole.append("start", name="a", tags={}, at=1)
    whole.append("log", metrics={"x": 1.0}, step=3, at=2)
    with whole.path.open("ab") as file:
        file.write(b'["log",{"metr')
    whole.mend()
    whole.append("end", status="KILLED", at=3)
    assert [name for (name, _), _ in whole.events()] == ["start", "log", "end"]
    assert whole.ended() == "KILLED"


def test_how_far_ranks_of_an_earlier_attempt_were_is_not_told_of_this_one(place):
    config = place()
    folder = Path(config.outputs) / "cells" / "a.part"
    folder.mkdir(parents=True)
    CellFolder(folder).progress.write_text('{"step": 70}')
    run = CellRun(Store(config.tracking_uri, config.experiment, Path(config.outputs)), folder).open("a", {})
    assert run._courier._progress() == {"step": 0}
    run.end("KILLED")
    run.carry()


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_metric_that_is_no_number_is_not_stored(tmp_path, value):
    run = RecordedRun(tmp_path)
    with pytest.raises(FloatingPointError, match=r"loss is (inf|nan) at step 7"):
        run.log({"loss": value}, 7)
    assert not run.record.exists()


def test_a_store_that_is_not_there_is_named_without_its_password(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    store = Store("http://ana:hunter2@127.0.0.1:1", "relevance", tmp_path)
    with pytest.raises(UserError, match=r"tracking_uri=http://\*\*\*@127") as error:
        _ = store.client
    assert "hunter2" not in str(error.value)


def test_a_stop_takes_no_longer_than_its_haste(place, monkeypatch):
    """The store hangs; the cell that is asked to stop does not wait for it."""
    config = place()
    monkeypatch.setattr(attempt, "HASTE", 0.3)

    def interrupted(cell, run):
        monkeypatch.setattr(cell_run, "deliver", lambda *_, **__: time.sleep(3))
        raise KeyboardInterrupt

    monkeypatch.setattr(attempt, "train_cell", interrupted)
    assert sweep(config) == 130
    assert Record(next(Path(config.outputs).glob("cells/*.part"))).ended() == "KILLED"
