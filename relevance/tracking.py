"""Sweeps and cells as MLflow runs: the only file that imports mlflow.

sweep "sweep-1f0c9a2e" (parent run, artifact cells.json) → "llm-mhp-joint-s0" (child run: tags, metrics, artifacts)
"""

import json
import logging
import os
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock

from relevance.errors import UserError
from relevance.identity import Cell, cell_folder
from relevance.records import CellRecord, SweepRecord

LIMIT = 50_000  # runs a search returns at most
CELLS = "cells.json"
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

    def data(self, cell: Cell) -> None:
        """Name the pairs as the run's input dataset."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = json.dumps({"uri": cell.rows.name})
        dataset = Dataset(cell.config.data.kind.value, cell.data_digest[:32], "local", source)
        tags = [InputTag("mlflow.data.context", "training")]
        self.store.client.log_inputs(self.run_id, [DatasetInput(dataset, tags)])

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

        os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # which tables it makes
        self.outputs.mkdir(parents=True, exist_ok=True)
        with FileLock(self.outputs / "store.lock"):
            client = MlflowClient(self.uri)
            if client.get_experiment_by_name(self.experiment) is None:
                location = (self.outputs / "artifacts").resolve().as_uri() if self.uri.startswith("sqlite") else None
                client.create_experiment(self.experiment, artifact_location=location, tags=EXPERIMENT)
        return client

    @cached_property
    def experiment_id(self) -> str:
        return self.client.get_experiment_by_name(self.experiment).experiment_id

    def runs(self, wanted: str) -> list:
        """Runs that match an MLflow filter, newest first."""
        order = ["attributes.start_time DESC"]
        return list(self.client.search_runs([self.experiment_id], wanted, max_results=LIMIT, order_by=order))

    def start(self, name: str, tags: dict[str, str]) -> Run:
        run = self.client.create_run(self.experiment_id, run_name=name, tags={**tags, **SOURCE, **_process()})
        return Run(self, run.info.run_id)

    def sweep(self, name: str, fingerprint: str, cells: list[Cell], command: str) -> Run:
        """The sweep's parent run, opened again if the same list of cells was asked for under that name before."""
        asked = f"tags.kind = 'sweep' and tags.fingerprint = '{fingerprint}'"
        found = [run for run in self.runs(asked) if run.info.run_name == name]
        if found:
            run = Run(self, found[0].info.run_id)
            self.client.update_run(run.run_id, status="RUNNING")
        else:
            run = self.start(name, {"kind": "sweep", "fingerprint": fingerprint})
            run.text(json.dumps([_listed(cell) for cell in cells], indent=1), CELLS)
        for key, value in {"command": command, **_process()}.items():
            run.tag(key, value)
        return run

    def finished(self, fingerprints: Iterable[str]) -> dict[str, Any]:
        """The newest FINISHED run of each fingerprint that has one and whose predictions are still there."""
        newest: dict[str, Any] = {}
        for run in self.runs("tags.kind = 'cell' and attributes.status = 'FINISHED'"):
            newest.setdefault(run.data.tags["fingerprint"], run)
        whole = {f for f in fingerprints if (cell_folder(self.outputs, f) / "test.parquet").is_file()}
        return {fingerprint: run for fingerprint, run in newest.items() if fingerprint in whole}

    def bury(self) -> list[str]:
        """Mark runs of this host whose process is gone as KILLED; returns their names."""
        dead = [run for run in self.runs("attributes.status = 'RUNNING'") if _gone(run.data.tags)]
        for run in dead:
            self.client.set_terminated(run.info.run_id, "KILLED")
        return [run.info.run_name for run in dead]


def sweep_record(uri: str, experiment: str, outputs: Path, name: str | None) -> SweepRecord:
    """Everything the report needs of one sweep, the newest where no name is given; UserError where there is none."""
    store = Store(uri, experiment, outputs)
    sweeps = store.runs("tags.kind = 'sweep'")
    chosen = [run for run in sweeps if name in (None, run.info.run_name)]
    if not chosen:
        known = ", ".join(dict.fromkeys(run.info.run_name for run in sweeps)) or "none"
        asked = f"sweep={name}: no such sweep" if name else "no sweep yet"
        raise UserError(f"{asked} in {uri} (known: {known}); train one with python -m relevance.run -m ...")
    # the sweep touched last, not the one made last: asked again, a sweep keeps its first start time
    parent = max(chosen, key=lambda run: int(run.data.tags.get("touched", 0)))
    listed = _load(parent)
    best = _newest(store.runs("tags.kind = 'cell'"))
    cells = tuple(_record(entry, best.get(entry["fingerprint"]), outputs) for entry in listed)
    tags = parent.data.tags
    return SweepRecord(parent.info.run_name, parent.info.run_id, tags["command"], tags["fingerprint"], outputs, cells)


def _newest(runs: list) -> dict[str, Any]:
    """For each fingerprint its newest FINISHED run, else its newest run."""
    best: dict[str, Any] = {}
    for run in sorted(runs, key=lambda run: run.info.status != "FINISHED"):  # stable: newest first in each half
        best.setdefault(run.data.tags["fingerprint"], run)
    return best


def _record(listed: dict[str, Any], run: Any, outputs: Path) -> CellRecord:
    tags = run.data.tags if run else {}
    folder = cell_folder(outputs, listed["fingerprint"])
    return CellRecord(
        **listed,
        status=run.info.status if run else "MISSING",
        run_id=run.info.run_id if run else "",
        git_sha=tags.get("git_commit", ""),
        dirty=tags.get("git_dirty") == "true",
        reason=tags.get("reason", ""),
        folder=folder,
        metrics=dict(run.data.metrics) if run else {},
        versions=json.loads(tags.get("versions", "{}")),
    )


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


def _load(run: Any) -> list[dict[str, Any]]:
    from mlflow.artifacts import load_text

    return json.loads(load_text(f"{run.info.artifact_uri}/{CELLS}"))


def _process() -> dict[str, str]:
    """Who holds a run open: a pid alone may be taken again by another process."""
    me = psutil.Process()
    return {
        "host": socket.gethostname(),
        "pid": str(os.getpid()),
        "process_start": f"{me.create_time():.2f}",
        "touched": str(time.time_ns()),
    }


def _gone(tags: dict[str, str]) -> bool:
    if tags.get("host") != socket.gethostname():
        return False
    try:
        return f"{psutil.Process(int(tags['pid'])).create_time():.2f}" != tags["process_start"]
    except psutil.NoSuchProcess:
        return True
