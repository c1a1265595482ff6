"""Sweeps for real: tiny backbones, real MLflow on SQLite, real processes killed for real."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from lightning.pytorch.utilities.exceptions import SIGTERMException

from relevance import attempt, predictions
from relevance.config import (
    Config,
    DataConfig,
    Family,
    LoraConfig,
    Mix,
    MixConfig,
    ModelConfig,
    PrivateConfig,
    RoutingConfig,
    Save,
    TrainConfig,
    TrainerConfig,
)
from relevance.errors import UserError
from relevance.history import sweep_record
from relevance.identity import Request
from relevance.resolve import prepared
from relevance.scores import logged, score_predictions
from relevance.sweep import run_sweep
from relevance.tracking import Store

ROOT = Path(__file__).parent.parent
ROUTINGS = {
    "prefix": RoutingConfig("prefix", prefix=True),
    "mh": RoutingConfig("mh", heads=True),
    "mhp": RoutingConfig("mhp", heads=True, private=PrivateConfig(layers=1)),
}


@pytest.fixture
def place(tmp_path, backbones):
    """A cell of defaults for a test of its own: 300 generated pairs, one epoch."""

    def make(model: str = "ce", routing: str = "mh", **changes) -> Config:
        family = Family.llm if model == "llm" else Family.ce
        lora = LoraConfig(r=4 if model == "llm" else 0)
        return replace(
            Config(
                data=DataConfig(rows=300),
                model=ModelConfig(name=model, family=family, backbone=str(backbones[model]), lora=lora, max_length=64),
                routing=ROUTINGS[routing],
                train=TrainConfig(token_budget=600),
                trainer=TrainerConfig(max_epochs=1, accelerator="cpu"),
                threads=1,
                name="test",
                outputs=str(tmp_path / "outputs"),
                tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}",
            ),
            **changes,
        )

    return make


def sweep(*configs: Config) -> int:
    datasets = prepared(list(configs))
    return run_sweep([Request(config, config) for config in configs], datasets, "python -m relevance.run")


def record(config: Config):
    return sweep_record(config.tracking_uri, config.experiment, Path(config.outputs), None)


def runs(config: Config, wanted: str = "tags.kind = 'cell'") -> list:
    return Store(config.tracking_uri, config.experiment, Path(config.outputs)).runs(wanted)


@pytest.mark.parametrize("model", ["llm", "ce"])
@pytest.mark.parametrize("routing", list(ROUTINGS))
def test_a_cell_leaves_whole_predictions_a_model_and_metrics_that_agree(place, model, routing):
    config = place(model, routing)
    assert sweep(config) == 0
    cell = record(config).cells[0]
    rows = pq.read_table(next(Path(config.outputs).glob("data/*/rows.parquet")))
    for split in ("validation", "test"):
        found = predictions.read(cell.folder / f"{split}.parquet")
        expected = rows.filter(np.array(rows["split"]) == split)
        assert found["row"].to_pylist() == expected["row"].to_pylist()
        assert found["label"].to_pylist() == expected["label"].to_pylist()
        p = np.stack([found[name].to_numpy() for name in predictions.PROBABILITIES], axis=1)
        assert np.allclose(p.sum(1), 1, atol=1e-5)
        assert all(cell.metrics[k] == pytest.approx(v) for k, v in logged(score_predictions(found), split).items())
    assert {path.name for path in cell.folder.iterdir()} == {
        "config.yaml",
        "model",
        "test.parquet",
        "validation.parquet",
    }
    assert ("swap/logit_shift" in cell.metrics) == (routing == "mhp")


def test_the_same_seed_gives_the_same_predictions_and_another_seed_others(place):
    def tested(config: Config) -> bytes:
        assert sweep(config) == 0
        return (record(config).cells[0].folder / "test.parquet").read_bytes()

    first = tested(place("llm", "mhp"))
    assert tested(place("llm", "mhp", rerun=True)) == first
    assert tested(place("llm", "mhp", seed=1)) != first


def test_a_finished_cell_is_not_trained_again_unless_asked(place, capsys):
    config = place()
    sweep(config)
    assert sweep(config) == 0
    assert "finished before, not trained again" in capsys.readouterr().err
    assert len(runs(config)) == 1
    sweep(replace(config, rerun=True))
    assert len(runs(config)) == 2
    assert len(runs(config, "tags.kind = 'sweep'")) == 1


def test_a_skipped_cell_names_another_thread_count(place, capsys):
    sweep(place())
    sweep(place(threads=2))
    assert "threads 1 then, 2 now" in capsys.readouterr().err


def test_a_cell_whose_predictions_are_gone_is_trained_again(place):
    config = place()
    sweep(config)
    (record(config).cells[0].folder / "test.parquet").unlink()
    assert sweep(config) == 0
    assert len(runs(config)) == 2


def test_a_cell_asked_for_with_its_model_is_not_finished_without_it(place):
    config = place(save=Save.none)
    sweep(config)
    assert sweep(replace(config, save=Save.all)) == 0
    assert (record(config).cells[0].folder / "model" / "config.yaml").is_file()


def test_a_sweep_whose_files_were_removed_is_whole_again_when_asked_again(place):
    config = place()
    sweep(config)
    shutil.rmtree(config.outputs)
    with pytest.raises(UserError, match=r"its list of cells is gone.*give its command again"):
        record(config)
    assert sweep(config) == 0
    assert [cell.status for cell in record(config).cells] == ["FINISHED"]


def test_a_finished_cell_without_predictions_is_shown_as_missing(place):
    config = place()
    sweep(config)
    (record(config).cells[0].folder / "test.parquet").unlink()
    cell = record(config).cells[0]
    assert cell.status == "MISSING"
    assert "predictions are gone" in cell.reason


def test_two_sweeps_at_once_train_a_cell_once(place, monkeypatch):
    train, config, others = attempt.train_cell, place(), []

    def slowly(cell, run):
        if not others:
            others.append(threading.Thread(target=lambda: others.append(sweep(config))))
            others[0].start()
            time.sleep(1.5)
        return train(cell, run)

    monkeypatch.setattr(attempt, "train_cell", slowly)
    assert sweep(config) == 0
    others[0].join()
    assert others[1] == 0
    assert [run.info.status for run in runs(config)] == ["FINISHED"]


def test_sigterm_ends_the_sweep_like_ctrl_c(place, monkeypatch):
    def ended(cell, run):
        raise SIGTERMException

    monkeypatch.setattr(attempt, "train_cell", ended)
    assert sweep(place("llm"), place("ce")) == 130
    assert [cell.status for cell in record(place()).cells] == ["KILLED", "MISSING"]


def test_a_failed_cell_reads_failed_with_its_traceback_and_the_rest_goes_on(place, monkeypatch, capsys):
    train, bad, good = attempt.train_cell, place("llm"), place("ce")

    def breaks(cell, run):
        if cell.config.model.name == "llm":
            sys.exit("the disk is on fire")
        return train(cell, run)

    monkeypatch.setattr(attempt, "train_cell", breaks)
    assert sweep(bad, good) == 1
    first, second = record(bad).cells
    assert (first.status, second.status) == ("FAILED", "FINISHED")
    assert "the disk is on fire" in first.reason
    assert "failed: llm-mh" in capsys.readouterr().err
    store = Store(bad.tracking_uri, bad.experiment, Path(bad.outputs))
    assert "traceback.txt" in {file.path for file in store.client.list_artifacts(first.run_id)}
    monkeypatch.undo()
    assert sweep(bad, good) == 0
    assert [cell.status for cell in record(bad).cells] == ["FINISHED", "FINISHED"]


def test_ctrl_c_ends_the_sweep_and_marks_the_cell_killed(place, monkeypatch):
    def interrupted(cell, run):
        raise KeyboardInterrupt

    monkeypatch.setattr(attempt, "train_cell", interrupted)
    assert sweep(place("llm"), place("ce")) == 130
    assert [cell.status for cell in record(place()).cells] == ["KILLED", "MISSING"]


def test_a_loss_that_is_not_finite_fails_the_cell_with_its_step(place):
    config = place()
    wild = replace(config, model=replace(config.model, lr=1e30, head_lr=1e30), train=TrainConfig(clip=0, warmup=0))
    assert sweep(wild) == 1
    assert "loss is nan at step" in record(wild).cells[0].reason


def test_a_cell_stopped_before_its_first_validation_keeps_its_last_weights_and_says_so(place, capsys):
    config = place()
    assert sweep(replace(config, trainer=replace(config.trainer, max_steps=1))) == 0
    assert "before its first validation" in capsys.readouterr().err


def test_the_best_epoch_counts_not_the_last(place):
    """A rate that ruins the model after the first epochs: the score is that of the best validation."""
    config = place(trainer=TrainerConfig(max_epochs=4, accelerator="cpu"), train=TrainConfig(step_rows=16, patience=0))
    assert sweep(config) == 0
    cell = record(config).cells[0]
    store = Store(config.tracking_uri, config.experiment, Path(config.outputs))
    history = store.client.get_metric_history(cell.run_id, "validation/macro_accuracy")
    validated = [point.value for point in history]
    assert len(validated) == 5  # one an epoch, and the score of the weights that were kept
    assert validated[-1] == pytest.approx(max(validated[:-1]), abs=1e-6)


def test_a_length_the_backbone_cannot_read_is_refused(place):
    config = place()
    long = replace(config, model=replace(config.model, max_length=65))
    assert sweep(long) == 1
    assert "max_length=65: this backbone reads at most 64 tokens" in record(long).cells[0].reason


def test_the_parent_lists_its_cells_before_the_first_one_trains(place, monkeypatch):
    seen = []
    monkeypatch.setattr(attempt, "train_cell", lambda cell, run: seen.append(record(cell.config)) or sys.exit(1))
    sweep(place("llm"), place("ce"))
    assert [cell.status for cell in seen[0].cells] == ["RUNNING", "MISSING"]
    assert seen[0].cells[0].cell.startswith("llm-mh")


def test_a_cell_asked_for_twice_runs_once(place):
    assert sweep(place(), place()) == 0
    assert len(record(place()).cells) == 1


def test_a_single_task_cell_knows_its_task_alone(place):
    config = place(task_mix=MixConfig("single_query_item", Mix.single, task="query_item"))
    assert sweep(config) == 0
    cell = record(config).cells[0]
    assert set(predictions.read(cell.folder / "test.parquet")["task"].to_pylist()) == {"query_item"}
    assert "test/type_type/accuracy" not in cell.metrics


def test_fewer_than_six_tasks_are_a_valid_table(place, tmp_path):
    from relevance.config import Source
    from relevance.data.generate import generate

    table = generate(600, 1, 0.0)
    kept = table.filter(np.isin(np.array(table["task"]), ["query_item", "item_type"]))
    pq.write_table(kept, tmp_path / "two.parquet")
    config = place(routing="mhp", data=DataConfig(kind=Source.pairs, path=str(tmp_path / "two.parquet")))
    assert sweep(config) == 0
    metrics = record(config).cells[0].metrics
    both = [metrics[f"test/{task}/accuracy"] for task in ("query_item", "item_type")]
    assert metrics["test/macro_accuracy"] == pytest.approx(np.mean(both))


def test_save_none_keeps_predictions_only(place):
    config = place(save=Save.none)
    sweep(config)
    names = {path.name for path in record(config).cells[0].folder.iterdir()}
    assert names == {"config.yaml", "test.parquet", "validation.parquet"}


def test_kill_nine_after_the_second_cell_then_the_same_command(tmp_path, backbones):
    words = [
        *("-m", "relevance.run", "-m", "routing=prefix,mh", "model=llm,ce", "data.rows=300", "trainer.max_epochs=1"),
        *(f"backbones.{name}={backbones[name]}" for name in ("llm", "ce")),
        *(
            "model.max_length=64",
            "threads=1",
            f"outputs={tmp_path}/outputs",
            f"tracking_uri=sqlite:///{tmp_path}/mlflow.db",
        ),
    ]
    process = subprocess.Popen([sys.executable, *words], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if line.startswith("[3/4]"):
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stderr.close()
    again = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("finished before, not trained again") == 2
    assert "4 cells, 2 already done" in again.stderr
    store = Store(f"sqlite:///{tmp_path}/mlflow.db", "relevance", tmp_path / "outputs")
    assert len(store.runs("tags.kind = 'sweep'")) == 1
    statuses = sorted(run.info.status for run in store.runs("tags.kind = 'cell'"))
    assert statuses == ["FINISHED"] * 4 + ["KILLED"]
    parents = {run.data.tags["mlflow.parentRunId"] for run in store.runs("tags.kind = 'cell'")}
    assert len(parents) == 1
