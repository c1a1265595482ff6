"""The project's MLflow store: what is asked of it about sweeps and cells, and what begins in it."""

import json
import time
from typing import Any

from relevance.cell_folder import CellFolder
from relevance.cell_id import Cell
from relevance.cli import echo
from relevance.config import NAMES, Save
from relevance.tracking.connection import Connection
from relevance.tracking.liveness import Life, held_by, life
from relevance.tracking.records import MlflowRun
from relevance.tracking.run import Run

LIMIT = 50_000  # runs a search returns at most
CELLS = "cells.json"
SOURCE = {"mlflow.source.name": "relevance.run", "mlflow.source.type": "LOCAL"}


class Store(Connection):
    """The project's MLflow store: one experiment of sweeps and cells."""

    def runs(self, wanted: str) -> list[MlflowRun]:
        """Runs that match an MLflow filter, newest first."""
        order = ["attributes.start_time DESC"]
        return list(self.client.search_runs([self.experiment_id], wanted, max_results=LIMIT, order_by=order))

    def text(self, run: MlflowRun, name: str) -> str:
        """A text that was logged with a run; raises OSError where it is not there any more."""
        from mlflow.artifacts import load_text
        from mlflow.exceptions import MlflowException

        try:
            return load_text(f"{run.info.artifact_uri}/{name}")
        except MlflowException as error:
            raise FileNotFoundError(f"{run.info.artifact_uri}/{name}") from error

    def knows(self, run_id: str) -> bool:
        """Whether the run is there and not deleted."""
        from mlflow.exceptions import MlflowException
        from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode

        try:
            return bool(run_id) and self.client.get_run(run_id).info.lifecycle_stage == "active"
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
                raise
            return False

    def start(self, name: str, tags: dict[str, str], at: int | None = None) -> Run:
        """A new run, begun `at` (milliseconds; null: now); of a longer name MLflow keeps the beginning."""
        run = self.client.create_run(self.experiment_id, at, {**tags, **SOURCE}, run_name=name[:NAMES])
        return Run(self, run.info.run_id)

    def sweep(self, name: str, fingerprint: str, cells: list[Cell], command: str) -> Run:
        """The sweep's parent run, opened again if the same list of cells was asked for under that name before."""
        namesakes = [run for run in self.runs("tags.kind = 'sweep'") if run.info.run_name == name]
        found = [run for run in namesakes if run.data.tags["fingerprint"] == fingerprint]
        if len(namesakes) > len(found):
            echo(f"name={name}: an earlier sweep of other cells has it too; a report shows the one asked for last")
        if found:
            run = Run(self, found[0].info.run_id)
        else:
            run = self.start(name, {"kind": "sweep", "fingerprint": fingerprint})
        run.text(json.dumps([_listed(cell) for cell in cells], indent=1), CELLS)
        run.reopen({"command": command, **held_by()})
        return run

    def finished(self, cells: list[Cell], runs: list[MlflowRun] | None = None) -> dict[str, MlflowRun]:
        """By fingerprint, the newest FINISHED run of each cell that has one and whose files are still there.

        `runs` are those of all cells, newest first, where they were asked for already.
        """
        whole = {cell.fingerprint for cell in cells if _whole(cell)}
        if not whole:  # all runs of a store take seconds
            return {}
        newest: dict[str, MlflowRun] = {}
        for run in self.runs("tags.kind = 'cell'") if runs is None else runs:
            if run.info.status == "FINISHED":
                newest.setdefault(run.data.tags["fingerprint"], run)
        return {fingerprint: run for fingerprint, run in newest.items() if fingerprint in whole}

    def bury(self) -> list[str]:
        """Mark runs whose process is gone, or silent on another host, as KILLED; returns their names."""
        running, now = self.runs("attributes.status = 'RUNNING'"), time.time()
        dead = [run for run in running if life(run.data.tags, now) is Life.dead]
        for run in dead:
            self.client.set_terminated(run.info.run_id, "KILLED")
        return [run.info.run_name for run in dead]


def _whole(cell: Cell) -> bool:
    """Whether the cell's folder holds all it was asked to leave."""
    files = cell.files
    model = [CellFolder(files.model).config] if cell.config.save is Save.all else []
    return all(path.is_file() for path in (files.validation, files.test, *model))


def _listed(cell: Cell) -> dict[str, Any]:
    c = cell.config
    refused = {"status": "REFUSED", "reason": cell.refusal} if cell.refusal else {}
    return {
        "cell": cell.name,
        "model": c.model.name,
        "routing": c.routing.name,
        "task_mix": c.task_mix.name,
        "variant": cell.variant,
        "seed": c.seed,
        "fingerprint": cell.fingerprint,
        "data_digest": cell.data_digest,
        **refused,
        **({"asked": cell.asked} if cell.asked > 1 else {}),
    }
