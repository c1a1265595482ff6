"""Cells for real: what one leaves behind, and that its numbers are those of the weights it kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_sweep import ROUTINGS, record, runs, sweep

from relevance import predictions
from relevance.cell_id import Request
from relevance.config import Config, DataConfig, Mix, MixConfig, Save, Source, TrainConfig, TrainerConfig
from relevance.metrics import logged, score_predictions
from relevance.model.module import RelevanceModule
from relevance.sweep.launchers.local import InProcess
from relevance.sweep.resolve import prepared
from relevance.sweep.sweep import run_sweep
from relevance.tracking import Store


@pytest.mark.parametrize("model", ["llm", "ce"])
@pytest.mark.parametrize("routing", list(ROUTINGS))
def test_a_cell_leaves_whole_predictions_a_model_and_metrics_that_agree(trained_cell, model, routing):
    config = trained_cell(model, routing)
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
        "consistency.parquet",
        "model",
        "record.jsonl",
        "record.sent",
        "seal.json",
        "test.parquet",
        "validation.parquet",
    }
    assert ("probe/other_private/logit_shift" in cell.metrics) == (routing == "mhp")


def test_the_same_seed_gives_the_same_predictions_and_another_seed_others(place):
    def tested(config: Config) -> bytes:
        assert sweep(config) == 0
        return (record(config).cells[0].folder / "test.parquet").read_bytes()

    first = tested(place("llm", "mhp"))
    assert tested(place("llm", "mhp", rerun=True)) == first
    assert tested(place("llm", "mhp", seed=1)) != first


def test_a_cell_asked_for_with_its_model_is_not_finished_without_it(place):
    config = place(save=Save.none)
    sweep(config)
    assert sweep(replace(config, save=Save.all)) == 0
    assert (record(config).cells[0].folder / "model" / "config.yaml").is_file()


def test_a_loss_that_is_not_finite_fails_the_cell_with_its_step(place):
    config = place()
    wild = replace(config, model=replace(config.model, lr=1e30, head_lr=1e30), train=TrainConfig(clip=0, warmup=0))
    assert sweep(wild) == 1
    assert "loss is nan, gradient_norm is nan at step 1, rows [" in record(wild).cells[0].reason
    store = Store(wild.tracking_uri, wild.experiment, Path(wild.outputs))
    told = store.text(runs(wild)[0], "traceback.txt").split("rows of the step: [")[1]
    assert len(told.split("]")[0].split(",")) == 108  # the last step's; the line for people names eight of them


def test_logits_that_are_no_numbers_fail_the_cell_instead_of_being_scored(place, monkeypatch):
    """The last step may ruin the weights, with no step after it to see the loss."""
    monkeypatch.setattr(RelevanceModule, "_check", lambda *_: None)
    config = place()
    wild = replace(config, model=replace(config.model, lr=1e30, head_lr=1e30), train=TrainConfig(clip=0, warmup=0))
    assert sweep(wild) == 1
    assert "FloatingPointError: logits are not finite on 23 of 23 rows" in record(wild).cells[0].reason


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


def test_a_single_task_cell_knows_its_task_alone(place):
    config = place(task_mix=MixConfig("single_query_item", Mix.single, task="query_item"))
    assert sweep(config) == 0
    cell = record(config).cells[0]
    assert set(predictions.read(cell.folder / "test.parquet")["task"].to_pylist()) == {"query_item"}
    assert "test/type_type/accuracy" not in cell.metrics


def test_fewer_than_six_tasks_are_a_valid_table(place, tmp_path):
    from relevance.shop.generate import generate_pairs

    table = generate_pairs(600, 1, 0.0)
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
    assert not any(name.startswith("model") for name in names)
    assert {"config.yaml", "consistency.parquet", "test.parquet", "validation.parquet"} < names


def test_a_cell_of_one_task_carries_an_example_it_can_score(place, capfd):
    """A head that was never trained answers no row, not even MLflow's own trial of the model."""
    single = place("ce", "mh", task_mix=MixConfig("single_item_type", Mix.single, task="item_type"), save=Save.all)
    assert sweep(single) == 0
    (example,) = Path(single.outputs).glob("artifacts/models/*/artifacts/input_example.json")
    assert "item_type" in example.read_text()
    assert "unknown task" not in capfd.readouterr().err


def test_what_came_from_the_environment_is_named_in_every_file_of_a_cell(place):
    config = place(reports="/mnt/hunter2", probes=False, consistency=False, save=Save.all)
    request = Request(config, config, {"reports": "/mnt/${oc.env:SPACE}"})
    assert run_sweep([request], prepared([config]), "python -m relevance.run", InProcess()).code == 0
    files = {path: path.read_bytes() for path in Path(config.outputs).rglob("*") if path.is_file()}
    assert not [path for path, held in files.items() if b"hunter2" in held]
    named = [path for path, held in files.items() if b"reports: /mnt/${oc.env:SPACE}\n" in held]
    assert len(named) == 4  # the cell's, its model's, its run's and that of the model in its run
