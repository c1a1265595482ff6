"""Family and tuning crossed: the report names the one that was built in as the cause of a decoder's loss."""

import pytest
from page import evidence, line, text
from test_report_claims import train

from relevance.report.causes import BOTH, CAUSES, FAMILY, MASK, PAPER, TUNING
from relevance.report.evidence import Evidence
from relevance.report.sections.causes import answer, cause_lines, simultaneous

KINDS = (("ce", ""), ("ce", "tuning=lora"), ("llm", ""), ("llm", "tuning=full"))  # "": what a family has by itself
SECTION = "What explains a decoder's loss without the prefix"


def crossed(study, losses: dict[tuple[str, str], int], seeds: int = 3, kinds=KINDS) -> Evidence:
    """The four routings of each kind; under mh so many more rows are wrong than under the prefix."""
    for model, variant in kinds:
        wrong = {"none": 9, "prefix": 4, "mh": 4 + losses.get((model, variant), 0), "mhp": 3}
        train(study, {(model, routing): n for routing, n in wrong.items()}, seeds, variant=variant)
    return evidence(study)


def estimates(of: Evidence, what: str = "prefix - mh") -> dict[str, float]:
    return {effect["a"]: round(effect["estimate"], 3) for effect in of.of(CAUSES) if effect["b"] == what}


def test_a_loss_of_decoders_is_the_familys(study):
    """8 of 20 rows of each task: 40 points."""
    of = crossed(study, {("llm", ""): 8, ("llm", "tuning=full"): 8})
    assert estimates(of) == {
        PAPER: 0.4, f"{FAMILY}, full": 0.4, f"{FAMILY}, lora": 0.4, FAMILY: 0.4,
        f"{TUNING}, ce": 0, f"{TUNING}, llm": 0, TUNING: 0, BOTH: 0,
    }  # fmt: skip
    said = answer(simultaneous(of.of(CAUSES)))
    assert "the decoder itself (family) (+40.0 [" in said
    assert "its adapters" not in said


def test_a_loss_under_adapters_is_the_tunings(study):
    of = crossed(study, {("llm", ""): 8, ("ce", "tuning=lora"): 8})
    assert estimates(of)[PAPER] == estimates(of)[TUNING] == 0.4
    assert estimates(of)[FAMILY] == 0
    said = answer(simultaneous(of.of(CAUSES)))
    assert "its adapters (tuning)" in said
    assert "the decoder itself" not in said


def test_main_effects_are_means_over_the_design(study):
    of = crossed(study, {("llm", ""): 8})
    assert estimates(of, "accuracy") == {
        "prefix": 0.25, "heads": 0.15, "private layers": 0.15, FAMILY: -0.05, TUNING: -0.05
    }  # fmt: skip


def test_what_is_not_shown_is_not_explained(study):
    said = answer(simultaneous(crossed(study, {}).of(CAUSES)))
    assert said.startswith("Cannot be told: no larger loss of the decoder than of the encoder is shown here")


def test_one_seed_decides_nothing(study):
    said = answer(simultaneous(crossed(study, {("llm", ""): 8}, seeds=1).of(CAUSES)))
    assert said == "Cannot be told: one seed decides nothing; add seeds."


def test_what_no_cell_was_trained_for_says_what_trains_it(study):
    of = crossed(study, {("llm", ""): 8}, kinds=(*KINDS[:1], *KINDS[2:]))
    reasons = {effect["a"]: effect["reason"] for effect in of.of(CAUSES) if effect["reason"]}
    assert reasons == {}
    assert f"{TUNING}, llm" in estimates(of)
    assert BOTH not in estimates(of)


def test_the_mask_is_a_cause_where_it_was_changed(study):
    train(study, {("llm", "prefix"): 4, ("llm", "mh"): 4}, variant="attention=bidirectional")
    of = crossed(study, {("llm", ""): 8, ("llm", "tuning=full"): 8})
    assert estimates(of)[MASK] == 0.4
    assert "its causal mask" in answer(simultaneous(of.of(CAUSES)))


def test_what_the_mask_does_to_accuracy_takes_every_routing_with_and_without_it(study):
    """Of 20 rows of each task 9, 4, 4 and 3 are wrong under the mask, and two more without it."""
    wrong = {("llm", "none"): 11, ("llm", "prefix"): 6, ("llm", "mh"): 6, ("llm", "mhp"): 5}
    train(study, wrong, variant="attention=bidirectional")
    assert estimates(crossed(study, {}), "accuracy")[MASK] == 0.1


def test_the_section_stands_where_factors_are_crossed(study):
    of = crossed(study, {("llm", ""): 8})
    page = text(study)
    assert f"## {SECTION}\n\n**{answer(simultaneous(of.of(CAUSES)))}**" in page
    assert "Bonferroni, 13 effects" in page
    assert line(page, PAPER, "prefix - mh")[-1] == "12,345 : 12,345"
    lines = cause_lines(of)
    assert [line.value for line in lines[:8]] == sorted((line.value for line in lines[:8]), reverse=True)


def test_it_stands_nowhere_else(study):
    train(study, {(model, routing): 4 for model in ("ce", "llm") for routing in ("prefix", "mh")})
    assert SECTION not in text(study)


@pytest.mark.parametrize("effects", [1, 13])
def test_intervals_hold_together(effects):
    """Of one effect as wide as they were; of thirteen those of Bonferroni."""
    lines = [{"estimate": 0.1, "se_rows": 0.03, "se_seeds": 0.04, "df": 1e6, "p": 0.01, "low": 0, "high": 0}] * effects
    half = simultaneous(lines)[0]["high"] - 0.1
    assert half == pytest.approx({1: 1.959964, 13: 2.890505}[effects] * 0.05, rel=1e-4)
