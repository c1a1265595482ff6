"""Sweeps and cells as MLflow runs: the only file that logs to mlflow (served.py is run by it).

sweep "sweep-1f0c9a2e" (parent run, artifact cells.json) → "llm-mhp-joint-s0" (child run: tags, metrics, artifacts)
"""

import json
import logging
import os
import socket
import time
import warnings
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock

from relevance.commands import say
from relevance.config import Save
from relevance.errors import UserError, first_line
from relevance.identity import Cell
from relevance.predictions import PROBABILITIES

LIMIT = 50_000  # runs a search returns at most
CELLS = "cells.json"
TEST = "test.parquet"  # a cell without it is not finished, whatever its run says
SERVING = ("relevance", "mlflow", "torch", "transformers", "peft", "lightning", "omegaconf", "pandas", "pyarrow")
EXAMPLE = {"left": "usb c cable", "right": "Volt USB-C cable 2 m"}
EXPERIMENT = {"mlflow.experimentKind": "custom_model_development"}  # the UI then opens its page of training runs
SOURCE = {"mlflow.source.name": "relevance.run", "mlflow.source.type": "LOCAL"}


@dataclass(frozen=True)
class Run:
    """One run of ours, open until `end`."""

    store: "Store"
    run_id: str

    def log(self, metrics: dict[str, float], step: int = 0) -> None:
        """One call for many metrics: log_batch costs a tenth of a millisecond each, log_metric several."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        entries = [Metric(key, float(value), now, step) for key, value in metrics.items()]
        self.store.client.log_batch(self.run_id, metrics=entries)

    def params(self, params: dict[str, Any]) -> None:
        from mlflow.entities import Param

        entries = [Param(key, str(value)) for key, value in params.items()]
        self.store.client.log_batch(self.run_id, params=entries)

    def tag(self, key: str, value: str) -> None:
        self.store.client.set_tag(self.run_id, key, value)

    def text(self, text: str, name: str) -> None:
        self.store.client.log_text(self.run_id, text, name)

    def folder(self, path: Path, name: str) -> None:
        """The files of a folder, as artifacts under `name`."""
        self.store.client.log_artifacts(self.run_id, str(path), name)

    def data(self, cell: Cell) -> None:
        """Name the pairs as the run's input dataset."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = json.dumps({"uri": cell.rows.name})
        dataset = Dataset(cell.config.data.kind.value, cell.data_digest[:32], "local", source)
        tags = [InputTag("mlflow.data.context", "training")]
        self.store.client.log_inputs(self.run_id, [DatasetInput(dataset, tags)])

    def model(self, folder: Path, task: str) -> None:
        """Carry the model in `folder` as a pyfunc model that MLflow serves; code and safetensors, no pickle.

        MLflow scores an example with it: a pair of `task`, one that the model was trained on.
        """
        from mlflow.models import Model, ModelSignature
        from mlflow.types.schema import ColSpec, Schema

        example = {"task": task, **EXAMPLE}
        asked = Schema([ColSpec("string", name) for name in example])
        given = Schema([ColSpec("long", "label"), *(ColSpec("double", name) for name in PROBABILITIES)])
        Model.log(
            artifact_path=None,
            name="model",
            flavor=_pyfunc(self.store),
            run_id=self.run_id,
            python_model=str(Path(__file__).with_name("served.py")),
            artifacts={"model": str(folder)},
            signature=ModelSignature(asked, given),
            input_example={name: [value] for name, value in example.items()},
            pip_requirements=[f"{package}=={version(package)}" for package in SERVING],
        )

    def end(self, status: str) -> None:
        """FINISHED, FAILED or KILLED."""
        self.store.client.set_terminated(self.run_id, status)


@dataclass(frozen=True)
class Store:
    """The project's MLflow store: one experiment of sweeps and cells."""

    uri: str
    experiment: str
    outputs: Path

    @cached_property
    def client(self):
        """A client whose schema and experiment exist; made under a lock, since two makers break a fresh SQLite."""
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # which tables it makes
        self.outputs.mkdir(parents=True, exist_ok=True)
        with FileLock(self.outputs / "store.lock"):
            try:
                client = MlflowClient(self.uri)
                known = client.get_experiment_by_name(self.experiment)
            except (MlflowException, SQLAlchemyError) as error:
                said = first_line(error)
                raise UserError(f"tracking_uri={self.uri}: {said}; give sqlite:///FILE or a server's URI") from error
            if known is None:
                client.create_experiment(self.experiment, artifact_location=self._location(), tags=EXPERIMENT)
            elif known.lifecycle_stage != "active":
                raise UserError(f"experiment={self.experiment}: is deleted; restore it in MLflow or name another")
            elif self._location() not in (None, known.artifact_location):
                say(f"{self.uri} keeps the files of its runs in {known.artifact_location}: was this folder moved?")
        return client

    def _location(self) -> str | None:
        """Where the files of new runs go; a server decides by itself."""
        return (self.outputs / "artifacts").resolve().as_uri() if self.uri.startswith("sqlite") else None

    @cached_property
    def experiment_id(self) -> str:
        return self.client.get_experiment_by_name(self.experiment).experiment_id

    def runs(self, wanted: str) -> list:
        """Runs that match an MLflow filter, newest first."""
        order = ["attributes.start_time DESC"]
        return list(self.client.search_runs([self.experiment_id], wanted, max_results=LIMIT, order_by=order))

    def text(self, run: Any, name: str) -> str:
        """A text that was logged with a run; raises OSError where it is not there any more."""
        from mlflow.artifacts import load_text
        from mlflow.exceptions import MlflowException

        try:
            return load_text(f"{run.info.artifact_uri}/{name}")
        except MlflowException as error:
            raise FileNotFoundError(f"{run.info.artifact_uri}/{name}") from error

    def start(self, name: str, tags: dict[str, str]) -> Run:
        run = self.client.create_run(self.experiment_id, run_name=name, tags={**tags, **SOURCE, **_process()})
        return Run(self, run.info.run_id)

    def sweep(self, name: str, fingerprint: str, cells: list[Cell], command: str) -> Run:
        """The sweep's parent run, opened again if the same list of cells was asked for under that name before."""
        namesakes = [run for run in self.runs("tags.kind = 'sweep'") if run.info.run_name == name]
        found = [run for run in namesakes if run.data.tags["fingerprint"] == fingerprint]
        if len(namesakes) > len(found):
            say(f"name={name}: an earlier sweep of other cells has it too; a report shows the one asked for last")
        if found:
            run = Run(self, found[0].info.run_id)
            self.client.update_run(run.run_id, status="RUNNING")
        else:
            run = self.start(name, {"kind": "sweep", "fingerprint": fingerprint})
        run.text(json.dumps([_listed(cell) for cell in cells], indent=1), CELLS)
        for key, value in {"command": command, **_process()}.items():
            run.tag(key, value)
        return run

    def finished(self, cells: list[Cell]) -> dict[str, Any]:
        """By fingerprint, the newest FINISHED run of each cell that has one and whose files are still there."""
        newest: dict[str, Any] = {}
        for run in self.runs("tags.kind = 'cell' and attributes.status = 'FINISHED'"):
            newest.setdefault(run.data.tags["fingerprint"], run)
        whole = {cell.fingerprint for cell in cells if _whole(cell)}
        return {fingerprint: run for fingerprint, run in newest.items() if fingerprint in whole}

    def bury(self) -> list[str]:
        """Mark runs of this host whose process is gone as KILLED; returns their names."""
        dead = [run for run in self.runs("attributes.status = 'RUNNING'") if _gone(run.data.tags)]
        for run in dead:
            self.client.set_terminated(run.info.run_id, "KILLED")
        return [run.info.run_name for run in dead]


def _whole(cell: Cell) -> bool:
    """Whether the cell's folder holds all it was asked to leave."""
    asked = ["validation.parquet", TEST, *(["model/config.yaml"] if cell.config.save is Save.all else [])]
    return all((cell.folder / name).is_file() for name in asked)


def _listed(cell: Cell) -> dict[str, Any]:
    c = cell.config
    return {
        "cell": cell.name,
        "model": c.model.name,
        "routing": c.routing.name,
        "task_mix": c.task_mix.name,
        "variant": cell.variant,
        "seed": c.seed,
        "fingerprint": cell.fingerprint,
        "data_digest": cell.data_digest,
    }


def _process() -> dict[str, str]:
    """Who holds a run open: a pid alone may be taken again by another process."""
    me = psutil.Process()
    return {
        "host": socket.gethostname(),
        "pid": str(os.getpid()),
        "process_start": f"{me.create_time():.2f}",
        "touched": str(time.time_ns()),
    }


def _pyfunc(store: Store):
    """MLflow's flavour of python functions, told where models go: it knows of a store only what is set globally."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*Any type hint is inferred", UserWarning)  # mlflow's, of its own classes
        import mlflow.pyfunc
    os.environ["MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING"] = "false"
    logging.getLogger("mlflow.pyfunc").setLevel(logging.WARNING)  # that it validates its example
    mlflow.set_tracking_uri(store.uri)
    mlflow.set_experiment(experiment_id=store.experiment_id)
    return mlflow.pyfunc


def _gone(tags: dict[str, str]) -> bool:
    if tags.get("host") != socket.gethostname():
        return False
    try:
        return f"{psutil.Process(int(tags['pid'])).create_time():.2f}" != tags["process_start"]
    except psutil.NoSuchProcess:
        return True
