"""Which rates a cell learns at: its own, its family's by hand, its kind of backbone's; and what is said of odd ones."""

import hydra
import pytest
from hydra import compose, initialize_config_dir
from test_run import ROOT

from relevance.cell_id import fingerprint, variant_of, variant_parts
from relevance.checks import validate
from relevance.compose import register
from relevance.config import Config, Tuning
from relevance.errors import UserError
from relevance.rates import doubts, filled


@pytest.fixture
def composed():
    """A cell as the command line composes it, its rates filled in, and its groups' defaults beside it."""
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):

        def made(*words: str) -> tuple[Config, Config]:
            config = filled(compose("config", overrides=list(words)))
            groups = [word for word in words if word.split("=")[0] in ("model", "routing", "task_mix")]
            return config, filled(compose("config", overrides=groups), like=config)

        yield made
    hydra.core.global_hydra.GlobalHydra.instance().clear()


def rates(config: Config) -> tuple:
    model = config.model
    return model.lr, model.head_lr, model.head_step, model.lora.targets, config.train.step_rows


def test_embedded_backbones_keep_theirs_and_every_other_gets_those_of_its_family_and_tuning(composed):
    assert rates(composed("model=llm")[0]) == (3e-3, 5e-3, None, "attention", 32)
    assert rates(composed("model=ce")[0])[:3] == (1e-3, 3e-3, None)
    encoder, decoder = (composed(f"model={name}", "model.backbone=org/any")[0] for name in ("ce", "llm"))
    assert (encoder.train.step_rows, encoder.trainer.max_epochs) == (32, 2)
    assert encoder.model.head_lr is decoder.model.head_lr is None
    assert decoder.model.lora.targets == "all-linear"
    assert encoder.model.lr < 1e-3
    adapted = composed("model=ce", "model.backbone=org/any", "model.lora.r=8")[0]
    assert adapted.model.lr > encoder.model.lr


def test_what_is_set_by_hand_wins_for_every_cell_or_for_a_family(composed):
    by_hand = composed("model=llm", "model.backbone=org/any", "model.lr=7e-5", "rates.llm.lr=9e-5")[0]
    assert by_hand.model.lr == 7e-5
    words = ("rates.llm.lr=9e-5", "rates.ce.step_rows=8")
    assert composed("model=llm", *words)[0].model.lr == 9e-5
    encoder = composed("model=ce", *words)[0]
    assert (encoder.model.lr, encoder.train.step_rows) == (1e-3, 8)


def test_a_rate_of_the_heads_given_by_hand_takes_the_place_of_the_one_that_follows_the_states(composed):
    for word in ("model.head_lr=1e-3", "rates.ce.head_lr=1e-3"):
        config = composed("model=ce", "model.backbone=org/any", word)[0]
        assert (config.model.head_lr, config.model.head_step) == (1e-3, None)
    other = composed("model=ce", "model.head_step=0.3")[0]
    assert (other.model.head_lr, other.model.head_step) == (None, 0.3)


def test_what_a_backbone_brings_with_it_is_no_variant_and_a_rate_by_hand_is_one(composed):
    def named(*words: str) -> str:
        return variant_of(*composed("model=ce", *words), "d" * 64, "b" * 64)

    assert named() == ""
    assert named("model.backbone=org/any") == "backbone=any@bbbbbbbb"
    assert named("model.backbone=org/any", "rates.ce.lr=5e-5") == "backbone=any@bbbbbbbb,lr=5e-05"
    assert named("model.backbone=org/any", "model.head_lr=1e-3") == "backbone=any@bbbbbbbb,head_lr=0.001"


def test_rates_given_by_hand_as_they_are_anyway_are_the_same_question(composed):
    same = composed("model=ce", "model.lr=1e-3", "train.step_rows=32")[0]
    assert fingerprint(same, "d", "b") == fingerprint(composed("model=ce")[0], "d", "b")


def test_too_few_steps_and_a_rate_far_from_the_usual_are_said_with_what_to_set(composed):
    cell, usual = composed("model=ce", "model.backbone=org/any", "model.lr=1e-2")
    few, far = doubts(cell, usual, rows=1000)
    assert few.startswith("64 optimiser steps are few")
    assert "trainer.max_epochs=8" in few
    assert far.startswith("model.lr=0.01 is far from the")
    assert doubts(usual, usual, rows=10_000) == ()


def test_a_limit_of_steps_counts_them(composed):
    cell, usual = composed("model=ce", "trainer.max_steps=30")
    (few,) = doubts(cell, usual, rows=100_000)
    assert few.startswith("30 optimiser steps are few")
    assert few.endswith("give trainer.max_steps=200 or more")


def test_a_rate_of_the_heads_far_from_the_usual_is_said(composed):
    for words in (("model.head_lr=1",), ("model.backbone=org/any", "model.head_step=9")):
        cell, usual = composed("model=ce", *words)
        assert doubts(cell, usual, rows=100_000)[0].startswith(words[-1].partition("=")[0])


def test_targets_of_adapters_on_an_encoder_are_those_of_its_kind_or_of_its_family_by_hand(composed):
    assert composed("model=ce", "model.lora.r=8")[0].model.lora.targets == "attention"
    real = ("model=ce", "model.backbone=org/any", "model.lora.r=8")
    assert composed(*real)[0].model.lora.targets == "all-linear"
    assert composed(*real, "rates.ce.targets=attention")[0].model.lora.targets == "attention"


def test_a_decoder_of_which_every_weight_is_trained_needs_no_targets(composed):
    cell = composed("model=llm", "model.backbone=org/any", "model.lora.r=0", "model.lora.alpha=16")[0]
    assert cell.model.lr == 2e-5
    assert validate(cell) == cell


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["model=llm", "model.tuning=full"], (Tuning.full, 0, 16.0, 1e-3)),
        (["model=llm", "model.lora.r=0"], (Tuning.full, 0, 16.0, 1e-3)),
        (["model=llm", "routing=mh_wide"], (Tuning.full, 0, 16.0, 1e-3)),
        (["model=llm", "model.tuning=lora"], (Tuning.lora, 16, 32.0, 3e-3)),
        (["model=llm", "model.lora.r=8"], (Tuning.lora, 8, 32.0, 3e-3)),
        (["model=ce"], (Tuning.full, 0, 16.0, 1e-3)),
        (["model=ce", "model.tuning=lora"], (Tuning.lora, 16, 32.0, 3e-3)),
        (["model=ce", "model.tuning=lora", "model.lora.r=4"], (Tuning.lora, 4, 32.0, 3e-3)),
        (["model=ce", "model.lora.r=8"], (Tuning.lora, 8, 16.0, 3e-3)),
        (["model=ce", "model.tuning=full", "rates.ce.r=4"], (Tuning.full, 0, 16.0, 1e-3)),
        (["model=ce", "model.tuning=lora", "rates.ce.r=4"], (Tuning.lora, 4, 32.0, 3e-3)),
    ],
)
def test_tuning_is_an_axis_of_both_families_with_rank_and_rates_of_its_own(composed, words, expected):
    model = validate(composed(*words)[0]).model
    assert (model.tuning, model.lora.r, model.lora.alpha, model.lr) == expected


def test_a_tuning_and_a_rank_that_contradict_each_other_are_named(composed):
    for words in (("model.tuning=full", "model.lora.r=8"), ("model.tuning=lora", "routing=mh_wide")):
        with pytest.raises(UserError, match=r"model.tuning=(full|lora) model.lora.r=[08]: .* leave one of them out"):
            validate(composed("model=llm", *words)[0])


def test_the_name_shows_a_tuning_that_is_not_the_groups_own_and_nothing_that_comes_with_it(composed):
    def named(*words: str) -> str:
        return variant_of(*composed(*words), "d" * 64, "b" * 64)

    assert named("model=llm", "model.tuning=full") == named("model=llm", "model.lora.r=0") == "tuning=full"
    assert named("model=ce", "model.tuning=lora") == "tuning=lora"
    assert named("model=llm", "model.tuning=lora") == named("model=ce", "model.tuning=full") == ""
    assert named("model=llm", "routing=mh_wide") == ""
    assert named("model=ce", "model.tuning=lora", "model.lora.r=4") == "tuning=lora,lora.r=4"
    assert named("model=ce", "model.lora.r=4") == "tuning=lora,lora.alpha=16.0,lora.r=4"
    config = composed("model=ce", "model.tuning=lora", "model.lora.r=4")[0]
    assert variant_parts("tuning=lora,lora.r=4", config) == ["tuning=lora", "lora.r=4"]


def test_a_mask_or_pooling_that_is_the_familys_own_is_the_question_without_it_and_another_is_in_the_name(composed):
    def of(*words: str) -> tuple[str, str]:
        config, defaults = composed(*words)
        return fingerprint(config, "d", "b"), variant_of(config, defaults, "d" * 64, "b" * 64)

    assert of("model=llm") == of("model=llm", "model.attention=causal", "model.pooling=last")
    assert of("model=ce") == of("model=ce", "model.attention=bidirectional")
    assert of("model=llm", "model.attention=bidirectional")[1] == "attention=bidirectional"
    assert of("model=llm", "model.pooling=mean", "model.tuning=full")[1] == "tuning=full,pooling=mean"
    assert of("model=ce", "model.pooling=first")[1] == "pooling=first"
    pairs = (("causal", "last"), ("causal", "mean"), ("bidirectional", "last"), ("bidirectional", "first"))
    assert len({of("model=llm", f"model.attention={a}", f"model.pooling={p}")[0] for a, p in pairs}) == 4


EARLIER = {  # fingerprints that cells had before tuning was a setting, of data d and backbone b
    ("model=llm", "routing=mh"): "e74c46d71d30de5b",
    ("model=llm", "routing=mh_wide"): "f2c63eddd9c2a911",
    ("model=llm", "model.lora.r=8"): "b2d11ce0deb18793",
    ("model=llm", "model.lora.r=0", "model.lora.alpha=16"): "70a78cc397035536",
    ("model=ce", "routing=mhp"): "a85167be1b328bf7",
    ("model=ce", "model.lora.r=8"): "a2753d62cedac2d8",
    ("model=ce", "model.backbone=org/any", "model.lora.r=8"): "957f2ef69afefef6",
}


def test_cells_of_before_keep_their_fingerprints(composed):
    assert {words: fingerprint(composed(*words)[0], "d" * 64, "b" * 64)[:16] for words in EARLIER} == EARLIER


@pytest.mark.parametrize("key", ["lr", "head_step", "step_rows"])
def test_a_rate_that_nothing_says_is_named(composed, key):
    with pytest.raises(UserError, match=f"rates.llm_lora.{key}=null: .* give a number"):
        composed("model=llm", "model.backbone=org/any", f"rates.llm_lora.{key}=null")
