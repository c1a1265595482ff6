"""The door of the config: every problem at once, each with its remedy."""

from dataclasses import replace

import pytest

from relevance.checks import validate
from relevance.config import Config, DataConfig, Mix, MixConfig, ModelConfig, Source, TrainConfig, TrainerConfig
from relevance.errors import UserError

GOOD = Config(model=ModelConfig(backbone="embedded:ce"), backbones={"ce": "embedded:ce", "ce_b": None})


def test_the_defaults_are_valid():
    assert validate(GOOD) is GOOD


@pytest.mark.parametrize(
    ("group", "value", "said"),
    [
        ("model", ModelConfig(name="ce_b"), r"model=ce_b: this backbones group has no member for it \(it has ce\)"),
        ("data", DataConfig(kind=Source.pairs), "give data.path=FILE"),
        ("data", DataConfig(test_share=0.95), "their sum below 1"),
        ("data", DataConfig(path="pairs.csv"), "add data=pairs"),
        ("data", DataConfig(kind=Source.pairs, path="pairs.csv", rows=500), "leave it out with data=pairs"),
        ("model", ModelConfig(backbone="embedded:ce", lr=-1.0), "each must be above 0"),
        ("task_mix", MixConfig(temperature=3.0), "add task_mix=temperature"),
        ("data", DataConfig(seed=-1), "must be 0 or more"),
        ("trainer", TrainerConfig(gradient_clip_val=1.0), "use train.clip"),
        ("trainer", TrainerConfig(accumulate_grad_batches=2), "use train.step_rows"),
        ("trainer", TrainerConfig(devices=4), "one device"),
        ("trainer", TrainerConfig(devices="auto"), "one device"),
        ("trainer", TrainerConfig(precision="16-mixed"), "use 32-true, bf16-mixed"),
        ("threads", 0, "must be 1 or more"),
        ("seed", -1, "must be in 0 to"),
        ("experiment", " ", "name the MLflow experiment"),
        ("train", TrainConfig(task_weights={"query_itme": 2.0}), "unknown task.*query_itme.*available: query_item"),
        ("train", TrainConfig(class_weights=[1.0, 2.0]), "one for each of 0, 1, 2"),
        ("train", TrainConfig(class_weights=[1.0, -1.0, 1.0]), "must be 0 or more"),
        ("train", TrainConfig(task_weights={"query_item": float("nan")}), "must be 0 or more"),
        ("task_mix", MixConfig(draws=10), "takes each row once; use temperature or equal"),
        ("task_mix", MixConfig(kind=Mix.single, task="query"), "available: query_item"),
        ("task_mix", MixConfig(kind=Mix.temperature, temperature=0), "must be above 0"),
    ],
)
def test_a_setting_that_cannot_be_is_named_with_its_remedy(group, value, said):
    with pytest.raises(UserError, match=said):
        validate(replace(GOOD, **{group: value}))


def test_all_problems_are_raised_at_once():
    bad = replace(GOOD, model=ModelConfig(name="ce_b", max_length=2), trainer=TrainerConfig(gradient_clip_val=1.0))
    with pytest.raises(UserError) as error:
        validate(bad)
    assert str(error.value).count("\n") == 3
