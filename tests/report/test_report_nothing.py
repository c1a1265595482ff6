"""Cells that learnt nothing are told first, and called the best nowhere."""

import numpy as np
import pytest
from page import evidence, line, text

from relevance import predictions
from relevance.metrics import COLUMNS
from relevance.report.matrix import leaders


def opening(study) -> list[str]:
    return text(study).split("# Matrix", 1)[1].split("## Matrix")[0].strip().split("\n\n")


def high_on_one_task(study, name: str, others: int) -> None:
    """A cell right on every row of query_item, and on `others` of 20 of each other task, 7 of which are the floor."""
    cell = study.cell(name, 0, metrics={})
    (pairs,) = study.tables.values()
    rows = pairs.query("split == 'test'")
    row, task, label = (rows[name].to_numpy() for name in ("row", "task", "label"))
    right = (task == "query_item") | (rows.groupby("task").cumcount().to_numpy() < others)
    p = np.eye(3)[np.where(right, label, (label + 1) % 3)]
    predictions.write(predictions.table(row, task, label, p), cell.folder / "test.parquet")


@pytest.fixture
def half(study):
    """Of two models one routing learnt, one did not at all, one in one seed of two."""
    for model in ("ce", "llm"):
        for seed in range(2):
            study.cell(f"{model}-prefix-joint-s{seed}", 4)
            study.cell(f"{model}-mh-joint-s{seed}", 15)
            study.cell(f"{model}-mhp-joint-s{seed}", 15 if seed else 6)
    return study


def test_the_first_sentence_counts_and_names_them_and_leaves_their_routing_out(half):
    verdict, reason, *_ = opening(half)
    assert verdict.startswith("**ce: ")
    assert " mh" not in verdict
    assert reason.startswith(
        "Learnt nothing: 3 of 6 cells (ce-mh-joint-s0, ce-mh-joint-s1, ce-mhp-joint-s1); lower the rate (model.lr) or "
        "train longer. Highest: prefix, 80.0 %"
    )
    best = evidence(half).of("best ce")
    assert [effect["b"] for effect in best] == ["word overlap", "mhp"]


def test_the_table_says_so_beside_macro_and_the_notes_count(half):
    page = text(half).split("## Matrix")[1]
    assert line(page, "ce", "mh")[5:] == [*["25.0 ± 0.0†"] * 6, "25.0 ± 0.0", "25.0 ± 0.0 learnt nothing"]
    assert line(page, "ce", "mhp")[-1].endswith("learnt nothing: 1 of 2")
    assert "learnt" not in line(page, "ce", "prefix")[-1]
    assert "12 cells: 12 finished (6 collapsed on some task, 6 learnt nothing)." in page
    assert "† collapsed: some seed is not shown to tell more" in page


def test_only_one_routing_learnt(study):
    study.cell("ce-prefix-joint-s0", 4)
    study.cell("ce-mh-joint-s0", 15)
    study.cell("llm-mh-joint-s0", 15)
    study.cell("llm-mhp-joint-s0", 15)
    page = "\n".join(opening(study))
    assert "**ce: not tested.**" in page
    assert "**llm: learnt nothing: lower the rate.**" in page


def test_where_no_cell_learnt_anything_there_is_no_best(study):
    for name, wrong in (("ce-prefix", 15), ("ce-mh", 14), ("ce-mhp", 13)):
        study.cell(f"{name}-joint-s0", wrong)
    verdict, reason, *_ = opening(study)
    assert verdict == "**ce: learnt nothing: lower the rate.**"
    assert reason.startswith("Learnt nothing: 3 of 3 cells")
    assert "Highest" not in reason
    assert "**" not in text(study).split("## Matrix")[1].split("## The paper")[0]
    assert not evidence(study).of("column macro")


def test_the_highest_of_a_column_that_learnt_nothing_is_called_best_nowhere(study):
    high_on_one_task(study, "ce-mh-joint-s0", others=0)
    study.cell("ce-prefix-joint-s0", 4)
    found = evidence(study)
    prefix, mh = found.matrix.rows
    assert mh.mean[0] == 1.0 > prefix.mean[0]
    assert found.matrix.best.tolist() == [[True] * 8, [False] * 8]
    assert {effect["a"] for column in COLUMNS for effect in found.of(f"column {column}")} == {prefix.name}


def test_what_collapsed_on_every_task_does_not_lead_though_its_mean_is_higher(study):
    study.cell("ce-mh-joint-s0", 9)  # 55 % on each task, which 20 rows do not tell from 35 %
    high_on_one_task(study, "ce-prefix-joint-s0", others=7)
    matrix = evidence(study).matrix
    prefix, mh = matrix.rows
    assert mh.mean[-1] > prefix.mean[-1] > 0.35
    assert leaders(matrix) == [prefix]
    assert matrix.best[:, -1].tolist() == [True, False]
    assert opening(study)[0] == "**ce: not tested.**"


def test_a_family_of_which_nothing_learnt_still_shows_its_mistakes(study):
    study.cell("ce-prefix-joint-s0", 15)
    study.cell("ce-mh-joint-s0", 14)
    study.cell("llm-mh-joint-s0", 4)
    assert [row.name for row in leaders(evidence(study).matrix)] == ["ce mh joint", "llm mh joint"]
    assert "one that learnt nothing only where all rows of the family did" in text(study)


def test_a_sweep_in_which_all_learnt_does_not_speak_of_it(study):
    study.cell("ce-mh-joint-s0", 4)
    study.cell("ce-mhp-joint-s0", 2)
    assert "earnt nothing" not in text(study).split("## Mistakes")[0]
