"""Sweeps on Ray for real: warm workers, one that dies is replaced and its cell goes on, an error is the cell's own."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from relevance.tracking import Store

pytest.importorskip("ray", reason="needs ray: make test-services")
ROOT = Path(__file__).parents[2]


def words(folder: Path, *more: str) -> list[str]:
    return [
        *(sys.executable, "-m", "relevance.run", "-m", "hydra/launcher=ray", "routing=prefix,mh", "model=ce,llm"),
        *("data.rows=300", "train.step_rows=32", "probes=false", "consistency=false", "save=none", "name=ray"),
        *(f"outputs={folder}/outputs", f"tracking_uri=sqlite:///{folder}/mlflow.db", *more),
    ]


def statuses(folder: Path) -> list[str]:
    store = Store(f"sqlite:///{folder}/mlflow.db", "relevance", folder / "outputs")
    return sorted(run.info.status for run in store.runs("tags.kind = 'cell'"))


def ray_processes() -> list[psutil.Process]:
    return [one for one in psutil.process_iter(["name"]) if re.match(r"ray::|raylet|gcs_server", one.info["name"])]


def until(folder: Path, words: str) -> str:
    """What the sweep has said by the time it said these words."""
    end = time.monotonic() + 120
    while words not in (said := (folder / "said").read_text()) and time.monotonic() < end:
        time.sleep(0.2)
    return said


def nothing_left() -> None:
    deadline = time.monotonic() + 15
    while ray_processes() and time.monotonic() < deadline:
        time.sleep(0.5)
    assert ray_processes() == []


def test_a_killed_worker_costs_no_cell_and_nothing_is_left(tmp_path):
    command = words(tmp_path, "trainer.max_epochs=20", "train.patience=0")
    with (tmp_path / "said").open("w") as file:
        sweep = subprocess.Popen(command, cwd=ROOT, stderr=file, stdout=file)
    said = until(tmp_path, "rows/s")
    pids = [int(pid) for pid in re.findall(r"pid=(\d+)\) \[\d/4\] [^\n]*: training", said)]
    os.kill(pids[-1], 9)
    assert sweep.wait(300) == 0, (tmp_path / "said").read_text()
    assert statuses(tmp_path) == ["FINISHED"] * 4  # in four runs: the one cut off went on in its own
    said = (tmp_path / "said").read_text()
    assert 2 <= len(set(re.findall(r"\(work pid=(\d+)", said))) <= 3 + os.cpu_count()
    nothing_left()


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_a_sweep_that_is_asked_to_stop_ends_its_cells_as_killed_and_leaves_nothing(tmp_path, asked):
    command = words(tmp_path, "trainer.max_epochs=40", "train.patience=0")
    with (tmp_path / "said").open("w") as file:
        sweep = subprocess.Popen(command, cwd=ROOT, stderr=file, stdout=file)
    until(tmp_path, "rows/s")
    sweep.send_signal(asked)
    assert sweep.wait(60) == 130, (tmp_path / "said").read_text()
    said = (tmp_path / "said").read_text()
    assert "interrupted; the same command goes on from here" in said
    assert "Traceback" not in said
    assert set(statuses(tmp_path)) == {"FINISHED", "KILLED"}  # it was asked after the first had ended
    nothing_left()


def test_threads_are_a_share_of_the_cores_and_logged(tmp_path):
    command = words(tmp_path, "trainer.max_epochs=1", "hydra.launcher.cpus_per_cell=1", "model=ce")
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert found.returncode == 0, found.stderr
    store = Store(f"sqlite:///{tmp_path}/mlflow.db", "relevance", tmp_path / "outputs")
    assert {run.data.params["threads"] for run in store.runs("tags.kind = 'cell'")} == {"1"}


def test_more_than_there_is_is_refused_at_once(tmp_path):
    command = words(tmp_path, "hydra.launcher.gpus_per_cell=4096")
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode == 2
    assert "gpus_per_cell=4096" in found.stderr
    store = Store(f"sqlite:///{tmp_path}/mlflow.db", "relevance", tmp_path / "outputs")
    assert [run.info.status for run in store.runs("tags.kind = 'sweep'")] == ["FAILED"]
    assert "no cell would ever start" in found.stderr
