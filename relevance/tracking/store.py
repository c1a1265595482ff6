"""The project's MLflow store: an experiment, its runs, and what is logged to one of them.

Store("sqlite:///mlflow.db", "relevance", Path("outputs")).runs("tags.kind = 'cell'") → [run, ...]
with beating(run): ...    its tag `pulse` says once a minute that its process is there; liveness.py reads it

mlflow is imported when the store is first used, and not before.
"""

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from filelock import FileLock

from relevance.cell_id import Cell, CellFolder
from relevance.cli import echo
from relevance.config import NAMES, Save
from relevance.config_io import anchored_uri, database_file
from relevance.errors import UserError, first_line
from relevance.masking import know_password, mask_message, mask_texts, mask_uris
from relevance.tracking.liveness import Life, held_by, life
from relevance.tracking.location import READ_ONLY, Database, unmade
from relevance.tracking.records import TAG, VIEW, MlflowRun, shown

LIMIT = 50_000  # runs a search returns at most
CELLS = "cells.json"
OURS = "tags.`mlflow.source.name` = 'relevance.run'"  # others may keep runs of their own in the experiment
SOURCE = {"mlflow.source.name": "relevance.run", "mlflow.source.type": "LOCAL"}
BATCH = 1000  # metrics a server takes at once
BEAT = 60.0  # seconds; a tenth of the silence after which relevance.tracking.liveness takes a run for dead
EXPERIMENT = {"mlflow.experimentKind": "custom_model_development", TAG: VIEW}  # training runs, not traces
LATER = {401, 403, 408, 429, 499}  # of HTTP: who asks must wait or prove who they are; other 4xx refuse what is said
SQLITE_SHUT = "readonly database"
OPENED = "give sqlite:///FILE or a server's URI"
SETTINGS = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # seven, with pauses, take minutes; what is not said now is said later
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


@dataclass(frozen=True)
class Store:
    """The project's MLflow store: one experiment of sweeps and cells."""

    uri: str
    experiment: str
    outputs: Path
    reads: bool = False  # then nothing is made, and nobody needs leave to write

    def __post_init__(self) -> None:
        know_password(self.uri)

    @cached_property
    def client(self):
        """A client whose schema and experiment exist; made under a lock, since two makers break a fresh SQLite."""
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        for name in ("mlflow.store.db.utils", "mlflow.store.tracking.sqlalchemy_store", "mlflow.utils.rest_utils"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # tables they make, errors that are raised besides
        try:
            with self.reached(OPENED):
                return self._reading() if self.reads else self._writing()
        except ImportError as error:  # a driver is missing
            raise UserError(f"tracking_uri={self.shown}: {reason(error)}; {OPENED}") from error

    def _reading(self):
        from mlflow import MlflowClient

        with unmade(self._lock):
            if self._database:
                self._database.check_made()
            client = MlflowClient(anchored_uri(self.uri))  # MLflow keeps it open: the caller may change folders
        known = client.get_experiment_by_name(self.experiment)
        if known is None:
            there = ", ".join(experiment.name for experiment in client.search_experiments())
            raise UserError(f"experiment={self.experiment}: is not in {self.shown} (there are: {there})")
        self._check(known)
        return client

    def _writing(self):
        from mlflow import MlflowClient

        if self._database:
            self._database.check_writable()
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._lock):
            client = MlflowClient(anchored_uri(self.uri))  # MLflow keeps it open: the caller may change folders
            known = client.get_experiment_by_name(self.experiment)
            if known is None:  # a server decides by itself where files go
                location = self._database.location if self._database else None
                client.create_experiment(self.experiment, artifact_location=location, tags=EXPERIMENT)
                return client
            self._check(known)
            if known.tags.get(TAG) != VIEW:
                client.set_experiment_tag(known.experiment_id, TAG, VIEW)
            if self._database:
                self._anchor(self._database, known)
        return client

    def _check(self, known: Any) -> None:
        if known.lifecycle_stage != "active":
            raise UserError(f"experiment={self.experiment}: is deleted; restore it in MLflow or name another")

    def _anchor(self, database: Database, known: Any) -> None:
        """The files of a project that was moved or copied are its own from now on."""
        there = known.artifact_location
        if database.came_from(there):
            database.adopt(known.experiment_id, there)
            echo(f"{self.shown}: was moved or copied here; the files of its runs are no longer looked for in {there}")
        elif there != database.location:
            echo(f"{self.shown} keeps the files of its runs in {there}, whatever outputs= says")

    @contextmanager
    def reached(self, remedy: str = "ask again, or give tracking_uri=URI") -> Iterator[None]:
        """Within it a store that does not answer is a UserError."""
        from mlflow.exceptions import MlflowException
        from requests import RequestException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (MlflowException, SQLAlchemyError, RequestException) as error:
            raise UserError(f"tracking_uri={self.shown}: {reason(error)}; {remedy}") from error

    @property
    def shown(self) -> str:
        """The URI as it may be read by others."""
        return mask_uris(self.uri)

    @property
    def key(self) -> str:
        """Which store, in a few letters, and no password; the same from every folder."""
        return hashlib.sha256(f"{anchored_uri(self.uri)} {self.experiment}".encode()).hexdigest()[:16]

    @cached_property
    def _database(self) -> Database | None:
        file = database_file(self.uri)
        return Database(file, (self.outputs / "artifacts").resolve(), self.shown) if file else None

    @property
    def _lock(self) -> Path:
        """Beside the database, whatever folder a command works in; of a server, in the folder of outputs."""
        file = database_file(self.uri)
        return file.with_name(f"{file.name}.lock") if file else self.outputs / "store.lock"

    @cached_property
    def _known(self) -> Any:
        return self.client.get_experiment_by_name(self.experiment)

    @cached_property
    def experiment_id(self) -> str:
        return self._known.experiment_id

    def runs(self, wanted: str) -> list[MlflowRun]:
        """Our runs of which that is so, newest first; of others, and of those whose tags were removed, none."""
        order = ["attributes.start_time DESC"]
        runs = self.client.search_runs([self.experiment_id], f"{wanted} and {OURS}", max_results=LIMIT, order_by=order)
        return [run for run in runs if "fingerprint" in run.data.tags]

    def text(self, run: MlflowRun, name: str) -> str:
        """A text that was logged with a run; raises OSError where it is not there any more."""
        files = self.files(run.info.run_id)
        if name not in {file.path for file in files.list_artifacts()}:
            raise FileNotFoundError(f"{run.info.artifact_uri}/{name}")
        with TemporaryDirectory(prefix="relevance-") as folder:
            return Path(files.download_artifacts(name, folder)).read_text(encoding="utf-8")

    def files(self, run_id: str) -> Any:
        """MLflow's repository of the files of a run: of this store, whatever MLflow is set to globally."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        there, uri = self._known.artifact_location, self.client.get_run(run_id).info.artifact_uri
        if self._database and self._database.came_from(there):  # and no writer has changed what it says yet
            uri = f"{self._database.location}{uri.removeprefix(there)}"
        return get_artifact_repository(uri, tracking_uri=anchored_uri(self.uri))

    def knows(self, run_id: str) -> bool:
        from mlflow.exceptions import MlflowException
        from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode

        try:
            return bool(run_id) and self.client.get_run(run_id).info.lifecycle_stage == "active"
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
                raise
            return False

    def start(self, name: str, tags: dict[str, str], at: int | None = None) -> "Run":
        """A new run, begun `at` (milliseconds; null: now); of a longer name MLflow keeps the beginning."""
        tags, name = mask_texts({**tags, **SOURCE}), mask_uris(name)[:NAMES]
        run = self.client.create_run(self.experiment_id, at, tags, run_name=name)
        return Run(self, run.info.run_id)

    def sweep(self, name: str, fingerprint: str, cells: list[Cell], command: str) -> "Run":
        """The sweep's parent run, opened again if the same list of cells was asked for under that name before."""
        namesakes = [run for run in self.runs("tags.kind = 'sweep'") if run.info.run_name == name]
        same = [run for run in namesakes if run.data.tags["fingerprint"] == fingerprint]
        if len(namesakes) > len(same):
            echo(f"name={name}: an earlier sweep of other cells has it too; a report shows the one asked for last")
        tags = {"kind": "sweep", "fingerprint": fingerprint}
        run = Run(self, same[0].info.run_id) if same else self.start(name, tags)
        run.text(json.dumps([listed(cell) for cell in cells], indent=1), CELLS)
        run.reopen({"command": command, **held_by()})
        return run

    def finished(self, cells: list[Cell], runs: list[MlflowRun] | None = None) -> dict[str, MlflowRun]:
        """By fingerprint the newest FINISHED run whose files are there; `runs`: all, newest first, where known."""
        whole = {cell.fingerprint for cell in cells if _whole(cell)}
        if not whole:  # all runs of a store take seconds
            return {}
        best = newest_finished(self.runs("tags.kind = 'cell'") if runs is None else runs)
        return {key: run for key, run in best.items() if key in whole and run.info.status == "FINISHED"}

    def bury(self) -> list[str]:
        """Mark runs whose process is gone, or silent on another host, as KILLED; returns their names."""
        running, now = self.runs("attributes.status = 'RUNNING'"), time.time()
        dead = [run for run in running if life(run.data.tags, now) is Life.dead]
        for run in dead:
            self.client.set_terminated(run.info.run_id, "KILLED")
        return [run.info.run_name for run in dead]


def newest_finished(runs: list[MlflowRun]) -> dict[str, MlflowRun]:
    """For each fingerprint its newest FINISHED run, else its newest run."""
    best: dict[str, MlflowRun] = {}
    for run in sorted(runs, key=lambda run: run.info.status != "FINISHED"):  # stable: newest first in each half
        best.setdefault(run.data.tags["fingerprint"], run)
    return best


@dataclass(frozen=True)
class Run:
    """One run of ours, open until `end`. What is said twice with the same times is stored once."""

    store: Store
    run_id: str

    def log(self, metrics: dict[str, float], step: int, at: int) -> None:
        """What is `shown` of metrics at one time, in milliseconds; log_metric takes 4 ms each, log_batch 0.1."""
        from mlflow.entities import Metric

        metrics, counts = shown(metrics)
        if counts:
            self.params(counts)
        entries = [Metric(key, float(value), at, step) for key, value in metrics.items()]
        for start in range(0, len(entries), BATCH):
            self.store.client.log_batch(self.run_id, metrics=entries[start : start + BATCH])

    def params(self, params: dict[str, str]) -> None:
        """Params may not change: of a cell that goes on elsewhere, those of its first start stay."""
        from mlflow.entities import Param

        known = self.store.client.get_run(self.run_id).data.params
        entries = [Param(key, mask_uris(value)) for key, value in params.items() if key not in known]
        self.store.client.log_batch(self.run_id, params=entries)

    def tags(self, tags: dict[str, str]) -> None:
        from mlflow.entities import RunTag

        self.store.client.log_batch(self.run_id, tags=[RunTag(key, mask_uris(value)) for key, value in tags.items()])

    def text(self, text: str, name: str) -> None:
        with TemporaryDirectory(prefix="relevance-") as folder:
            path = Path(folder) / name
            path.write_text(mask_uris(text), encoding="utf-8")
            self.store.files(self.run_id).log_artifact(str(path))

    def folder(self, path: Path, name: str) -> None:
        self.store.files(self.run_id).log_artifacts(str(path), name)

    def data(self, name: str, digest: str, kind: str) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(kind, digest[:32], "local", json.dumps({"uri": name}))
        tags = [InputTag("mlflow.data.context", "training")]
        self.store.client.log_inputs(self.run_id, [DatasetInput(dataset, tags)])

    def model(self, folder: str, task: str) -> None:
        """Carry the model in `folder` as one that MLflow serves, see relevance.tracking.serving. Once a run."""
        from relevance.tracking.serving import log_model  # takes pyarrow along, which no other word to a run needs

        outputs = self.store.client.get_run(self.run_id).outputs
        if not (outputs and outputs.model_outputs):
            log_model(self, folder, task)

    def reopen(self, tags: dict[str, str]) -> None:
        """RUNNING once more, held by another process."""
        self.store.client.update_run(self.run_id, status="RUNNING")
        self.tags(tags)

    def end(self, status: str, at: int | None = None) -> None:
        """FINISHED, FAILED or KILLED, `at` in milliseconds."""
        self.store.client.set_terminated(self.run_id, status, at or int(time.time() * 1000))


@contextmanager
def beating(run: Run) -> Iterator[None]:
    """Within it the run shows once a minute that its process is there; a store that does not answer misses a beat."""
    ended = threading.Event()

    def beat() -> None:
        while True:
            with suppress(Exception):  # whatever a store raises: the cells say that it does not answer
                run.tags({"pulse": json.dumps({"at": time.time()})})
            if ended.wait(BEAT):
                return

    threading.Thread(target=beat, name="pulse", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _whole(cell: Cell) -> bool:
    """Whether the cell's folder holds all it was asked to leave, and as it was left."""
    from relevance.predictions import cell_fault  # takes pyarrow along

    files = cell.files
    model = [CellFolder(files.model).config] if cell.config.save is Save.all else []
    return all(path.is_file() for path in (files.validation, files.test, *model)) and not cell_fault(files)


def listed(cell: Cell) -> dict[str, Any]:
    """What a sweep's list says of a cell, see relevance.tracking.history."""
    digests = {"fingerprint": cell.fingerprint, "data_digest": cell.data_digest}
    refused = {"status": "REFUSED", "reason": cell.refusal} if cell.refusal else {}
    return {"cell": cell.name, **cell.axes, **digests, **refused, **({"asked": cell.asked} if cell.asked > 1 else {})}


def unreached(error: BaseException) -> bool:
    """Whether a store did not answer, or takes nothing now: what was said to it can be said again later."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import DBAPIError

    if isinstance(error, MlflowException):
        status = error.get_http_status_code()
        return unreached(error.__cause__) if error.__cause__ else status >= 500 or status in LATER
    if isinstance(error, RequestException) and error.response is not None:  # of a server's place of files
        return error.response.status_code >= 500
    return isinstance(error, RequestException | DBAPIError | ConnectionError | TimeoutError)


def reason(error: BaseException) -> str:
    """What the error says, on a line without passwords."""
    line = mask_message(first_line(error))
    return f"the database {READ_ONLY}" if SQLITE_SHUT in line else line
