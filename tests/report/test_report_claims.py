"""Claims, factors, baselines and the opening on studies whose answer is known: they say it, and turn round with it."""

import re
from dataclasses import replace

import numpy as np
import pytest
from page import evidence, line, text

from relevance.errors import UserError
from relevance.metrics import COLUMNS, Scores
from relevance.pages.blocks import Bold, Code
from relevance.report.claims import CLAIMS
from relevance.report.evidence import Evidence
from relevance.report.matrix import matrices
from relevance.report.page import Form
from relevance.report.sections.claims import WORDS
from relevance.report.sections.opening import first_table, verdict_lines
from relevance.report.sections.tables import main_table
from relevance.tracking.records import SweepRun

MODELS = ("ce", "llm", "llm_b")
DIGEST = "d1" * 32
SINGLES = [f"single_{task}" for task in COLUMNS[:6]]


def verdicts(study) -> dict[str, str]:
    """By letter; the word of the page where it has one."""
    return {effect["a"]: WORDS.get(effect["verdict"], str(effect["verdict"])) for effect in evidence(study).of(CLAIMS)}


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


def test_rows_that_differ_in_tuning_are_two_families_and_no_mean_and_no_vote_is_of_both(study):
    for variant, least in (("", 2), ("tuning=full", 8)):
        train(study, {("llm", "prefix"): least, ("llm", "mh"): least + 3, ("llm", "mhp"): least}, variant=variant)
    train(study, {("ce", routing): 4 for routing in ("prefix", "mh", "mhp")})
    train(study, {("ce", "mh"): 7}, variant="tuning=lora")
    of = evidence(study)
    assert of.main.families == {
        "ce": ["ce"], "ce tuning=lora": ["ce tuning=lora"], "llm": ["llm"], "llm tuning=full": ["llm tuning=full"]
    }  # fmt: skip
    values = {family: {each.name: each.value for each in of.candidates[family]} for family in of.candidates}
    assert values["llm"] == pytest.approx({"prefix": 0.9, "mh": 0.75, "mhp": 0.9})
    assert values["llm tuning=full"] == pytest.approx({"prefix": 0.6, "mh": 0.45, "mhp": 0.6})
    (drop,) = (effect for effect in of.of(CLAIMS) if effect["a"] == "b1")
    assert drop["estimate"] == pytest.approx(0.15)
    assert {cell.variant for vote in of.votes for cell in vote.group.members if vote.group.variant == ""} == {""}
    page = text(study)
    assert line(page, "llm tuning=full")[2].startswith("60.0")  # of the first table
    assert line(page, "llm", "mh", "joint", "tuning=full")[-2:] == ["45.0 ± 0.0", "45.0 ± 0.0 learnt nothing"]
    assert "**llm tuning=full: " in page


def test_a_sweep_of_one_other_tuning_is_read_by_its_families(study):
    train(study, {("llm", routing): 2 for routing in ("prefix", "mh", "mhp")}, variant="tuning=full")
    train(study, {("ce", routing): 4 for routing in ("prefix", "mh", "mhp")})
    assert evidence(study).main.families == {"ce": ["ce"], "llm": ["llm"]}
    assert verdicts(study)["b2"] != "not tested"


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


def test_one_seed_decides_nothing(study):
    apart(study, "mhp", seeds=1)
    train(study, {(model, routing): 12 for model in MODELS for routing in ("prefix", "mh")}, seeds=1)
    expected = dict.fromkeys(["a1", "a2", "b1", "b2", "b3", "c1", "c2", "d1", "d2"], "one seed")
    assert verdicts(study) == expected | {"c1": "not tested", "c2": "not tested"}


def test_two_members_are_no_vote(study):
    train(study, {(model, routing): 3 for model in ("ce", "llm") for routing in ("prefix", "mh", "mhp")})
    found = {claim.contrast.a: claim.contrast for claim in evidence(study).claims}
    assert found["a1"].terms == ()
    assert "every disagreement is a tie" in found["a1"].reason
    assert "every disagreement is a tie" in found["d1"].reason
    assert "+sweep=baselines" in found["c1"].reason


def test_what_was_not_trained_is_said(study):
    study.cell("ce-mh-joint-s0", 3)
    page = text(study)
    assert "a1: needs mhp cells of three backbones that share a seed; +sweep=ensemble trains them" in page
    assert "b1: no model of the llm family finished under prefix, mh and mhp" in page
    assert line(page, "a1")[2:6] == ["**not tested**", "—", "—", "—"]


def test_the_claim_shows_effect_interval_weights_and_rows(paper):
    page = text(paper)
    assert line(page, "b1")[3].startswith("+40.0 [")
    assert line(page, "b1")[4:] == ["—", "120"]  # a mean over two models is no pair of rows
    assert line(page, "a2")[2] == "**supported**"
    assert "89.96 %" in page


def test_claims_that_could_not_be_tested_are_not_counted(study):
    train(study, {("llm", "prefix"): 5, ("llm", "mh"): 13, ("llm", "mhp"): 5})
    claims = evidence(study).effects.query("family == 'claims'").set_index("a")
    tested = claims[claims["verdict"] != "not tested"]
    assert [*tested.index] == ["b1", "b3"]
    assert (tested["p_holm"] <= 2 * tested["p"] + 1e-12).all()  # for two, not for eight
    assert "Not tested, and not counted:" in text(study)


def test_b3_says_how_unlike_its_sides_are_and_what_holds_that_still(study):
    for routing, weights in (("prefix", 90.0), ("mh", 100.0), ("mhp", 3600.0), ("mhp_shared", 3600.0)):
        study.cell(f"llm-{routing}-joint-s0", 5)
        study.log({"params/trainable": weights})
        study.cells[-1] = replace(study.cells[-1], metrics={**study.cells[-1].metrics})
    page = text(study)
    assert "mhp trains 36.0 times the weights of mh. Held still: mhp_shared; +sweep=controls trains" in page
    effects = evidence(study).effects.query("family == 'prefix'").set_index("a")
    assert effects.loc["llm mhp joint", ["trained_a", "trained_b"]].tolist() == [3600.0, 90.0]


def opening(study, **form) -> str:
    return text(study, Form(**form)).split("## Matrix")[0]


def test_the_opening_says_which_by_how_much_and_how_sure(study):
    train(study, {("ce", "prefix"): 5, ("ce", "mh"): 6, ("ce", "mhp"): 0})
    page = opening(study)
    assert page.split("\n\n")[1] == "**ce: use mhp.**"
    assert "Highest: mhp, 100.0 %, +25.0 [" in page
    assert "points over prefix." in page
    assert line(page, "ce", "mhp")[2] == "100.0 ± 0.0"
    assert line(page, "ce", "mhp")[3].startswith("+25.0 [")
    assert line(page, "ce", "prefix")[2:4] == ["75.0 ± 0.0", "—"]


def test_the_opening_turns_round_when_the_answer_does(study):
    train(study, {("ce", "prefix"): 0, ("ce", "mh"): 5, ("llm", "prefix"): 5, ("llm", "mh"): 0})
    assert re.findall(r"\*\*(.*)\*\*", opening(study))[:2] == ["ce: use prefix.", "llm: use mh."]


def test_what_is_not_decided_asks_for_the_seeds_that_would(study):
    for name, wrong in (("ce-prefix", 3), ("ce-mh", 2)):
        study.cell(f"{name}-joint-s0", wrong)
    study.cell("llm-mh-joint-s0", None)
    sweep = study.sweep()
    commands = "python -m relevance.run -m model=llm", "python -m relevance.run -m model=ce,ce_b seed=0 routing=mh"
    runs = tuple(SweepRun(f"s{at}", f"p{at}", command, "f" * 64) for at, command in enumerate(commands))
    (matrix,) = matrices(sweep)
    lines = verdict_lines(Evidence(matrix), runs)
    assert lines[0] == "ce: not enough evidence: add seed=1,2."
    assert lines[-1] == Code("python -m relevance.run -m model=ce,ce_b seed=1,2 routing=mh")
    assert verdict_lines(Evidence(matrix), runs[:1])[-1] == Code("python -m relevance.run -m model=llm seed=1,2")


def test_no_difference_is_shown_of_equals(study):
    train(study, {("ce", "prefix"): 3, ("ce", "mh"): 3})
    page = opening(study)
    assert "**ce: prefix or mh: no difference shown.**" in page or "not enough evidence" in page


def test_cells_below_the_lexical_floor_are_told_at_the_top(study):
    train(study, {("ce", "prefix"): 11, ("ce", "mh"): 12})
    page = opening(study)
    assert "learnt nothing: lower the rate" in page or "nothing beats word overlap" in page


def test_the_first_table_has_six_rows_at_most_and_every_model(study):
    train(study, {(m, r): n for m in (*MODELS, "ce_b") for n, r in enumerate(("none", "prefix", "mh", "mhp"), 1)}, 1)
    table = first_table(evidence(study))
    assert [row[0] for row in table.body] == ["ce", "ce_b", "llm", "llm_b"]
    assert {row[1] for row in table.body} == {"none"}
    study.cells = [cell for cell in study.cells if cell.model == "ce"]
    train(study, {("ce", "prefix_mh"): 6, ("ce", "prefix_mhp"): 7, ("ce", "mhp_shared"): 8}, 1)
    assert [row[1] for row in first_table(evidence(study)).body] == "none prefix mh mhp prefix_mh prefix_mhp".split()


def test_the_page_ranks_by_the_measure_that_is_chosen(study):
    (table,) = study.tables.values()
    place = table.groupby(["task", "split"]).cumcount()
    study.table(table.assign(left=table["task"] + table["split"] + (place // 2).astype(str)))
    train(study, {("ce", "prefix"): 2, ("ce", "mh"): 9})
    page = opening(study, measure="ndcg_10")
    assert line(page, "model")[2] == "macro NDCG@10, %"
    assert "Macro NDCG@10: the mean over 6 tasks" in page
    ranked = evidence(study, measure="ndcg_10")
    assert set(ranked.effects.query("family == 'best ce'")["measure"]) == {"ndcg_10"}
    assert set(ranked.effects.query("family == 'claims'")["measure"]) == {"accuracy"}
    assert ranked.candidates["ce"][0].value == pytest.approx(
        float(np.mean(ranked.ranked.values(ranked.main.joint["ce", "prefix"].places, ranked.ranked.weights("macro"))))
    )


def test_a_ranking_macro_of_few_lists_has_no_interval(study):
    (table,) = study.tables.values()
    place = table.groupby(["task", "split"]).cumcount()
    study.table(table.assign(left=table["task"] + table["split"] + (place // 4).astype(str)))
    train(study, {("ce", "prefix"): 2, ("ce", "mh"): 3})
    assert re.fullmatch(r"\d+\.\d \[—\]", line(text(study).split("## Ranking")[1], "ce", "mh")[4])


def test_nothing_finished_says_so_and_why(study):
    study.cell("ce-mh-joint-s0", None)
    assert "not tested: no cell of all tasks finished." in text(study)
    assert "1 of 1 did not finish: ce-mh-joint-s0 failed: RuntimeError: boom" in opening(study)


def test_without_a_prefix_the_first_table_has_no_column_of_differences_to_it(study):
    train(study, {("ce", "mhp"): 5, ("ce", "mh"): 6})
    assert "minus prefix" not in opening(study)


def test_the_verdicts_of_all_tables_of_pairs_come_first(study):
    other = "e2" * 32
    study.table(study.tables[DIGEST], other)
    for digest in (DIGEST, other):
        study.cell(f"{'ce' if digest == other else 'llm'}-mh-joint-s0", 3, data_digest=digest)
    assert [block for block in opening(study).split("\n\n") if block.startswith(("**", "Data"))] == [
        f"**llm (data {DIGEST[:12]}): not tested.**",
        f"**ce (data {other[:12]}): not tested.**",
        f"Data {DIGEST[:12]}:",
        f"Data {other[:12]}:",
    ]


def test_factors_are_means_of_steps(study):
    wrong = {"none": 12, "prefix": 10, "mh": 8, "mhp": 4, "mhp_shared": 7, "prefix_mh": 8, "prefix_mhp": 2}
    train(study, {("llm", routing): n for routing, n in wrong.items()})
    page = text(study).split("## What each part")[1]
    points = {
        "prefix": "+16.7", "heads": "+15.0", "private layers": "+25.0",
        "private layers, one set for all tasks (capacity)": "+5.0",
        "private layers, of its own against one set (isolation)": "+15.0",
        "prefix × heads": "-10.0", "prefix × private layers": "+10.0",
    }  # fmt: skip
    points["prefix"] = f"{100 * (2 + 0 + 2) / 20 / 3:+.1f}"
    assert {name: line(page, name)[2].strip("*").split(" ")[0] for name in points} == points


def test_gains_are_differences_on_the_same_rows(paper):
    found = evidence(paper).gains
    mh = [(gain, effect) for gain, effect in found if gain.row.labels[:2] == ("ce", "mh")]
    assert [gain.task for gain, _ in mh] == list(COLUMNS[:6])
    assert [effect["estimate"] for _, effect in mh] == pytest.approx([0.5] * 6)
    assert line(text(paper).split("## Single-task")[1], "ce", "mh")[-1] == f"{100 * 0.5 / 0.2:+.1f} %"
    assert {gain.budget for gain, _ in found} == {"steps"}
    assert {gain.other.labels[1] for gain, _ in found} == {"mh"}  # mhp and prefix have no baseline of their own
    assert {gain.trained for gain, _ in mh} == {40}


def test_delta_p_is_libmtls_and_negative_transfer_is_named(study):
    """Delta p as LibMTL has it: the mean over tasks of (multi - single) / single, accuracy being better when higher."""
    for seed in range(3):
        study.cell(f"ce-mh-joint-s{seed}", 8)
        for at, mix in enumerate(SINGLES):
            study.cell(f"ce-mh-{mix}-s{seed}", 0 if at == 0 else 12)
    page = text(study).split("## Single-task baselines")[1]
    multi, single = 12 / 20, np.array([20 / 20, *[8 / 20] * 5])
    expected = 100 * np.mean((multi - single) / single)
    assert line(page, "ce", "mh", "joint")[-1] == f"{expected:+.1f} %"
    assert "Negative transfer, 1 of 6 gains:" in page
    assert "- query_item: ce mh joint -40.0 [" in page
    assert "No budget is matched" in page


def test_a_share_of_the_rows_is_the_volume(study):
    for share, variant in ((1, ""), (0.5, "task_mix.share=0.5")):
        for mix in ("joint", "single_item_item"):
            study.cell(f"ce-mh-{mix}-s0", 4 if share == 1 else 9, variant=variant)
    found = evidence(study).gains
    assert {(gain.row.labels[3], gain.other.labels[3], gain.trained) for gain, _ in found} == {
        ("", "", 40),
        ("task_mix.share=0.5", "task_mix.share=0.5", 20),
    }


def test_a_baseline_under_a_budget_is_no_measure_of_a_cell_without_one(study):
    study.cell("ce-mh-joint-s0", 4)
    study.cell("ce-mh-single_item_item-s0", 4, variant="match=steps")
    assert evidence(study).gains == []


def test_a_claim_about_every_cell_is_measured_against_the_highest(paper):
    for seed in (7, 8, 9):
        paper.cell(f"big-mh-joint-s{seed}", 0, variant="match=steps")
    (a1, *_) = evidence(paper).claims
    assert a1.rows[1].startswith("big mh joint")


def test_perfect_cells_decide_nothing(study):
    """Thirds do not add up to one in floating point; a verdict must not rest on that."""
    train(study, {(model, routing): 0 for model in MODELS for routing in ("prefix", "mh", "mhp")})
    expected = dict.fromkeys(["a1", "a2", "b1", "b2", "b3", "c1", "c2", "d1", "d2"], "undecided")
    assert verdicts(study) == expected | {"c1": "not tested", "c2": "not tested"}


def test_a_task_of_one_row_decides_nothing(study, pairs):
    table = pairs()
    tested = table[(table["task"] == "type_type") & (table["split"] == "test")].index
    table = table.drop(tested[1:]).reset_index(drop=True)
    table["row"] = range(len(table))
    study.table(table)
    train(study, {("ce", "mh"): 8, ("ce", "mhp"): 1})
    columns = evidence(study).effects.set_index("family")["verdict"]
    assert columns["column query_item"] == "higher"
    assert {columns[f"column {name}"] for name in ("micro", "macro", "type_type")} == {"few rows"}
    assert "No interval for type_type, nor for micro and macro: fewer than 10 left entities" in text(study)


def test_bold_is_above_both_floors_alone_and_one_seed_is_marked(study):
    study.cell("ce-mh-joint-s0", 2)
    study.cell("ce-mhp-joint-s0", 4)
    page = text(study).split("## Matrix")[1]
    assert line(page, "ce", "mh", "joint")[5] == "**90.0**"
    assert line(page, "ce", "mhp", "joint")[5] == "80.0¹"
    (matrix,) = matrices(study.sweep())
    high = {name: Scores(np.tile(np.diag([7, 7, 6]), (6, 1, 1))) for name in matrix.references}  # all right
    raised = Evidence(replace(matrix, references=high))
    assert not any(isinstance(text, Bold) for row in main_table(raised).body for text in row)
    assert all(isinstance(text, Bold) for text in main_table(Evidence(matrix)).body[3][5:])


def test_two_cells_of_one_name_and_seed_are_refused(study):
    study.cell("ce-mh-joint-s0", 2)
    study.cell("ce-mh-joint-s0", 5)
    with pytest.raises(UserError, match="two different cells are called ce-mh-joint-s0"):
        matrices(study.sweep())
