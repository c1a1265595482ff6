"""What is decided of effects, and the one line on a family: the worst precondition speaks first."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from relevance.report.verdict import (
    ENOUGH,
    WORD_OVERLAP,
    Answer,
    Candidate,
    Outcome,
    Verdict,
    contenders,
    family_verdict,
    holm,
    settled,
)

ROWS = 1_000


def line(b: str, estimate: float, p: float, **changes: object) -> dict:
    """An effect of mh minus b."""
    found = {"family": "best ce", "a": "mh", "b": b, "estimate": estimate, "p": p, "seeds": 3, "n_rows": ROWS}
    return found | {"seeds_needed": np.nan, "rows_needed": np.nan} | changes


def decided(*lines: dict) -> pd.DataFrame:
    return settled(pd.DataFrame(lines), ["best ce"])


FLOOR = line(WORD_OVERLAP, 0.1, 1e-6)


def candidates(*seeds: int, learnt: bool = True) -> list[Candidate]:
    seeds = seeds or (0, 1, 2)
    return [Candidate(name, value, seeds, learnt) for name, value in (("prefix", 0.79), ("mh", 0.81), ("mhp", 0.80))]


def test_claims_are_corrected_together_and_what_was_not_tested_costs_nothing():
    p = [0.01, 0.04, 0.03, np.nan]
    frame = pd.DataFrame([line(str(at), 0.1, each, family="claims") for at, each in enumerate(p)])
    frame.loc[3, "estimate"] = np.nan
    found = settled(frame)
    assert found["p_holm"][:3].tolist() == pytest.approx(holm(np.array(p[:3])))
    assert found["verdict"].tolist() == [Outcome.higher, Outcome.undecided, Outcome.undecided, Outcome.untested]
    assert settled(frame, ["claims"])["p_holm"][:3].tolist() == p[:3]


def test_families_are_corrected_apart():
    frame = pd.DataFrame([line("a", 0.1, 0.04, family="one"), line("b", -0.1, 0.04, family="other")])
    assert settled(frame)["verdict"].tolist() == [Outcome.higher, Outcome.lower]


def test_one_seed_or_few_rows_decide_nothing():
    found = decided(line("a", 0.5, np.nan, seeds=1), line("b", 0.5, np.nan))
    assert found["verdict"].tolist() == [Outcome.one_seed, Outcome.few_rows]


def test_the_highest_is_used_where_it_is_above_all_others_and_above_word_overlap():
    effects = decided(line("prefix", 0.02, 0.01), line("mhp", 0.01, 0.04), FLOOR)
    assert family_verdict(candidates(), effects) == Verdict(Answer.use, ("mh",))
    assert family_verdict(candidates(), effects).text == "use mh"


def test_those_that_no_difference_is_shown_of_are_named_where_it_would_take_too_many():
    effects = decided(line("prefix", 0.02, 0.01), line("mhp", 0.01, 0.4, seeds_needed=60, rows_needed=50_000), FLOOR)
    assert family_verdict(candidates(), effects).text == "mh or mhp: no difference shown"


def test_the_seeds_or_rows_that_would_decide_are_said():
    few = decided(line("prefix", 0.02, 0.06, seeds_needed=4), line("mhp", 0.01, 0.1, seeds_needed=6), FLOOR)
    assert family_verdict(candidates(0, 2, 7), few).text == "not enough evidence: add seed=1,3,4"
    rows = decided(line("prefix", 0.02, 0.01), line("mhp", 0.01, 0.1, rows_needed=2_345), FLOOR)
    assert family_verdict(candidates(), rows).text == "not enough evidence: 2,345 test rows would decide"


def test_one_seed_asks_for_enough_to_begin_with():
    effects = decided(line("prefix", 0.2, np.nan, seeds=1), line("mhp", 0.1, np.nan, seeds=1), FLOOR)
    found = family_verdict(candidates(0), effects)
    assert (found.answer, found.more_seeds) == (Answer.evidence, (1, 2))
    assert len(found.more_seeds) + 1 == ENOUGH


def test_few_rows_are_not_enough_whatever_is_seen():
    effects = decided(line("prefix", 0.2, np.nan), line("mhp", 0.1, 0.01), FLOOR)
    assert family_verdict(candidates(), effects).text == "not enough evidence"


@pytest.mark.parametrize("p", [np.nan, 0.01])
def test_nothing_beats_word_overlap_before_seeds_are_counted(p):
    effects = decided(line("prefix", 0.2, p, seeds=1), line("mhp", 0.1, p, seeds=1), line(WORD_OVERLAP, -0.01, p))
    assert family_verdict(candidates(0), effects).text == Answer.floor.value


def test_the_highest_is_not_used_where_it_is_not_shown_to_beat_word_overlap():
    effects = decided(
        line("prefix", 0.02, 0.01), line("mhp", 0.01, 0.04), line(WORD_OVERLAP, 0.01, 0.2, seeds_needed=5)
    )
    assert family_verdict(candidates(), effects).text == "not enough evidence: add seed=3,4"


def test_learnt_nothing_speaks_before_all_else():
    assert family_verdict(candidates(learnt=False), decided(FLOOR)).text == Answer.nothing.value


def test_a_family_of_one_is_not_tested():
    alone = candidates()[:1]
    assert family_verdict(alone, decided(FLOOR)) == Verdict(Answer.untested, ("prefix",))
    failed = Candidate("mh", np.nan, (), False)
    assert family_verdict([*alone, failed], decided(FLOOR)).text == "not tested"
    idle = Candidate("mh", 0.4, (0, 1, 2), False)
    assert family_verdict([*alone, idle], decided(FLOOR)).answer is Answer.untested


def test_contenders_come_from_the_highest_down_without_those_that_learnt_nothing():
    some = [*candidates(), Candidate("none", 0.9, (0,), False), Candidate("prefix_mh", np.nan, (), False)]
    assert [each.name for each in contenders(some)] == ["mh", "mhp", "prefix"]


def test_holm_leaves_out_what_is_no_test():
    p = np.array([0.01, np.nan, 0.04, 0.03])
    assert holm(p)[[0, 2, 3]] == pytest.approx(multipletests(p[[0, 2, 3]], method="holm")[1])
    assert holm(p)[[0, 2, 3]] == pytest.approx([0.03, 0.06, 0.06])
    assert np.isnan(holm(p)[1])
    assert np.isnan(holm(np.array([np.nan]))).all()
