"""The door of the config: every problem at once, each with its remedy."""

from dataclasses import replace

import pytest

from relevance.checks import validate
from relevance.config import (
    Attention,
    Config,
    DataConfig,
    Family,
    LoraConfig,
    Match,
    Mix,
    MixConfig,
    ModelConfig,
    OnBadRow,
    Pooling,
    PrivateConfig,
    PrivateKind,
    PromptConfig,
    RoutingConfig,
    Source,
    TrainConfig,
    TrainerConfig,
    Tuning,
)
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
        ("model", ModelConfig(backbone="embedded:ce", lr=-1.0), "model.lr=-1.0: must be above 0"),
        ("task_mix", MixConfig(temperature=3.0), "add task_mix=temperature"),
        ("data", DataConfig(seed=-1), "must be 0 or more"),
        ("trainer", TrainerConfig(gradient_clip_val=1.0), "use train.clip"),
        ("trainer", TrainerConfig(accumulate_grad_batches=2), "use train.step_rows"),
        ("trainer", TrainerConfig(devices=0), "devices=0: give the number of one cell's devices, 1 or more, auto"),
        ("trainer", TrainerConfig(devices="cuda:0"), "devices=cuda:0: give the number"),
        ("trainer", TrainerConfig(accelerator="tpu"), "accelerator=tpu: must be one of auto, cpu, gpu"),
        ("trainer", TrainerConfig(devices=[0, 0]), "a list of different GPU numbers"),
        ("trainer", TrainerConfig(devices=[0, 1], accelerator="cpu"), "a list names GPUs; give a number"),
        ("trainer", TrainerConfig(limit_train_batches=0), "limit_train_batches=0: must be above 0, or null"),
        ("trainer", TrainerConfig(check_val_every_n_epoch=0), "check_val_every_n_epoch=0: must be above 0"),
        ("trainer", TrainerConfig(limit_val_batches=-1), "limit_val_batches=-1: give a number, or a share"),
        ("trainer", TrainerConfig(limit_train_batches=1.5), "limit_train_batches=1.5: give a number, or a share"),
        ("trainer", TrainerConfig(max_time="an hour"), "max_time=an hour: give days, hours"),
        ("train", TrainConfig(patience=-1), "train.patience=-1: must be 0 or more"),
        ("train", TrainConfig(score_token_budget=0), "train.score_token_budget=0: must be 1 or more"),
        ("trainer", TrainerConfig(max_epochs=-1, max_time="00:00:01:00"), "falls towards an end; give one of them"),
        ("trainer", TrainerConfig(precision="16-mixed"), "must be one of 32-true, bf16-mixed, bf16-true, or null"),
        ("threads", 0, "must be 1 or more"),
        ("checkpoint_steps", 0, r"null \(at the ends of epochs\)"),
        ("seed", -1, "seed=-1: must be 0 or more and below 4,294,967,296"),
        ("experiment", " ", "name the MLflow experiment"),
        ("train", TrainConfig(task_weights={"query_itme": 2.0}), "unknown task.*query_itme.*available: query_item"),
        ("train", TrainConfig(class_weights=[1.0, 2.0]), "one for each of 0, 1, 2"),
        ("train", TrainConfig(class_weights=[1.0, -1.0, 1.0]), "must be 0 or more"),
        ("train", TrainConfig(task_weights={"query_item": float("nan")}), "must be 0 or more"),
        ("data", DataConfig(columns={"left": "query"}), "is of a file of pairs; add data=pairs"),
        ("data", DataConfig(on_bad_row=OnBadRow.quarantine), "data.on_bad_row=quarantine: is of a file of pairs"),
        ("data", DataConfig(quotes=False), "data.quotes=False: is of a file of pairs"),
        ("data", DataConfig(unpacked=1.0), "data.unpacked=1.0: is of a file of pairs"),
        ("data", DataConfig(ratio=1.0), "data.ratio=1.0: is of a file of pairs"),
        ("data", DataConfig(kind=Source.pairs, path="pairs.csv", noise=0.1), "noise of generated data; leave it out"),
        ("task_mix", MixConfig(task="query_item"), "trains every task; use task_mix=single_query_item"),
        ("task_mix", MixConfig(draws=10), "takes each row once; use temperature or equal"),
        ("task_mix", MixConfig(kind=Mix.single, task="query"), "available: query_item"),
        ("task_mix", MixConfig(kind=Mix.temperature, temperature=0), "must be above 0"),
    ],
)
def test_a_setting_that_cannot_be_is_named_with_its_remedy(group, value, said):
    with pytest.raises(UserError, match=said):
        validate(replace(GOOD, **{group: value}))


MHP = RoutingConfig("mhp", heads=True, private=PrivateConfig(layers=2))


@pytest.mark.parametrize(
    ("changed", "rates", "said"),
    [
        ({}, {"private_lr": 1e-4}, "model.private_lr=0.0001: nothing of routing=mh .* learns at it"),
        ({}, {"gate_lr": 1e-4}, "model.gate_lr=0.0001: nothing of routing=mh"),
        (
            {"routing": replace(MHP, private=PrivateConfig(PrivateKind.top, 2))},
            {"gate_lr": 1e-4},
            "gate_lr=0.0001: nothing of routing=mhp routing.private.kind=top learns at it",
        ),
        ({"match": Match.steps, "train": TrainConfig(patience=3)}, {}, "train.patience=3: under match=steps no cell"),
        (
            {
                "task_mix": MixConfig("single_query_item", Mix.single, "query_item"),
                "train": TrainConfig(task_weights={"query_item": 2.0}),
            },
            {},
            "one task, which no weight changes",
        ),
    ],
)
def test_a_setting_without_effect_is_no_part_of_a_name(changed, rates, said):
    with pytest.raises(UserError, match=said):
        validate(replace(GOOD, **changed), rates)


def test_rates_of_private_layers_are_valid_where_they_learn():
    config = replace(GOOD, routing=MHP)
    assert validate(config, {"private_lr": 1e-4, "gate_lr": 1e-3}) is config


@pytest.mark.parametrize("devices", [4, "4", "auto", -1, [0, 2]])
def test_a_cell_may_have_several_devices(devices):
    assert validate(replace(GOOD, trainer=TrainerConfig(devices=devices)))


def test_all_problems_are_raised_at_once():
    bad = replace(GOOD, model=ModelConfig(name="ce_b", max_length=2), trainer=TrainerConfig(gradient_clip_val=1.0))
    with pytest.raises(UserError) as error:
        validate(bad)
    assert str(error.value).count("\n") == 3


LLM = ModelConfig(name="llm", backbone="embedded:llm", lora=LoraConfig(r=8))


@pytest.mark.parametrize(
    ("model", "private", "said"),
    [
        (LLM, PrivateConfig(PrivateKind.top), "routing=mhp has no private layers; use routing=mhp"),
        (LLM, PrivateConfig(layers=-1), "layers=-1: must be 0 or more"),
        (LLM, PrivateConfig(layers=2, lr_factor=0), "lr_factor=0: must be above 0"),
        (replace(LLM, lora=LoraConfig()), PrivateConfig(PrivateKind.lora, 2), "kind=lora: needs plain LoRA"),
        (replace(LLM, lora=LoraConfig(8, use_dora=True)), PrivateConfig(PrivateKind.lora, 2), "use_dora=True"),
        (
            replace(LLM, load_in_4bit=True),
            PrivateConfig(layers=2),
            "copies of 4-bit blocks cannot be trained",
        ),
        (
            replace(LLM, lora=LoraConfig(use_dora=True)),
            PrivateConfig(),
            "lora.use_dora: needs an adapter; give model.lora.r",
        ),
        (replace(LLM, lora=LoraConfig(), load_in_4bit=True), PrivateConfig(), "load_in_4bit: needs an adapter; give"),
        (replace(LLM, lora=LoraConfig(8, alpha=0.0)), PrivateConfig(), "alpha=0.0: must be above 0"),
        (replace(LLM, lora=LoraConfig(8, dropout=1.0)), PrivateConfig(), "dropout=1.0: must be 0 or more and below 1"),
        (
            replace(LLM, lora=LoraConfig(8, targets="some")),
            PrivateConfig(),
            "targets=some: use attention, all-linear, or",
        ),
        (replace(LLM, lora=LoraConfig(8, targets=[])), PrivateConfig(), r"targets=\[\]: use attention, all-linear, or"),
        (
            replace(LLM, attn_implementation="magic"),
            PrivateConfig(),
            "=magic: must be one of eager, sdpa, or null",
        ),
    ],
)
def test_private_layers_and_adapters_that_cannot_be_are_named(model, private, said):
    with pytest.raises(UserError, match=said):
        validate(replace(GOOD, model=model, routing=RoutingConfig("mhp", heads=True, private=private)))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (replace(GOOD.model, attention=Attention.causal), "no such mask for an encoder; .* model=llm"),
        (replace(LLM, pooling=Pooling.first), "first state is of the first token alone; add model.attention=bidirec"),
        (replace(LLM, tuning=Tuning.full), "model.tuning=full model.lora.r=8: a rank of 8 is tuning=lora"),
    ],
)
def test_what_a_family_cannot_read_is_named(model, said):
    with pytest.raises(UserError, match=said):
        validate(replace(GOOD, model=replace(model, family=Family(model.name))))


@pytest.mark.parametrize("pooling", list(Pooling))
def test_a_decoder_that_reads_both_ways_may_pool_any_state(pooling):
    config = replace(GOOD, model=replace(LLM, family=Family.llm, attention=Attention.bidirectional, pooling=pooling))
    assert validate(config) is config


SOFT_PROMPT = RoutingConfig("soft_prompt", prompt=PromptConfig(8))
MTL_LORA = RoutingConfig("mtl_lora", heads=True, task_matrix=True)


@pytest.mark.parametrize(
    ("model", "routing", "said"),
    [
        (
            GOOD.model,
            MTL_LORA,
            "its task_matrix stands in plain LoRA .*use model=llm, or give model.lora.r=16",
        ),
        (replace(LLM, lora=LoraConfig(8, use_dora=True)), MTL_LORA, "use_dora=True"),
        (LLM, replace(MTL_LORA, prompt=PromptConfig(2)), "prompt.k=2 routing.task_matrix=True: one of them at a time"),
        (
            LLM,
            replace(MHP, prompt=PromptConfig(2)),
            "private.layers=2 routing.prompt.k=2: one of them at a time",
        ),
        (LLM, replace(SOFT_PROMPT, prompt=PromptConfig(-1)), "routing.prompt.k=-1: must be 0 or more"),
    ],
)
def test_rivals_that_cannot_be_are_named(model, routing, said):
    with pytest.raises(UserError, match=said):
        validate(replace(GOOD, model=model, routing=routing))


def test_the_rate_of_private_weights_is_that_of_a_prompt_and_of_no_matrix():
    assert validate(replace(GOOD, routing=SOFT_PROMPT), {"private_lr": 1e-3})
    with pytest.raises(UserError, match=r"gate_lr=0\.001: nothing of routing=soft_prompt"):
        validate(replace(GOOD, routing=SOFT_PROMPT), {"gate_lr": 1e-3})
    with pytest.raises(UserError, match=r"private_lr=0\.001: nothing of routing=mtl_lora"):
        validate(replace(GOOD, model=LLM, routing=MTL_LORA), {"private_lr": 1e-3})


def test_four_bits_with_adapters_per_task_are_valid():
    config = replace(GOOD, model=replace(LLM, load_in_4bit=True))
    validate(replace(config, routing=RoutingConfig("mhp", heads=True, private=PrivateConfig(PrivateKind.lora, 2))))
