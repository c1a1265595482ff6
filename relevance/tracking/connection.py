"""What every question to MLflow goes through: a URI → a client whose schema and experiment are there.

Imports mlflow when it is first asked, and not before.
"""

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock

from relevance.cli import echo
from relevance.config_io import anchored_uri, mask_uris
from relevance.errors import UserError, first_line

EXPERIMENT = {"mlflow.experimentKind": "custom_model_development"}  # the UI then opens its page of training runs
SETTINGS = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # seven, with pauses, take minutes; what is not said now is said later
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


@dataclass(frozen=True)
class Connection:
    """One experiment in one place; relevance.tracking.Store says what is asked of it."""

    uri: str
    experiment: str
    outputs: Path
    new: bool = True  # whether an experiment that is not there is made

    @cached_property
    def client(self):
        """A client whose schema and experiment exist; made under a lock, since two makers break a fresh SQLite."""
        from mlflow import MlflowClient

        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        for name in ("mlflow.store.db.utils", "mlflow.store.tracking.sqlalchemy_store", "mlflow.utils.rest_utils"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # tables they make, errors that are raised besides
        with FileLock(self._lock()), self.reached("give sqlite:///FILE or a server's URI"):
            client = MlflowClient(self.uri)
            known = client.get_experiment_by_name(self.experiment)
            if known is None and not self.new:
                there = ", ".join(one.name for one in client.search_experiments())
                raise UserError(f"experiment={self.experiment}: is not in {self.shown} (there are: {there})")
            if known is None:
                client.create_experiment(self.experiment, artifact_location=self._location(), tags=EXPERIMENT)
        self._check(known)
        return client

    @contextmanager
    def reached(self, remedy: str = "ask again, or give tracking_uri=URI") -> Iterator[None]:
        """Within it a store that does not answer is a UserError."""
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (MlflowException, SQLAlchemyError, ImportError) as error:  # ImportError: a driver is missing
            said = mask_uris(first_line(error))
            raise UserError(f"tracking_uri={self.shown}: {said}; {remedy}") from error

    def _check(self, known: Any) -> None:
        if known and known.lifecycle_stage != "active":
            raise UserError(f"experiment={self.experiment}: is deleted; restore it in MLflow or name another")
        if known and self._location() not in (None, known.artifact_location):
            echo(f"{self.shown} keeps the files of its runs in {known.artifact_location}: was this folder moved?")

    @property
    def shown(self) -> str:
        """The URI as it may be read by others."""
        return mask_uris(self.uri)

    @property
    def key(self) -> str:
        """Which store, in a few letters, and no password; the same from every folder."""
        return hashlib.sha256(f"{anchored_uri(self.uri)} {self.experiment}".encode()).hexdigest()[:16]

    def _lock(self) -> Path:
        """Beside the database, whatever folder a command works in; of a server, in the folder of outputs."""
        file = self.uri.removeprefix("sqlite:///").partition("?")[0]
        lock = Path(f"{file}.lock") if file != self.uri else self.outputs / "store.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        return lock

    def _location(self) -> str | None:
        """Where the files of new runs go; a server decides by itself."""
        return (self.outputs / "artifacts").resolve().as_uri() if self.uri.startswith("sqlite") else None

    @cached_property
    def experiment_id(self) -> str:
        return self.client.get_experiment_by_name(self.experiment).experiment_id
