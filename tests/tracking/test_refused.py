"""What a store refuses is the failure of the cell; what it cannot be told now waits."""

import errno
import os
from importlib.metadata import PackageNotFoundError

import pytest
import requests
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    PERMISSION_DENIED,
    RESOURCE_EXHAUSTED,
    TEMPORARILY_UNAVAILABLE,
)
from small_sweep import record, runs, sweep
from sqlalchemy.exc import OperationalError

from relevance.config import Save
from relevance.tracking import Run
from relevance.tracking.store import reason, unreached

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/store/model")


def answer(status: int) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(str(status), response=response)


def caused(error: Exception) -> MlflowException:
    raised = MlflowException(str(error))
    raised.__cause__ = error
    return raised


@pytest.mark.parametrize(
    "error",
    [
        MlflowException("API request failed"),
        MlflowException("later", TEMPORARILY_UNAVAILABLE),
        MlflowException("too many", RESOURCE_EXHAUSTED),
        MlflowException("who?", PERMISSION_DENIED),
        caused(OperationalError("", {}, Exception("database is locked"))),
        caused(requests.Timeout()),
        requests.ConnectionError(),
        answer(503),
        ConnectionResetError(),
    ],
)
def test_a_store_that_cannot_be_reached_is_told_later(error):
    assert unreached(error)


@pytest.mark.parametrize(
    "error",
    [
        PackageNotFoundError("relevance"),
        FULL,
        TypeError("no text"),
        caused(TypeError("no text")),
        MlflowException("too long", INVALID_PARAMETER_VALUE),
        answer(403),
        answer(413),
    ],
)
def test_what_is_refused_is_not_told_again(error):
    assert not unreached(error)


def test_a_database_that_may_not_be_written_is_called_read_only():
    error = OperationalError("", {}, Exception("attempt to write a readonly database"))
    assert reason(error).startswith("the database is read-only here; let it be written to")


@pytest.mark.parametrize("error", [PackageNotFoundError("relevance"), FULL, TypeError("no text")], ids=repr)
def test_a_cell_whose_model_cannot_be_logged_fails_with_the_text_and_goes_on_once_that_is_mended(
    place, monkeypatch, capsys, error
):
    config = place(save=Save.all)

    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(Run, "model", refuse)
    for _ in range(2):
        assert sweep(config) == 1
        said = capsys.readouterr().err
        assert "record waits" not in said
        assert f"failed: ce-mh-joint-s0: {config.tracking_uri}: does not take its record: " in said
        assert f"{type(error).__name__}: {error}; mend that and give the command again" in said
        (run,) = runs(config)
        assert run.info.status == "FAILED"
        assert str(error) in run.data.tags["reason"]
    monkeypatch.undo()
    assert sweep(config) == 0
    assert "goes on from step" in capsys.readouterr().err
    (run,) = runs(config)
    assert (run.info.status, record(config).cells[0].status) == ("FINISHED", "FINISHED")
    assert run.outputs.model_outputs


def test_a_run_that_a_person_deletes_as_its_cell_trains_is_made_again(place, monkeypatch):
    config, log = place(save=Save.all), Run.model

    def delete(run, **words):
        monkeypatch.setattr(Run, "model", log)
        run.store.client.delete_run(run.run_id)
        log(run, **words)
        run.tags({"any": "tag"})

    monkeypatch.setattr(Run, "model", delete)
    assert sweep(config) == 0
    (run,) = runs(config)
    assert run.info.status == "FINISHED"
