"""One run in MLflow, written to directly: what a cell or a sweep says → tags, metrics, artifacts.

with beating(run): ...    its tag `pulse` says once a minute that its process is there; tracking.liveness reads it
"""

import contextlib
import json
import logging
import os
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from relevance.tracking.connection import Connection

BATCH = 1000  # metrics a server takes at once
BEAT = 60.0  # seconds; a tenth of the silence after which relevance.tracking.liveness takes a run for dead
SERVING = ("relevance", "mlflow", "torch", "transformers", "peft", "lightning", "omegaconf", "pandas", "pyarrow")
EXAMPLE = {"left": "usb c cable", "right": "Volt USB-C cable 2 m"}


@dataclass(frozen=True)
class Run:
    """One run of ours, open until `end`. What is said twice with the same times is stored once."""

    store: Connection
    run_id: str

    def log(self, metrics: dict[str, float], step: int, at: int) -> None:
        """Metrics of one moment, `at` in milliseconds; one call for many: log_batch costs a tenth of a millisecond
        each, log_metric several."""
        from mlflow.entities import Metric

        entries = [Metric(key, float(value), at, step) for key, value in metrics.items()]
        for start in range(0, len(entries), BATCH):
            self.store.client.log_batch(self.run_id, metrics=entries[start : start + BATCH])

    def params(self, params: dict[str, str]) -> None:
        """Params may not change: of a cell that goes on elsewhere, those of its first start stay."""
        from mlflow.entities import Param

        known = self.store.client.get_run(self.run_id).data.params
        entries = [Param(key, value) for key, value in params.items() if key not in known]
        self.store.client.log_batch(self.run_id, params=entries)

    def tags(self, tags: dict[str, str]) -> None:
        from mlflow.entities import RunTag

        self.store.client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in tags.items()])

    def text(self, text: str, name: str) -> None:
        self.store.client.log_text(self.run_id, text, name)

    def folder(self, path: Path, name: str) -> None:
        """The files of a folder, as artifacts under `name`."""
        self.store.client.log_artifacts(self.run_id, str(path), name)

    def data(self, name: str, digest: str, kind: str) -> None:
        """Name the pairs as the run's input dataset."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(kind, digest[:32], "local", json.dumps({"uri": name}))
        tags = [InputTag("mlflow.data.context", "training")]
        self.store.client.log_inputs(self.run_id, [DatasetInput(dataset, tags)])

    def model(self, folder: str, task: str) -> None:
        """Carry the model in `folder` as a pyfunc model that MLflow serves; code and safetensors, no pickle.

        MLflow scores an example with it: a pair of `task`, one that the model was trained on. Once a run.
        """
        from mlflow.models import Model, ModelSignature
        from mlflow.types.schema import ColSpec, Schema

        from relevance.predictions import PROBABILITIES  # takes pyarrow along, which no other word to a run needs

        outputs = self.store.client.get_run(self.run_id).outputs
        if outputs and outputs.model_outputs:
            return
        example = {"task": task, **EXAMPLE}
        asked = Schema([ColSpec("string", name) for name in example])
        given = Schema([ColSpec("long", "label"), *(ColSpec("double", name) for name in PROBABILITIES)])
        Model.log(
            artifact_path=None,
            name="model",
            flavor=_pyfunc(self.store),
            run_id=self.run_id,
            python_model=str(Path(__file__).parents[1] / "predict" / "served.py"),
            artifacts={"model": folder},
            signature=ModelSignature(asked, given),
            input_example={name: [value] for name, value in example.items()},
            pip_requirements=[f"{package}=={version(package)}" for package in SERVING],
        )

    def reopen(self, tags: dict[str, str]) -> None:
        """RUNNING once more, held by another process."""
        self.store.client.update_run(self.run_id, status="RUNNING")
        self.tags(tags)

    def end(self, status: str, at: int | None = None) -> None:
        """FINISHED, FAILED or KILLED, `at` in milliseconds."""
        self.store.client.set_terminated(self.run_id, status, at or int(time.time() * 1000))


def _pyfunc(store: Connection) -> Any:
    """MLflow's flavour of python functions, told where models go: it knows of a store only what is set globally."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*Any type hint is inferred", UserWarning)  # mlflow's, of its own classes
        import mlflow.pyfunc
    os.environ["MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING"] = "false"
    logging.getLogger("mlflow.pyfunc").setLevel(logging.WARNING)  # that it validates its example
    mlflow.set_tracking_uri(store.uri)
    mlflow.set_experiment(experiment_id=store.experiment_id)
    return mlflow.pyfunc


@contextlib.contextmanager
def beating(run: Run) -> Iterator[None]:
    """Within it the run shows once a minute that its process is there; a store that does not answer misses a beat."""
    ended = threading.Event()
    thread = threading.Thread(target=_beat, args=(run, ended), name="heart", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()


def _beat(run: Run, ended: threading.Event) -> None:
    while True:
        with contextlib.suppress(Exception):  # whatever a store raises: the cells say that it does not answer
            run.tags({"pulse": json.dumps({"at": time.time()})})
        if ended.wait(BEAT):
            return
