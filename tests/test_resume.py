"""A cell that is stopped and goes on: bit for bit what it is undisturbed."""

import os
import shutil
import signal
import sys
import time
from dataclasses import replace

import pytest
import torch
from small_sweep import RIVALS, ROUTINGS, record, small_cell, sweep
from stopped import asking, cell_of, ended, lasts, same, stopped, train

from relevance.config import Config, DataConfig, LoraConfig, Match, Mix, MixConfig, Save, TrainConfig, TrainerConfig
from relevance.errors import UserError
from relevance.model.module import RelevanceModule
from relevance.train import cell as cells
from relevance.train import checkpoint
from relevance.train.trainer import Pace

ROWS = 119  # of an epoch, which has five steps of 24
LEFT = ("config.yaml", "test.parquet", "validation.parquet")
SINGLE = MixConfig("single_query_item", Mix.single, "query_item")


@pytest.fixture(autouse=True)
def every_epoch(monkeypatch):
    monkeypatch.setattr(checkpoint, "SPARE", 0)  # however short it is


@pytest.fixture
def small(tmp_path, backbones):
    def make(model: str = "bert", routing: str = "mh", trainer: dict | None = None, **changes) -> Config:
        data = changes.pop("data", DataConfig(rows=150))
        plain = {"probes": False, "consistency": False, "save": Save.none, "data": data}
        config = small_cell(tmp_path, backbones, model, routing, **plain)
        if model == "llm":
            config.model.lora = LoraConfig(r=4, dropout=0.1)  # bert drops 0.1 by itself
        train = TrainConfig(token_budget=2000, step_rows=24, patience=0)
        trained = TrainerConfig(**{"max_epochs": 2, "accelerator": "cpu", "log_every_n_steps": 1} | (trainer or {}))
        return replace(config, **{"train": train, "trainer": trained} | changes)

    return make


ALL = [(model, routing) for routing in (*ROUTINGS, *RIVALS) for model in ("llm", "bert")]
FORMS = (("llm", "prefix"), ("bert", "mhp"), ("llm", "soft_prompt"), ("llm", "mtl_lora"))
CELLS = ALL if "RELEVANCE_ARCHITECTURES" in os.environ else FORMS  # make test-rest stops every routing of each family


@pytest.mark.parametrize(("model", "routing"), [cell for cell in CELLS if cell != ("bert", "mtl_lora")])
def test_a_cell_that_was_stopped_within_an_epoch_ends_as_if_it_was_not(small, model, routing, capsys):
    cell = cell_of(small(model, routing))
    whole = ended(cell)
    stopped(cell, 8)
    assert lasts(cell) == ["last-5.ckpt"]
    stopped(asking(cell, checkpoint_steps=3), 8)
    assert "goes on from step 5 of 10" in capsys.readouterr().err
    assert lasts(cell) == ["last-5.ckpt", "last-6.ckpt"]
    assert same(whole, ended(cell))
    assert "goes on from step 6 of 10" in capsys.readouterr().err
    assert {path.name for path in cell.folder.iterdir()} == {*LEFT, "record.jsonl", "seal.json"}


def test_without_a_seed_for_each_step_it_would_not(small, monkeypatch):
    monkeypatch.setattr(checkpoint.torch, "manual_seed", lambda _: None)
    cell = cell_of(small("llm"))
    whole = ended(cell)
    stopped(cell, 8)
    with pytest.raises(AssertionError):
        same(whole, ended(cell))


def test_a_cell_may_be_stopped_again_and_again(small, capsys):
    cell = cell_of(small("llm", checkpoint_steps=2))
    whole = ended(cell)
    for step in (1, 4, 4, 5, 7, 9):
        stopped(cell, step)
    assert lasts(cell) == ["last-6.ckpt", "last-8.ckpt"]
    assert same(whole, ended(cell))
    starts = [line.split()[5] for line in capsys.readouterr().err.splitlines() if "goes on" in line]
    assert starts == ["4", "4", "5", "6", "8"]  # nothing was kept before step 2; step 5 begins an epoch


@pytest.mark.parametrize(
    "trainer",
    [
        {"val_check_interval": 2},
        {"max_steps": 13, "max_epochs": -1, "check_val_every_n_epoch": 2},
        {"max_steps": 10, "max_epochs": 4, "limit_train_batches": 4, "val_check_interval": 0.5},
    ],
)
def test_lightnings_own_settings_hold_across_stops(small, trainer):
    cell = cell_of(small(trainer=trainer, checkpoint_steps=2))
    whole = ended(cell)
    for step in (3, 5, 9):
        stopped(cell, step)
    assert same(whole, ended(cell))


@pytest.mark.parametrize("match", [Match.examples, Match.steps])
def test_a_matched_budget_is_spent_across_stops(small, match):
    cell = cell_of(small(task_mix=SINGLE, match=match, train=TrainConfig(step_rows=12)))
    whole = ended(cell)
    stopped(cell, 3)
    stopped(asking(cell, checkpoint_steps=3), 4 if match is Match.examples else 8)
    assert same(whole, ended(cell))


@pytest.mark.parametrize("trainer", [{}, {"max_steps": 7}, {"max_epochs": 9}])
def test_a_cell_killed_as_it_is_scored_is_only_scored_again(small, monkeypatch, trainer):
    """Its training had ended: by epochs, by steps, or early, which Lightning forgets."""
    train = TrainConfig(step_rows=24, patience=1 if "max_epochs" in trainer else 0)
    cell = cell_of(small(trainer=trainer, train=train))
    whole = ended(cell)
    stopped(cell, None)
    monkeypatch.setattr(RelevanceModule, "training_step", lambda self, step, index: pytest.fail("trained on"))
    assert same(whole, ended(cell))
    assert whole.counts[1] < 9


def test_a_torn_checkpoint_is_said_and_the_one_before_it_taken(small, capsys):
    cell = cell_of(small("llm", checkpoint_steps=3))
    whole = ended(cell)
    stopped(cell, 8)
    newest = cell.work / "checkpoints" / "last-6.ckpt"
    newest.write_bytes(newest.read_bytes()[:-1000])
    stopped(asking(cell, checkpoint_steps=None), 7)
    assert lasts(cell) == ["last-5.ckpt"]
    told = capsys.readouterr().err
    assert "checkpoint last-6.ckpt is torn (" in told
    assert "; going on from last-5.ckpt" in told
    assert "goes on from step 5 of 10" in told
    stopped(cell, 7)
    assert lasts(cell) == ["last-5.ckpt", "last-6.ckpt"]
    assert same(whole, ended(cell))


def test_the_checkpoint_gone_on_from_is_not_written_again(small):
    cell = cell_of(small(checkpoint_steps=4))
    stopped(cell, 4)
    path = cell.work / "checkpoints" / "last-4.ckpt"
    written = path.stat().st_mtime_ns
    stopped(cell, 4)
    assert path.stat().st_mtime_ns == written


def test_checkpoints_of_another_network_are_refused(small, monkeypatch):
    """The same question, asked of a later version of the code."""
    cell = cell_of(small(routing="mhp"))
    stopped(cell, 8)
    build = cells.build_network

    def other(config):
        network, tokenizer = build(config)
        network.private.requires_grad_(False)
        return network, tokenizer

    monkeypatch.setattr(cells, "build_network", other)
    with pytest.raises(UserError, match=r"hold other weights than this cell trains, \['network.private.*rerun=true"):
        train(cell)


def test_a_half_trained_cell_may_be_moved(small, tmp_path):
    cell = cell_of(small(trainer={"max_epochs": 3}))
    whole = ended(cell)
    stopped(cell, 12)
    moved = asking(cell, outputs=str(tmp_path / "elsewhere"))
    moved.folder.parent.mkdir(parents=True)
    cell.work.rename(moved.work)
    assert same(whole, ended(moved))


def test_time_and_rows_of_all_parts_count(small):
    cell, elapsed = cell_of(small()), Pace.elapsed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pace, "elapsed", lambda pace: 1000 + elapsed(pace))  # more than any pause of this machine
        stopped(cell, 8)
    state = checkpoint.read(cell.work / "checkpoints" / "last-5.ckpt")["callbacks"]["Pace"]
    assert state["rows"] == ROWS
    assert state["elapsed"] > state["seconds"] > 0
    started = time.perf_counter()
    found = train(cell).record.last("log")["metrics"]
    assert found["train/rows"] == 2 * ROWS
    assert found["seconds"] == pytest.approx(state["elapsed"] + time.perf_counter() - started, abs=10)
    assert found["seconds"] > state["elapsed"]
    assert found["train/rows"] / found["train/rows_per_second"] > state["seconds"]


def test_short_epochs_are_not_each_followed_by_a_checkpoint(small, monkeypatch):
    monkeypatch.setattr(checkpoint, "SPARE", 10**6)
    cell = cell_of(small())
    stopped(cell, None)
    assert lasts(cell) == ["last-5.ckpt"]


def test_a_process_killed_within_an_epoch_leaves_a_cell_that_goes_on(small):
    """SIGKILL for real: nothing in the process gets to clean up."""
    cell = cell_of(small("llm", checkpoint_steps=1, trainer={"max_epochs": 2}))
    whole = ended(cell)
    child = os.fork()
    if not child:
        try:
            train(cell)
        finally:
            os._exit(1)
    for _ in range(2000):
        if int((lasts(cell) or ["last-0.ckpt"])[-1][5:-5]) >= 7:
            break
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert same(whole, ended(cell))


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_metric_that_is_no_number_fails_the_cell_with_its_step(small, monkeypatch, wrong):
    cell, log = cell_of(small()), RelevanceModule.log

    def spoilt(self, name, value, **more):
        log(self, name, torch.tensor(wrong) if name == "validation/macro_accuracy" else value, **more)

    monkeypatch.setattr(RelevanceModule, "log", spoilt)
    with pytest.raises(FloatingPointError, match=rf"validation/macro_accuracy is {wrong} at step 4"):
        train(cell)
    assert "validation/macro_accuracy" not in cell.work.joinpath("record.jsonl").read_text()


def test_a_failed_cell_goes_on_as_well_unless_its_checkpoints_are_gone_or_it_is_to_start_anew(small, capsys):
    config = small()
    cell = cell_of(config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "evaluate", lambda *_: sys.exit("the disk is on fire"))
        assert sweep(config) == 1
        assert sweep(config) == 1
        assert "goes on from step 10 of 10" in capsys.readouterr().err
    shutil.rmtree(cell.work / "checkpoints")
    assert sweep(config) == 1
    assert "half trained, but no checkpoint is whole (they are gone)" in record(config).cells[0].reason
    capsys.readouterr()
    assert sweep(replace(config, rerun=True)) == 0
    assert "goes on" not in capsys.readouterr().err
    assert record(config).cells[0].metrics["train/rows"] == 2 * ROWS
