"""What MLflow knows of a sweep, as plain values, and which numbers of a cell its run there shows.

CellRecord(cell="llm-mhp[private.kind=lora]-joint-s0", model="llm", routing="mhp", seed=0, ...)
test/accuracy, seconds → metrics; params/trainable, test/query_item/n → params; probe/…, gate/… → its record.jsonl alone

MLflow's front end keeps a view that people share as a tag of the experiment, and offers it under Views.
"""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from relevance.cell_id import CellFolder
from relevance.config import Config
from relevance.config_io import read_config
from relevance.errors import UserError

COUNT = re.compile(r"params/.+|.+/n|train/rows|epochs")
INNER = re.compile(r"probe/.+|gate/.+|peak_memory_bytes|truncated_share")  # what the report alone asks for
KEY = "cells"  # viewStateShareKey of the link
SCORE = "metrics.`test/macro_accuracy`"
AXES = ("model", "routing", "seed", "task_mix", "variant")
SCORES = ("test/accuracy", "test/macro_f1", "test/ndcg_10", "train/rows_per_second", "seconds")
WIDTHS = (  # pixels, in the order of the columns; a screen shows about five
    {SCORE: 160} | {f"params.`{name}`": 80 for name in AXES} | {f"metrics.`{name}`": 130 for name in SCORES}
)
STATE = {
    "searchFilter": "tags.kind = 'cell'",
    "orderByKey": SCORE,
    "orderByAsc": False,
    "selectedColumns": list(WIDTHS),
    "columnOrder": list(WIDTHS),
    "columnWidths": WIDTHS,
}
TAG = f"mlflow.sharedViewState.{KEY}"
VIEW = json.dumps({"name": KEY, "createdAt": 0, "updatedAt": 0, "state": json.dumps(STATE)})


class RunInfo(Protocol):
    run_id: str
    run_name: str
    experiment_id: str
    status: str
    lifecycle_stage: str
    artifact_uri: str
    start_time: int  # milliseconds
    end_time: Any  # milliseconds, None while it is RUNNING


class RunData(Protocol):
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]


class MlflowRun(Protocol):
    """What is read of mlflow.entities.Run."""

    info: RunInfo
    data: RunData


@dataclass(frozen=True)
class CellRecord:
    """One cell of a sweep; of the runs of its fingerprint the newest FINISHED one counts."""

    cell: str  # "llm-mhp[private.kind=lora]-joint-s0"
    model: str
    routing: str
    task_mix: str
    variant: str  # "" when nothing differs from the defaults
    seed: int
    family: str  # of the model, ce or llm; "" where its run does not say
    fingerprint: str
    data_digest: str
    status: str  # FINISHED | FAILED | KILLED | RUNNING | MISSING | REFUSED | DAMAGED
    run_id: str  # "" when missing
    experiment: str  # MLflow's id of the run's experiment
    git_sha: str
    dirty: bool
    reason: str  # first line of the failure, why it was refused, "" otherwise
    folder: Path  # its files, see CellFolder
    metrics: dict[str, float]  # test/accuracy, seconds, params/trainable, train/rows_per_second, ...
    versions: dict[str, str]  # package versions the cell logged
    asked: int = 1  # times, by one command; it ran once
    backbone: str = ""  # its name, and the commit where it is of the hub
    revision: str = ""
    precision: str = ""  # trainer.precision; "" where no run says
    learnt: bool = True  # False where its test rows say that it learnt nothing

    @property
    def labels(self) -> tuple[str, str, str, str]:
        """Model, routing, task mix and variant: by these a cell is of one row with others that differ in seed alone."""
        return self.model, self.routing, self.task_mix, self.variant

    @property
    def files(self) -> CellFolder:
        return CellFolder(self.folder)

    @cached_property
    def config(self) -> Config:
        """Its settings; UserError where they are not in its folder, as of a cell that did not finish."""
        if not self.files.config.is_file():
            raise UserError(f"cell {self.cell}: {self.files.config} is absent; run the cell again with rerun=true")
        return read_config(self.files.config)


@dataclass(frozen=True)
class SweepRun:
    """One multirun: MLflow's parent run of its cells."""

    name: str
    run_id: str
    command: str
    fingerprint: str  # of its list of cells


@dataclass(frozen=True)
class SweepRecord:
    """One sweep, or several read as one: the cells that were asked for, each once, in their order."""

    name: str
    outputs: Path  # rows lie at <outputs>/data/<data_digest[:16]>/rows.parquet
    cells: tuple[CellRecord, ...]
    runs: tuple[SweepRun, ...]

    @property
    def tables(self) -> list[str]:
        """Digests of the tables of pairs its cells were tested on, in their order; of a refused cell none was read."""
        return list(dict.fromkeys(cell.data_digest for cell in self.cells if cell.data_digest))


@dataclass(frozen=True)
class RunRecord:
    """One run as it stands: who holds it open and how far it is, or how it ended."""

    status: str  # FINISHED | FAILED | KILLED | RUNNING
    tags: dict[str, str]  # host, pid, process_start, touched, pulse, reason, ...
    started: float  # unix seconds


@dataclass(frozen=True)
class CellStanding:
    """A cell, its newest run and the sweeps that ask for it."""

    cell: CellRecord
    newest: RunRecord | None  # where the record tells of the newest FINISHED one
    sweeps: tuple[RunRecord, ...]


@dataclass(frozen=True)
class Standing:
    """Where one sweep stands, or several looked at as one."""

    name: str
    cells: tuple[CellStanding, ...]
    sweeps: tuple[RunRecord, ...]


def shown(metrics: dict[str, float]) -> tuple[dict[str, float], dict[str, str]]:
    """The metrics and the params that MLflow has of what a cell logged."""
    counts = {key: f"{value:.0f}" for key, value in metrics.items() if COUNT.fullmatch(key)}
    return {key: metrics[key] for key in metrics if key not in counts and not INNER.fullmatch(key)}, counts


def numbers(data: RunData) -> dict[str, float]:
    """Metrics and counts of a run; of an old one every count is a metric."""
    return {key: float(value) for key, value in data.params.items() if COUNT.fullmatch(key)} | data.metrics
