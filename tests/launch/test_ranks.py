"""Cells of several devices: the numbers of one device, and nothing left of a group that loses a process."""

import json
import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import in_ranks
import numpy as np
import psutil
import pyarrow as pa
import pytest
from small_sweep import ROUTINGS, record, runs, small_cell, sweep

from relevance import predictions
from relevance.cell_id import Cell, CellFolder, Request
from relevance.config import DataConfig, Save, TrainConfig, TrainerConfig
from relevance.sweep import attempt
from relevance.sweep.resolve import prepared, resolve
from relevance.train.job import Job
from relevance.train.processes import SIGN, wait_for_exit
from relevance.train.rank import _failure, _run, sign_of

CELLS = [f"{model}-{routing}-joint-s0" for model in ("llm", "ce") for routing in ROUTINGS]
slow = pytest.mark.skipif(
    not os.environ.get("RELEVANCE_SERVICES"), reason="starts whole cells in ranks; make test-services"
)


@pytest.fixture(scope="module")
def both(tmp_path_factory, backbones) -> tuple[dict, dict, dict]:
    """What one process found, then each of two ranks: 10 steps of 12 rows, so that ranks lack tasks, the last of 11."""
    folder = tmp_path_factory.mktemp("ranks")
    trainer = TrainerConfig(max_steps=10, max_epochs=-1, accelerator="cpu", log_every_n_steps=1)
    scoring = {"llm": 400, "ce": 8192}  # several batches, and one for the two ranks
    data = DataConfig(rows=150)
    configs = [
        small_cell(
            folder, backbones, model, routing, trainer=trainer, train=TrainConfig(12, 150, scoring[model]), data=data
        )
        for model in scoring
        for routing in ROUTINGS
    ]
    cells, _ = resolve([Request(config, config) for config in configs], prepared(configs))
    pair = [_on_two(cell) for cell in cells]
    (folder / "jobs").write_text("\n".join(Job(cell, "", "").text() for cell in pair))
    _in_ranks(folder)
    in_ranks.main(_alone(folder, cells))
    return tuple(json.loads((folder / name).read_text()) for name in ("alone/1-0.json", "2-0.json", "2-1.json"))


def _on_two(cell: Cell) -> Cell:
    return replace(cell, config=replace(cell.config, trainer=replace(cell.config.trainer, devices=2)))


def _in_ranks(folder: Path) -> None:
    """Two forks of this process, whose imports are paid: torchrun, as slow, is for the tests below."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fork = multiprocessing.get_context("fork")
    pair = [fork.Process(target=in_ranks.rank, args=(folder, own, 2, port)) for own in range(2)]
    for process in pair:
        process.start()
    for process in pair:
        process.join(120)
        process.kill()
    assert [process.exitcode for process in pair] == [0, 0]


def _alone(folder: Path, cells: list) -> Path:
    (folder / "alone").mkdir()
    (folder / "alone/jobs").write_text("\n".join(Job(cell, "", "").text() for cell in cells))
    return folder / "alone"


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize("cell", CELLS)
def test_two_ranks_have_the_losses_of_one_process(both, cell):
    alone, first, second = (found[cell] for found in both)
    for name in ("train/loss", "train/gradient_norm"):
        assert len(alone[name]) == 10
        assert np.allclose(alone[name], first[name], rtol=0, atol=1e-5)
        assert first[name] == second[name]
    assert alone["rows"] == first["rows"] == second["rows"] == [119]


@pytest.mark.parametrize("cell", CELLS)
def test_two_ranks_score_each_row_once_and_know_what_the_other_found(both, cell):
    alone, first, second = (found[cell] for found in both)
    assert sorted(first["scored"]) == sorted(alone["scored"])
    assert first["scored"] == second["scored"]
    assert np.allclose(alone["logits"], first["logits"], atol=1e-5)
    curves = [name for name in alone if name.startswith("validation/")]
    assert len(curves) > 1
    assert all(alone[name] == first[name] == second[name] for name in curves)


def test_a_gradient_that_one_rank_lacks_counts_as_zero_and_one_that_all_lack_stays_away(both):
    assert both[1]["summed"] == both[2]["summed"] == [3.0, 5.0, None]


def test_ranks_that_read_different_questions_stop_and_say_which(both):
    first, second = both[1]["disagreed"], both[2]["disagreed"]
    assert first == second
    found = first.split("found were rank 0 ")[1].split(";")[0].split(", rank 1 ")
    assert len(set(found)) == 2
    assert f"fingerprint {found[0]} was asked for" in first


def test_a_loss_that_is_no_number_stops_every_rank_and_names_the_rows_of_all(both):
    first, second = both[1]["unfit"], both[2]["unfit"]
    assert first == second
    assert len(json.loads(first.removeprefix("rows of the step: "))) == 12


@pytest.fixture
def group_of_sleepers(monkeypatch, tmp_path):
    """Kills one process of a group of two sleeping ranks; gives the reason, and whether any of them is left."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    (tmp_path / "torchrun.json").write_text(
        json.dumps(["--standalone", "--nproc-per-node=2", str(Path(__file__).with_name("sleeper.py")), str(tmp_path)])
    )

    def killed(who: str, by: signal.Signals) -> tuple[str, list[int]]:
        found: dict[str, int] = {}
        killer = threading.Thread(target=_kill, args=(tmp_path, who, by, found))
        killer.start()
        code = _run(tmp_path)
        killer.join()
        return str(_failure(tmp_path, code)), [pid for pid in found.values() if _alive(pid)]

    return killed


def _alive(pid: int) -> bool:
    """Whether it runs: one that nobody has asked for its exit code yet does not."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def _kill(folder: Path, who: str, by: signal.Signals, found: dict[str, int]) -> None:
    end = time.monotonic() + 60
    while not all((folder / f"pid-{rank}").is_file() for rank in "01") and time.monotonic() < end:
        time.sleep(0.05)
    found |= {f"rank {rank}": int((folder / f"pid-{rank}").read_text()) for rank in "01"}
    found["agent"] = psutil.Process(found["rank 0"]).ppid()
    os.kill(found[who], by)


def test_a_killed_rank_is_named_and_takes_its_group_along(group_of_sleepers):
    reason, left = group_of_sleepers("rank 1", signal.SIGKILL)
    assert reason.startswith("rank 1 was killed by SIGKILL (")
    assert reason.endswith("); the ranks that were left ended with it")
    assert not left


def test_ranks_end_with_the_process_that_started_them(group_of_sleepers):
    reason, left = group_of_sleepers("agent", signal.SIGKILL)
    assert reason.startswith("the process that holds the ranks was killed by SIGKILL")
    assert not left


def test_a_child_ends_with_its_parent(tmp_path):
    """The parent is killed outright; its child, asleep for a minute, is gone in a second or two."""
    child = "import os,time; from relevance.train.processes import die_with_parent; die_with_parent(os.getppid());"
    child += f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    starts = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    parent = subprocess.Popen([sys.executable, "-c", starts], env=_environment())
    while not (tmp_path / "pid").is_file() or not (tmp_path / "pid").read_text():
        time.sleep(0.05)
    pid = int((tmp_path / "pid").read_text())
    parent.kill()
    parent.wait()
    end = time.monotonic() + 30
    while _alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _alive(pid)


def test_an_attempt_waits_for_ranks_that_outlive_the_one_before(tmp_path):
    cell = SimpleNamespace(folder=tmp_path / "cell", files=CellFolder(tmp_path / "cell"))
    (tmp_path / "group").mkdir()
    (tmp_path / "group" / SIGN).symlink_to(sign_of(cell))
    rank = "import sys; from pathlib import Path; from relevance.train.processes import hold_sign;"
    rank += "hold_sign(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", rank, str(tmp_path / "group")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment()) as process:
        process.stdout.readline()
        started = time.monotonic()
        threading.Timer(0.5, process.kill).start()
        with attempt._alone(SimpleNamespace(cell=cell, place="")):
            assert time.monotonic() - started > 0.4
    assert wait_for_exit(sign_of(cell), 0)


def _predictions(folder: Path) -> dict[str, pa.Table]:
    return {file.name: predictions.read(file) for file in folder.glob("*.parquet")}


@slow
@pytest.mark.parametrize(("model", "routing"), [("ce", "mhp"), ("llm", "mhp")])
def test_a_cell_of_two_devices_leaves_what_a_cell_of_one_leaves(place, model, routing):
    one = place(model, routing, save=Save.all)
    assert sweep(one) == 0
    alone = record(one).cells[0]
    before = _predictions(alone.folder)
    two = replace(one, trainer=replace(one.trainer, devices=2), rerun=True)
    assert sweep(two) == 0
    both = record(two).cells[0]
    assert (both.folder, both.run_id != alone.run_id) == (alone.folder, True)
    assert (both.folder / "model").is_dir()
    names = alone.metrics.keys() - {"seconds", "train/rows_per_second", "test/rows_per_second"}
    assert alone.metrics.keys() == both.metrics.keys()
    assert all(both.metrics[name] == pytest.approx(alone.metrics[name], abs=1e-5) for name in names)
    after = _predictions(both.folder)
    assert before.keys() == after.keys()
    for name, found in after.items():
        assert found["row"].to_pylist() == before[name]["row"].to_pylist()
        for p in predictions.PROBABILITIES:
            assert np.allclose(found[p], before[name][p], atol=1e-5)


@slow
def test_a_cell_that_fails_in_its_ranks_says_why_in_its_run(place):
    config = place(trainer=TrainerConfig(max_epochs=1, accelerator="cpu", devices=2))
    wild = replace(config, model=replace(config.model, max_length=65))
    assert sweep(wild) == 1
    assert runs(wild)[0].info.status == "FAILED"
    said = record(wild).cells[0].reason
    assert re.match("rank [01]: model.max_length=65: this backbone reads at most 64 tokens; lower it", said)
