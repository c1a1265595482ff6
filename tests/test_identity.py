"""What makes two cells the same question, and what each is called."""

from dataclasses import field, make_dataclass, replace

import pytest

from relevance import cell_id
from relevance.cell_id import cell_name, fingerprint, variant_of, variant_parts, without
from relevance.config import (
    Config,
    DataConfig,
    LoraConfig,
    Match,
    MixConfig,
    ModelConfig,
    PrivateConfig,
    RoutingConfig,
    Source,
    TrainConfig,
)

DATA, BACKBONE = "d" * 64, "b" * 64
BASE = Config(
    model=ModelConfig(name="llm", backbone="embedded:llm"),
    routing=RoutingConfig("mhp", heads=True, private=PrivateConfig(layers=2)),
)


def changed(group: str, **settings) -> Config:
    return replace(BASE, **{group: replace(getattr(BASE, group), **settings)})


@pytest.mark.parametrize(
    "other",
    [
        changed("model", lr=1e-5),
        changed("model", max_length=64),
        changed("routing", prefix=True),
        changed("task_mix", temperature=2.0),
        changed("train", step_rows=32),
        changed("trainer", max_epochs=3),
        changed("trainer", precision="bf16-mixed"),
        replace(BASE, seed=1),
    ],
)
def test_what_can_change_numbers_changes_the_fingerprint(other):
    assert fingerprint(other, DATA, BACKBONE) != fingerprint(BASE, DATA, BACKBONE)


def test_other_data_or_other_weights_are_another_question():
    assert len({fingerprint(BASE, data, weights) for data in "ab" for weights in "cd"}) == 4


@pytest.mark.parametrize(
    "other",
    [
        changed("model", backbone="/elsewhere/the/same/weights"),
        changed("data", path="/elsewhere/the/same/rows.csv"),
        changed("trainer", accelerator="cpu", devices=4, enable_progress_bar=False),
        replace(BASE, threads=7, outputs="elsewhere", name="nightly", tracking_uri="sqlite:///x.db", rerun=True),
    ],
)
def test_where_and_how_fast_a_cell_runs_does_not(other):
    assert fingerprint(other, DATA, BACKBONE) == fingerprint(BASE, DATA, BACKBONE)


def called(config: Config, data: str = DATA, weights: str = BACKBONE) -> str:
    return cell_name(config, variant_of(config, BASE, data, weights))


def test_a_cell_of_defaults_has_a_plain_name():
    assert called(BASE) == "llm-mhp-joint-s0"
    assert called(replace(BASE, seed=3)) == "llm-mhp-joint-s3"


def test_what_differs_from_the_defaults_enters_the_name():
    assert called(changed("routing", private=PrivateConfig(layers=3))) == "llm-mhp[private.layers=3]-joint-s0"
    assert called(changed("data", rows=500)) == "llm-mhp[data.rows=500]-joint-s0"
    assert called(changed("model", lr=0.5)) == "llm-mhp[lr=0.5]-joint-s0"


def test_two_files_or_two_backbones_of_one_name_get_two_names_without_their_paths():
    pairs = replace(BASE, data=DataConfig(kind=Source.pairs, path="/a/secret/place/pairs.csv"))
    assert called(pairs, "1" * 64) == "llm-mhp[data=pairs@11111111]-joint-s0"
    assert called(pairs, "2" * 64) != called(pairs, "1" * 64)
    other = changed("model", backbone="/a/secret/place/tiny")
    assert called(other, DATA, "3" * 64) == "llm-mhp[backbone=tiny@33333333]-joint-s0"
    other = changed("model", backbone="packaged:smollm2")
    assert called(other, DATA, "3" * 64) == "llm-mhp[backbone=smollm2@33333333]-joint-s0"


def test_cells_that_differ_never_share_a_name():
    mix = replace(BASE, task_mix=MixConfig("temperature", temperature=3.0))
    others = [changed("train", step_rows=n) for n in (16, 32)] + [changed("routing", prefix=True), mix]
    assert len({called(config) for config in [BASE, *others]}) == 5


def test_a_text_that_reads_as_a_number_or_a_list_is_told_from_one():
    for group, key, values in (("trainer", "limit_train_batches", (1, "1")), ("train", "schedule", ("[a,b]", "ab"))):
        one, other = (called(changed(group, **{key: value})) for value in values)
        assert one != other
    assert called(changed("trainer", limit_train_batches="1")) == "llm-mhp[trainer.limit_train_batches='1']-joint-s0"


def test_a_config_takes_its_variant_apart():
    lora = LoraConfig(r=8, targets=["q", "v"])
    model = ModelConfig(backbone="org/bert,b", lora=lora, head_lr=None, head_step=0.5)
    for data in (DataConfig(rows=500, seed=3), DataConfig(kind=Source.pairs, path="x/my,pairs.csv")):
        config = Config(data=data, model=model, match=Match.steps, train=TrainConfig(task_weights={"item_item": 2.0}))
        variant = variant_of(config, Config(), "d" * 64, "b" * 64)
        parts = variant_parts(variant, config)
        assert ",".join(parts) == variant
        assert {"lora.r=8", "lora.targets=['q','v']", "backbone=bert,b@bbbbbbbb", "match=steps"} < set(parts)
        assert variant_parts("", config) == []
    assert parts[0] == "data=my,pairs@dddddddd"
    assert without(variant, *parts[1:]) == parts[0]


def test_the_precision_of_another_machine_is_in_the_name():
    assert called(changed("trainer", precision="bf16-mixed")) == "llm-mhp[precision=bf16-mixed]-joint-s0"


def test_a_setting_at_its_default_is_no_part_of_the_question_so_that_a_new_one_changes_no_fingerprint(monkeypatch):
    before = fingerprint(BASE, DATA, BACKBONE)
    fields = {"new_setting": (float, field(default=0.5))}
    grown = make_dataclass("TrainConfig", [(name, *rest) for name, rest in fields.items()], bases=(TrainConfig,))
    monkeypatch.setattr(cell_id, "Config", lambda: Config(train=grown()))
    assert fingerprint(replace(BASE, train=grown()), DATA, BACKBONE) == before
    assert fingerprint(replace(BASE, train=grown(new_setting=0.6)), DATA, BACKBONE) != before


def test_code_that_changes_numbers_asks_anew(monkeypatch):
    before = fingerprint(BASE, DATA, BACKBONE)
    monkeypatch.setattr(cell_id, "NUMERICS", cell_id.NUMERICS + 1)
    assert fingerprint(BASE, DATA, BACKBONE) != before


def test_the_schemas_defaults_are_those_of_this_version_of_the_numerics():
    """A changed default is another question under the same fingerprint: raise NUMERICS, then write it down here."""
    assert cell_id.NUMERICS == 4
    now = cell_id.flat(cell_id.question(Config()))
    for key, value in DEFAULTS.items():
        assert now[key] == value, f"{key}: raise identity.NUMERICS"


def test_a_long_name_is_cut_in_the_middle_and_stays_one_of_its_own():
    long = [
        changed("model", lr=0.125, head_lr=0.25, private_lr=0.5, gate_lr=rate, gradient_checkpointing=True)
        for rate in (1, 2)
    ]
    names = [called(config) for config in long]
    assert [len(text) for text in names] == [cell_id.NAME_LENGTH] * 2
    assert len(set(names)) == 2
    for text, config in zip(names, long, strict=True):
        assert text.startswith("llm-mhp[gate_lr=")
        assert text.endswith("]-joint-s0")
        assert "private_lr=0.5" in cell_id.full_name(config, variant_of(config, BASE, DATA, BACKBONE))


DEFAULTS = {
    "model.max_length": 128,
    "model.lora.r": 0,
    "model.lora.alpha": 16.0,
    "model.lora.dropout": 0.0,
    "model.lora.targets": "all-linear",
    "model.lr": 5e-4,
    "model.head_lr": 1e-3,
    "model.head_step": None,
    "model.private_lr": 1e-3,
    "model.gate_lr": 1e-2,
    "model.attn_implementation": None,
    "routing.prefix": False,
    "routing.heads": False,
    "routing.private.kind": "inserted",
    "routing.private.layers": 0,
    "routing.private.lr_factor": 1.0,
    "task_mix.temperature": 1.0,
    "task_mix.share": 1.0,
    "train.step_rows": 128,
    "train.score_token_budget": None,  # 8192 before, as it still is on the CPU
    "train.weight_decay": 0.01,
    "train.warmup": 0.06,
    "train.schedule": "linear",
    "train.clip": 1.0,
    "train.patience": 2,
    "train.teacher": [],
    "train.teacher_weight": 0.5,
    "train.teacher_temperature": 2.0,
    "trainer.precision": None,
    "trainer.max_epochs": 1,
    "trainer.max_steps": -1,
    "match": "none",
}
