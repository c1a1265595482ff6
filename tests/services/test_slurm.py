"""Sweeps as a job array, on submitit's local executor: what Slurm would run, without its queue."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from relevance.tracking import Store

submitit = pytest.importorskip("submitit", reason="needs submitit: make test-services")
ROOT = Path(__file__).parents[2]


def test_a_task_that_is_to_make_room_is_queued_again_and_goes_on(tmp_path):
    command = [
        *(sys.executable, "-m", "relevance.run", "-m", "hydra/launcher=slurm", "hydra.launcher.cluster=local"),
        *("model=ce", "data.rows=300", "train.step_rows=32", "trainer.max_epochs=60", "train.patience=0", "name=array"),
        *("checkpoint_steps=2", "probes=false", "consistency=false", "save=none"),
        *(f"outputs={tmp_path}/outputs", f"tracking_uri=sqlite:///{tmp_path}/mlflow.db"),
    ]
    sweep = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("outputs/cells/*.part/checkpoints/last-*.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.1)
    store = Store(f"sqlite:///{tmp_path}/mlflow.db", "relevance", tmp_path / "outputs")
    run = store.runs("tags.kind = 'cell'")[0]
    os.kill(int(run.data.tags["pid"]), signal.SIGUSR2)  # as Slurm warns of pre-emption and of the time that is up
    _, said = sweep.communicate(timeout=300)
    assert sweep.returncode == 0, said
    assert [run.info.status for run in store.runs("tags.kind = 'cell'")] == ["FINISHED"]
    logs = "".join(path.read_text() for path in tmp_path.glob("outputs/slurm/*/*_log.err"))
    assert "goes on from step" in logs


def test_passwords_from_the_environment_are_not_in_what_is_submitted(tmp_path):
    from relevance.cell_id import Cell
    from relevance.config import Config
    from relevance.train.job import Job

    config = Config(tracking_uri="postgresql://ana:hunter2@db/runs")
    cell = Cell(
        config, "f" * 64, "c", "", "", "", tmp_path, 1, {"tracking_uri": "postgresql://ana:${oc.env:PW}@db/runs"}
    )
    assert "hunter2" not in Job(cell, "", "").text()
