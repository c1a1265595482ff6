"""An `mlflow server` as the store: every command reads and writes there, whatever MLflow is set to globally."""

import sys
import threading
from dataclasses import replace
from pathlib import Path
from socket import socket

import mlflow
import pytest
from small_sweep import record, small_cell, sweep

from relevance.config import Save
from relevance.errors import UserError
from relevance.predict.__main__ import predict
from relevance.report.__main__ import report
from relevance.status.__main__ import status
from relevance.tracking import Store

pytestmark = pytest.mark.filterwarnings("ignore:starlette.middleware.wsgi is deprecated")  # MLflow's server uses it


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """MLflow's server on loopback, in a thread; one of its own process needs most of a minute: tests/services."""
    from mlflow.server import app
    from werkzeug.serving import make_server

    folder, patch = tmp_path_factory.mktemp("server"), pytest.MonkeyPatch()
    patch.setenv("_MLFLOW_SERVER_FILE_STORE", f"sqlite:///{folder}/server.db")
    patch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", "mlflow-artifacts:/")
    patch.setenv("_MLFLOW_SERVER_ARTIFACT_DESTINATION", str(folder / "files"))
    patch.setenv("_MLFLOW_SERVER_SERVE_ARTIFACTS", "true")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()
    patch.undo()


@pytest.fixture(scope="module")
def trained(server, tmp_path_factory, backbones):
    config = small_cell(
        tmp_path_factory.mktemp("served"),
        backbones,
        save=Save.all,
        tracking_uri=f"http://127.0.0.1:{server.server_port}",
    )
    assert sweep(config) == 0
    return config


@pytest.fixture(autouse=True)
def elsewhere(tmp_path):
    """A command of its own process finds MLflow set to a place in its own folder."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/elsewhere.db")
    yield
    assert not (tmp_path / "elsewhere.db").exists()
    mlflow.set_tracking_uri(before)


def call(command, config, monkeypatch, *words: str) -> None:
    places = [f"tracking_uri={config.tracking_uri}", f"outputs={config.outputs}"]
    monkeypatch.setattr(sys, "argv", ["command", *places, *words])
    command()


def test_every_command_reads_and_writes_at_the_server(trained, tmp_path, monkeypatch, capsys):
    call(status, trained, monkeypatch)
    assert "1 cell: 1 finished" in capsys.readouterr().out
    call(report, trained, monkeypatch, f"reports={tmp_path}/reports", "figures=false")
    assert "1 finished" in capsys.readouterr().out
    (run,) = record(trained).runs
    client = Store(trained.tracking_uri, trained.experiment, Path(trained.outputs)).client
    names = [file.path for file in client.list_artifacts(run.run_id, "report")]
    assert "report/matrix.md" in names
    (tmp_path / "pairs.csv").write_text("task,left,right\nquery_item,usb cable,red cable\n")
    words = [f"input={tmp_path}/pairs.csv", f"output={tmp_path}/scored.csv"]
    call(predict, trained, monkeypatch, f"cells={record(trained).cells[0].run_id}", *words)
    assert "p_relevant" in (tmp_path / "scored.csv").read_text()
    assert not (Path(trained.outputs) / "artifacts").exists()


def test_a_list_that_the_server_has_not_is_gone_and_a_server_that_is_gone_is_named(trained):
    store = Store(trained.tracking_uri, trained.experiment, Path(trained.outputs), reads=True)
    (parent,) = store.runs("tags.kind = 'sweep'")
    with pytest.raises(FileNotFoundError, match=r"nothing\.json"):
        store.text(parent, "nothing.json")
    with socket() as gone:
        gone.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{gone.getsockname()[1]}"
    with pytest.raises(UserError, match=rf"tracking_uri={uri}: .*; give sqlite:///FILE or a server"):
        record(replace(trained, tracking_uri=uri))
