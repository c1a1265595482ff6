"""Votes: ties under every policy, members apart, and rows of the table."""

import numpy as np
import pytest
from page import evidence, line, text
from sklearn.metrics import cohen_kappa_score

from relevance.errors import UserError
from relevance.report.sections.votes import votes_page
from relevance.report.votes import METHODS, best_first, disagreement, diversity
from relevance.vote import ABSTAINED, Poll, Ties, Vote

LABELS = np.array([[2, 0, 0, 1, 2], [2, 1, 0, 1, 0], [0, 2, 2, 1, 0], [0, 1, 2, 2, 2]], np.int8)  # 4 members, 5 rows
P = np.tile([0.5, 0.1, 0.4], (5, 1))


@pytest.mark.parametrize(
    ("ties", "expected"),
    [
        (Ties.higher, [2, 1, 2, 1, 2]),
        (Ties.lower, [0, 1, 0, 1, 0]),
        (Ties.median, [0, 1, 0, 1, 0]),
        (Ties.best_validation, [0, 1, 2, 1, 2]),
        (Ties.mean_probability, [0, 1, 0, 1, 0]),
        (Ties.abstain, [ABSTAINED, 1, ABSTAINED, 1, ABSTAINED]),
    ],
)
def test_ties(ties, expected):
    assert Poll(LABELS).settled(ties, P, order=[3, 0, 1, 2]).tolist() == expected


def test_the_best_member_that_voted_for_a_leader_settles_it():
    labels = np.array([[1], [0], [0], [2], [2]], np.int8)
    assert Poll(labels).settled(Ties.best_validation, P[:1], order=[0, 3, 1, 2, 4]).tolist() == [2]


def test_three_members_of_three_minds_fall_between():
    labels = np.array([[2], [0], [1]], np.int8)
    found = {ties: Poll(labels).settled(ties, P[:1], [1, 0, 2])[0] for ties in Ties}
    assert found == {"higher": 2, "lower": 0, "median": 1, "best_validation": 0, "mean_probability": 0, "abstain": -2}


def test_diversity_is_that_of_its_definitions():
    random = np.random.default_rng(0)
    labels, truth = random.integers(0, 3, (4, 500)), random.integers(0, 3, 500)
    found = diversity(labels, truth)
    pairs = [(a, b) for a in range(4) for b in range(a + 1, 4)]
    assert found.disagreement == pytest.approx(np.mean([(labels[a] != labels[b]).mean() for a, b in pairs]), abs=1e-12)
    assert found.kappa == pytest.approx(np.mean([cohen_kappa_score(labels[a], labels[b]) for a, b in pairs]), abs=1e-12)
    right = labels == truth
    q = []
    for a, b in pairs:
        both, none = (right[a] & right[b]).sum(), (~right[a] & ~right[b]).sum()
        one, other = (right[a] & ~right[b]).sum(), (~right[a] & right[b]).sum()
        q.append((both * none - one * other) / (both * none + one * other))
    assert found.q == pytest.approx(np.mean(q), abs=1e-12)
    assert found.oracle == pytest.approx(right.any(axis=0).mean(), abs=1e-12)
    assert disagreement(labels).mean() == pytest.approx(found.disagreement, abs=1e-12)


@pytest.fixture
def three(study):
    """Three backbones wrong on different rows under mhp, on the same rows under prefix; two seeds."""
    for seed in (0, 1):
        for at, model in enumerate(("ce", "llm", "llm_b")):
            study.cell(f"{model}-mhp-joint-s{seed}", 4, start=4 * at)
            study.cell(f"{model}-prefix-joint-s{seed}", 4)
    return study


def votes(study):
    return {one.group.kind: one for one in evidence(study).votes if one.group.kind != "seeds"}


def test_members_wrong_on_different_rows_are_right_together(three):
    found = votes(three)
    assert found["mhp"].rows[METHODS[0]].mean == pytest.approx(np.ones(8))
    assert found["prefix"].rows[METHODS[0]].mean == pytest.approx(np.full(8, 0.8))
    assert found["mhp"].ballots[0].diversity.oracle == 1
    assert found["prefix"].ballots[0].diversity.disagreement == 0
    assert [cell.model for cell in found["mhp"].ballots[0].group.members] == ["ce", "llm", "llm_b"]
    assert found["mhp"].rows[METHODS[0]].seeds == [0, 1]


def test_the_page_shows_votes_ties_and_members(three):
    page = text(three).split("## Ensembles")[1]
    assert line(page, "mhp", "ce, llm, llm_b", "joint", "", "hard vote")[5:7] == ["2", "100.0 ± 0.0"]
    assert line(page, "prefix", "ce, llm, llm_b", "joint", "", "2")[5] == "0.0 ± 0.0"
    assert line(page, "seeds of ce mhp", "2")[4] == "hard vote"
    assert "the convention of the sister paper" in page
    assert "Votes of two members are shown" in page  # those over two seeds


def test_abstaining_counts_as_wrong(study):
    study.cell("ce-mhp-joint-s0", 4)
    study.cell("llm-mhp-joint-s0", 4, start=4)
    ballot = votes(study)["mhp"].ballots[0]
    assert ballot.ties == pytest.approx(8 / 20)
    assert ballot.policies[Ties.abstain].micro == pytest.approx(12 / 20)
    assert ballot.policies[Ties.higher].micro + ballot.policies[Ties.lower].micro == pytest.approx(2 * 12 / 20 + 8 / 20)


def test_the_member_best_on_validation_settles_ties(study):
    bad = study.cell("ce-mh-joint-s0", 4)  # wrong on every validation row, on four of twenty test rows
    good = study.cell("llm-mh-joint-s0", 0)
    assert votes(study)["all"].ballots[0].policies[Ties.best_validation].micro == 1
    worse = study.cell("llm_b-mh-joint-s0", 4)
    assert best_first((bad, good, worse))[0] == 1


def test_single_task_cells_do_not_vote(study):
    for model in ("ce", "llm"):
        study.cell(f"{model}-mhp-single_item_item-s0")
    assert evidence(study).votes == []


def test_cells_by_name_vote_and_leave_a_file(three, tmp_path):
    names = ["ce-mhp-joint-s0", "llm-mhp-joint-s0", "llm_b-mhp-joint-s0"]
    page = votes_page(three.sweep(), names, Ties.higher, str(tmp_path / "votes.parquet"))
    assert line(page, "named", "ce, llm, llm_b")[4:7] == ["hard vote", "1", "100.0"]
    from relevance import predictions

    written = predictions.read(tmp_path / "votes.parquet")
    assert written["predicted"].to_pylist() == written["label"].to_pylist()
    votes_page(three.sweep(), names, Ties.higher, str(tmp_path / "mean.parquet"), Vote.mean)
    for file in ("votes", "mean"):
        written = predictions.read(tmp_path / f"{file}.parquet")
        beside = np.stack([written[name].to_numpy() for name in predictions.PROBABILITIES])
        assert (beside[written["predicted"].to_numpy(), range(len(written))] == beside.max(axis=0)).all()
    with pytest.raises(UserError, match=r"nobody: neither .* of the finished cells of .* \(ce-prefix-joint-s0\)"):
        votes_page(three.sweep(), ["nobody"], Ties.higher, None)
    with pytest.raises(UserError, match="vote=mean: says what output=FILE holds"):
        votes_page(three.sweep(), names, Ties.higher, None, Vote.mean)
    with pytest.raises(UserError, match="two different cells"):
        votes_page(three.sweep(), names[:1], Ties.higher, None)
    with pytest.raises(UserError, match="name them"):
        votes_page(three.sweep(), None, Ties.higher, "x.parquet")


def test_what_abstains_is_wrong_in_the_table_too(study):
    study.cell("ce-mhp-joint-s0", 3, start=2)
    study.cell("llm-mhp-joint-s0", 3, start=6)
    one = next(one for one in evidence(study, ties=Ties.abstain).votes if one.group.kind == "mhp")
    assert one.rows[METHODS[0]].scores[0].n.tolist() == [20] * 6
    assert one.rows[METHODS[0]].mean == pytest.approx(np.full(8, 14 / 20))


def test_a_hundred_and_thirty_members_are_counted():
    assert Poll(np.ones((130, 4), np.int8)).settled(Ties.higher, P[:4], []).tolist() == [1] * 4


def test_the_votes_of_the_main_rows_are_never_left_out(three, monkeypatch):
    monkeypatch.setattr("relevance.report.evidence.MOST", 0)
    found = evidence(three)
    assert {one.group.kind for one in found.votes} == {"mhp", "prefix"}
    assert found.asked.votes.untestable("mhp") == ""


def test_votes_of_variants_have_names_of_their_own(three):
    for at, model in enumerate(("ce", "llm", "llm_b")):
        three.cell(f"{model}-mhp-joint-s0", 4, start=at, variant="lora.r=8")
    names = [cell.cell for one in evidence(three).votes for row in one.rows.values() for cell in row.cells]
    assert len(set(names)) == len(names)


def test_without_common_validation_rows_none_is_the_best_on_validation(three):
    (three.cells[0].folder / "validation.parquet").unlink()
    page = text(three).split("## Ensembles")[1]
    assert "votes lack the policy best_validation" in page
    assert line(page, "mhp", "ce, llm, llm_b", "joint", "", "hard vote")[5] == "2"
