"""Claims, factors, baselines and the opening on studies whose answer is known: they say it, and turn round with it."""

import numpy as np
import pytest
from page import line, text

from relevance.errors import UserError
from relevance.metrics import COLUMNS
from relevance.report.matrix import matrices
from relevance.report.outline import Findings

MODELS = ("ce", "llm", "llm_b")
SINGLES = [f"single_{task}" for task in COLUMNS[:6]]


def findings(study) -> Findings:
    (matrix,) = matrices(study.sweep())
    return Findings(matrix)


def verdicts(study) -> dict[str, str]:
    return {claim.letter: claim.verdict for claim in findings(study).claims}


def train(study, wrong: dict[tuple[str, str], int], seeds: int = 3, **changes) -> None:
    """A joint cell of each model and routing with so many wrong rows of each task, in each seed."""
    for (model, routing), n in wrong.items():
        for seed in range(seeds):
            study.cell(f"{model}-{routing}-joint-s{seed}", n, **changes)


def apart(study, routing: str, seeds: int = 3, n: int = 4, **changes) -> None:
    """Three models, each wrong on n rows that the others know."""
    for seed in range(seeds):
        for at, model in enumerate(MODELS):
            study.cell(f"{model}-{routing}-joint-s{seed}", n, start=n * at, **changes)


@pytest.fixture
def paper(study):
    """As the paper has it."""
    apart(study, "mhp", variant="match=steps")
    train(study, {(model, "prefix"): 5 for model in MODELS}, variant="match=steps")
    train(study, {("llm", "mh"): 13, ("llm_b", "mh"): 13, ("ce", "mh"): 6}, variant="match=steps")
    for model in ("ce", "llm"):
        for mix in SINGLES:
            for seed in range(3):
                study.cell(f"{model}-mh-{mix}-s{seed}", 16, variant="match=steps")
    return study


def test_what_the_paper_says_is_supported_where_it_holds(paper):
    assert verdicts(paper) == dict.fromkeys(["a1", "a2", "b1", "b2", "b3", "c1", "c2", "d1", "d2"], "supported")


def test_families_whose_settings_differ_are_each_read_by_their_own(study):
    train(study, {("ce", "prefix"): 5, ("ce", "mh"): 6, ("ce", "mhp"): 6}, variant="data.rows=500")
    train(study, {("llm", "prefix"): 5, ("llm", "mh"): 13, ("llm", "mhp"): 6}, variant="task_mix.share=0.5")
    train(study, {("llm", "mh"): 20}, variant="task_mix.share=0.1")
    assert {letter: verdicts(study)[letter] for letter in ("b1", "b2", "b3")} == dict.fromkeys(
        ["b1", "b2", "b3"], "supported"
    )


def test_claims_turn_round_with_the_numbers(study):
    apart(study, "prefix", n=6)
    train(study, {(model, "mhp"): 9 for model in MODELS})
    train(study, {("llm", "mh"): 2, ("llm_b", "mh"): 2, ("ce", "mh"): 12})
    for model in ("ce", "llm"):
        for mix in SINGLES:
            for seed in range(3):
                study.cell(f"{model}-mh-{mix}-s{seed}", 0)
    expected = dict.fromkeys(["a1", "a2", "b1", "b2", "b3", "c1", "c2", "d1", "d2"], "contradicted")
    assert verdicts(study) == expected


def test_two_seeds_decide_nothing(study):
    apart(study, "mhp", seeds=2)
    train(study, {(model, routing): 12 for model in MODELS for routing in ("prefix", "mh")}, seeds=2)
    assert set(verdicts(study).values()) == {"undecided"}


def test_two_members_are_no_vote(study):
    train(study, {(model, routing): 3 for model in ("ce", "llm") for routing in ("prefix", "mh", "mhp")})
    found = {claim.letter: claim for claim in findings(study).claims}
    assert found["a1"].effect is None
    assert "every disagreement is a tie" in found["a1"].reason
    assert "every disagreement is a tie" in found["d1"].reason
    assert "+sweep=baselines" in found["c1"].reason


def test_what_was_not_trained_is_said(study):
    study.cell("ce-mh-joint-s0", 3)
    page = text(study)
    assert "a1: needs mhp cells of three backbones that share a seed; +sweep=ensemble trains them" in page
    assert "b1: no model of the llm family finished under prefix, mh and mhp" in page
    assert line(page, "a1")[2:6] == ["**undecided**", "—", "—", "—"]


def test_the_claim_shows_effect_interval_seeds_n_cells_and_mcnemar(paper):
    page = text(paper)
    row = line(page, "b1")
    assert row[3].startswith("+40.0 [")
    assert row[4:6] == ["+40.0 +40.0 +40.0", "120"]
    assert row[6] == "—"  # a mean over two models is no pair of cells
    assert len(line(page, "a2")[6].split()) == 3  # p of each seed
    assert "b1: llm prefix joint; llm mh joint; llm_b prefix joint; llm_b mh joint" in page
    assert "89.96 %" in page


def test_the_opening_says_which_by_how_much_and_how_sure(paper):
    which, much, sure = text(paper).split("# Matrix", 1)[1].split("\n\n")[1:4]
    assert ". Which: for ce it is mhp (80.0 % macro accuracy), decided against all 2 others;" in which
    assert "for ce mhp gains +5.0 [" in much
    assert "for llm mhp gains +5.0 [" in much
    assert "120 test rows, 3 seeds a cell" in sure
    assert "of the paper's 9 claims 9 supported" in sure


def test_the_opening_turns_round_when_the_answer_does(study):
    train(study, {("ce", "prefix"): 1, ("ce", "mh"): 8, ("llm", "prefix"): 8, ("llm", "mh"): 1})
    which, much, _ = text(study).split("# Matrix", 1)[1].split("\n\n")[1:4]
    assert "for ce it is prefix (95.0 % macro accuracy), decided against all 1 others" in which
    assert "for llm it is mh (95.0 % macro accuracy)" in which
    assert "for ce prefix gains +35.0 [" in much
    assert "points over mh, the next" in much


def test_the_opening_does_not_decide_what_is_not_decided(study):
    train(study, {("ce", "prefix"): 3})
    train(study, {("ce", "mh"): 2, ("ce", "mhp"): 2}, start=5)
    which = text(study).split("# Matrix", 1)[1].split("\n\n")[1]
    assert "no routing is decided: mh is highest" in which


def test_cells_below_the_lexical_floor_are_told_at_the_top(study):
    train(study, {("ce", "prefix"): 19, ("ce", "mh"): 19})
    assert "but 2 of 2 rows do not beat the lexical floor" in text(study).split("## Matrix")[0]


def test_nothing_finished_says_so(study):
    study.cell("ce-mh-joint-s0", None)
    assert "No cell of all tasks finished: nothing can be said yet." in text(study)


def test_factors_are_means_of_steps(study):
    wrong = {"none": 12, "prefix": 10, "mh": 8, "mhp": 4, "mhp_shared": 7, "prefix_mh": 8, "prefix_mhp": 2}
    train(study, {("llm", routing): n for routing, n in wrong.items()})
    page = text(study).split("## What each part")[1]
    points = {row: line(page, "llm", *row)[3].split(" ")[0] for row in (("prefix",), ("heads",), ("private layers",))}
    assert points == {("prefix",): "+6.7", ("heads",): "+15.0", ("private layers",): "+25.0"}
    assert line(page, "llm", "private layers, shared by all tasks (capacity)")[3].startswith("+5.0 ")
    assert line(page, "llm", "private layers, of its own against shared (isolation)")[3].startswith("+15.0 ")
    assert line(page, "llm", "prefix × heads")[3].startswith("-10.0 ")
    assert line(page, "llm", "prefix × private layers")[3].startswith("+10.0 ")


def test_gains_are_differences_on_the_same_rows(paper):
    found = findings(paper).gains
    mh = [one for one in found if one.row.labels[:2] == ("ce", "mh")]
    assert [one.column for one in mh] == list(COLUMNS[:6])
    assert [one.effect.value for one in mh] == pytest.approx([0.5] * 6)
    assert [one.relative for one in mh] == pytest.approx([0.5 / 0.2] * 6)
    assert {one.budget for one in found} == {"steps"}
    assert {one.other.labels[1] for one in found} == {"mh"}  # mhp and prefix have no baseline of their own
    assert {one.trained for one in mh} == {40}


def test_delta_p_is_libmtls_and_negative_transfer_is_named(study):
    """Delta p as LibMTL has it: the mean over tasks of (multi - single) / single, accuracy being better when higher."""
    for seed in range(3):
        study.cell(f"ce-mh-joint-s{seed}", 8)
        for at, mix in enumerate(SINGLES):
            study.cell(f"ce-mh-{mix}-s{seed}", 2 if at == 0 else 12)
    page = text(study).split("## Single-task baselines")[1]
    multi, single = 12 / 20, np.array([18 / 20, *[8 / 20] * 5])
    expected = 100 * np.mean((multi - single) / single)
    assert line(page, "ce", "mh", "joint")[-1].startswith(f"{expected:+.1f} % [")
    assert "Negative transfer, 1 of 6 gains:" in page
    assert "- query_item: ce mh joint -30.0 [" in page
    assert "budgets not matched" in page


def test_a_share_of_the_rows_is_the_volume(study):
    for share, variant in ((1, ""), (0.5, "task_mix.share=0.5")):
        for mix in ("joint", "single_item_item"):
            study.cell(f"ce-mh-{mix}-s0", 4 if share == 1 else 9, variant=variant)
    found = findings(study).gains
    assert {(one.row.labels[3], one.other.labels[3], one.trained) for one in found} == {
        ("", "", 40),
        ("task_mix.share=0.5", "task_mix.share=0.5", 20),
    }


def test_a_baseline_under_a_budget_is_no_measure_of_a_cell_without_one(study):
    study.cell("ce-mh-joint-s0", 4)
    study.cell("ce-mh-single_item_item-s0", 4, variant="match=steps")
    assert findings(study).gains == []


def test_a_claim_about_every_cell_waits_for_every_cell(paper):
    for seed in (7, 8, 9):
        paper.cell(f"big-mh-joint-s{seed}", 0, variant="match=steps")
    found = {claim.letter: claim for claim in findings(paper).claims}
    assert found["a1"].effect is None
    assert "no seed that all of these finished: vote of ce, llm, llm_b mhp joint" in found["a1"].reason


def test_perfect_cells_decide_nothing(study):
    """Thirds do not add up to one in floating point; a verdict must not rest on that."""
    train(study, {(model, routing): 0 for model in MODELS for routing in ("prefix", "mh", "mhp")})
    assert set(verdicts(study).values()) == {"undecided"}


def test_a_task_of_one_row_decides_nothing(study, pairs):
    table = pairs()
    tested = table[(table["task"] == "type_type") & (table["split"] == "test")].index
    table = table.drop(tested[1:]).reset_index(drop=True)
    table["row"] = range(len(table))
    study.table(table)
    train(study, {("ce", "mh"): 8, ("ce", "mhp"): 1})
    found = findings(study)
    assert all(one.effect.verdict == "undecided" for one in found.comparisons if one.column in ("type_type", "macro"))
    assert any(one.effect.verdict == "supported" for one in found.comparisons if one.column == "micro")
    assert "No interval can be given for type_type, nor for macro" in text(study)


def test_the_best_is_chosen_on_the_seeds_that_all_have(study):
    study.cell("ce-prefix-joint-s0", 0)
    for seed in (1, 2):
        study.cell(f"ce-prefix-joint-s{seed}", 9)
    study.cell("ce-mh-joint-s0", 5)
    which, much, _ = text(study).split("# Matrix", 1)[1].split("\n\n")[1:4]
    assert "prefix is highest (100.0 %" in which
    assert "gains +" in much


def test_two_cells_of_one_name_and_seed_are_refused(study):
    study.cell("ce-mh-joint-s0", 2)
    study.cell("ce-mh-joint-s0", 5)
    with pytest.raises(UserError, match="two different cells are called ce-mh-joint-s0"):
        matrices(study.sweep())
