"""Probes: the test rows scored again with one thing changed, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from small_sweep import record, runs, sweep

from relevance import predictions
from relevance.config import Mix, MixConfig, PrivateConfig, PrivateKind, PromptConfig, RoutingConfig, Save, TrainConfig
from relevance.tasks import TASK_NAMES
from relevance.train.evaluation import next_task, sample

WORDS = {
    "none": set(),
    "prefix": {"no_prefix", "wrong_prefix", "shuffled_prefix"},
    "mh": {"other_head"},
    "mhp": {"other_head", "other_private"},
    "soft_prompt": {"other_private"},
    "mtl_lora": {"other_head", "other_private"},
    "prefix_mh": {"no_prefix", "wrong_prefix", "shuffled_prefix", "other_head"},
}


def kinds(metrics: dict[str, float]) -> set[str]:
    return {name.split("/")[1] for name in metrics if name.startswith("probe/")}


def routed(name: str, **private) -> RoutingConfig:
    own = PrivateConfig(**({"layers": 1, **private} if name.endswith("mhp") else {}))
    rivals = {"prompt": PromptConfig(2 * (name == "soft_prompt")), "task_matrix": name == "mtl_lora"}
    return RoutingConfig(name, "prefix" in name, heads="mh" in name or name == "mtl_lora", private=own, **rivals)


def metrics(config) -> dict[str, float]:
    assert sweep(replace(config, save=Save.none)) == 0
    return record(config).cells[0].metrics


@pytest.mark.parametrize("routing", list(WORDS))
def test_a_routing_is_probed_by_what_it_is_told(place, routing):
    found = metrics(replace(place("llm" if routing == "mtl_lora" else "ce"), routing=routed(routing)))
    assert kinds(found) == WORDS[routing]
    for kind in kinds(found):
        tasks = [found[f"probe/{kind}/{task}/accuracy"] for task in TASK_NAMES]
        assert found[f"probe/{kind}/macro_accuracy"] == pytest.approx(np.mean(tasks))
        assert found[f"probe/{kind}/logit_shift"] > 0


def test_shared_private_layers_are_no_other_tasks(place):
    found = metrics(replace(place("ce"), routing=routed("mhp", kind=PrivateKind.shared)))
    assert kinds(found) == {"other_head"}


def test_closed_gates_give_the_accuracy_without_private_layers_and_their_size_is_logged(place):
    """Gates that a rate of almost zero left closed: closing them changes nothing; open ones, something."""
    train = TrainConfig(step_rows=16)  # heads of zero open no gate in their first step
    config = replace(place("bert", train=train), routing=routed("mhp"))
    closed = metrics(replace(config, model=replace(config.model, gate_lr=1e-30)))
    opened = metrics(replace(config, model=replace(config.model, gate_lr=0.5), name="open"))
    assert closed["probe/closed_gate/accuracy"] == closed["test/accuracy"]
    assert closed["gate/query_item"] < 1e-20
    assert closed["probe/closed_gate/logit_shift"] == 0
    assert opened["probe/closed_gate/logit_shift"] > 1e-5
    assert opened["gate/query_item"] > 1e-2


def test_one_task_alone_has_no_other_to_be_sent_to(place):
    mix = MixConfig("single_query_item", Mix.single, task="query_item")
    assert kinds(metrics(replace(place("ce"), routing=routed("prefix_mhp"), task_mix=mix))) == {"no_prefix"}


def test_probes_can_be_left_out_and_change_neither_predictions_nor_the_question(place, tmp_path):
    with_probes, without = (
        replace(place("llm", "mhp"), probes=probes, outputs=str(tmp_path / str(probes)), name=str(probes))
        for probes in (True, False)
    )
    assert kinds(metrics(with_probes))
    assert not kinds(metrics(without)) - kinds({})
    cells = [record(config).cells[0] for config in (without, with_probes)]
    assert cells[0].fingerprint == cells[1].fingerprint


def test_the_next_task_goes_round_among_those_trained():
    assert next_task(np.array([4, 1, 1])).tolist() == [1, 4, 4, 4, 1, 1]
    assert next_task(np.arange(6)).tolist() == [1, 2, 3, 4, 5, 0]


def test_a_cell_no_better_than_the_majority_is_tagged_and_says_so(place, capsys):
    """A rate of almost zero: the model answers one label to every row."""
    config = place("ce", "mh", train=TrainConfig(warmup=1.0))
    frozen = replace(config, model=replace(config.model, lr=1e-30, head_lr=1e-30))
    assert sweep(frozen) == 0
    cell = record(frozen).cells[0]
    tags = runs(frozen)[0].data.tags
    predicted = predictions.read(cell.folder / "test.parquet")
    constant = {
        task
        for task in TASK_NAMES
        if len(set(predicted.filter(np.array(predicted["task"]) == task)["predicted"].to_pylist())) == 1
    }
    assert constant
    assert constant <= set(tags["collapsed"].split(", "))
    told = capsys.readouterr().err
    assert f"COLLAPSED on {tags['collapsed']}" in told
    assert tags["learnt"] == "nothing"
    assert "; LEARNT NOTHING: lower model.lr or train longer; COLLAPSED on" in told


def test_of_a_large_table_a_part_is_probed_and_it_is_said(place, monkeypatch):
    monkeypatch.setattr("relevance.train.evaluation.MOST", 24)
    found = metrics(replace(place("ce"), routing=routed("prefix_mh")))
    assert 18 <= found["probe/rows"] <= 30
    assert kinds(found) - {"rows"} == WORDS["prefix_mh"]
    for kind in WORDS["prefix_mh"]:  # accuracies are of so many rows
        hits = found[f"probe/{kind}/accuracy"] * found["probe/rows"]
        assert hits == pytest.approx(round(hits), abs=1e-3)


def test_the_rows_of_a_probe_are_the_same_each_time_and_of_each_task_its_share(monkeypatch):
    task = np.random.default_rng(0).choice(3, 10_000, p=[0.7, 0.25, 0.05])
    assert sample(task, 0).tolist() == list(range(10_000))
    monkeypatch.setattr("relevance.train.evaluation.MOST", 1_000)
    found = sample(task, 0)
    assert np.array_equal(found, sample(task, 0))
    assert not np.array_equal(found, sample(task, 1))
    assert (np.diff(found) > 0).all()
    assert np.abs(np.bincount(task[found]) - np.bincount(task) / 10).max() <= 1
