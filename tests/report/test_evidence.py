"""Intervals cover what they should, tests say what statsmodels says, contrasts are sums."""

from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar as reference
from statsmodels.stats.multitest import multipletests

from relevance.data.entities import KINDS
from relevance.metrics import COLUMNS
from relevance.report.stats import (
    Effect,
    HeldOut,
    Resample,
    Right,
    Series,
    Verdict,
    contrast,
    holm,
    interval,
    mcnemar,
    on,
    versus,
)
from relevance.tasks import TASK_INDEX

SETS, DRAWS = 2_000, 1_000
TRUTH = 0.6


def rows_of(task: str, left: np.ndarray, right: np.ndarray) -> HeldOut:
    """Test rows of one task whose labels are all 1; entities are numbered from 0 on each side's own kind."""
    kinds = task.split("_")
    same = kinds[0] == kinds[1]
    shift = 0 if same else int(left.max()) + 1
    kind = np.full(shift + int(right.max()) + 1 if not same else int(max(left.max(), right.max())) + 1, 0)
    kind[left], kind[right + shift] = KINDS.index(kinds[0]), KINDS.index(kinds[1])
    n = len(left)
    ones = np.ones(n, np.int8)
    return HeldOut(Path(), np.arange(n), ones * TASK_INDEX[task], ones, left, right + shift, kind)


def covered(task: str, left: np.ndarray, right: np.ndarray, chance) -> float:
    """Share of simulated sets whose interval holds TRUTH; `chance` makes the probability of each row right."""
    rows, random = rows_of(task, left, right), np.random.default_rng(1)
    resample, held = Resample(rows, draws=DRAWS), 0
    right_of = [(random.random(len(left)) < chance(random)).astype(np.int8) for _ in range(SETS)]
    for draws in resample.accuracies(right_of, rows.covered(right_of)):
        low, high = interval(draws[:, TASK_INDEX[task]])
        held += low <= TRUTH <= high
    return held / SETS


def test_one_way_intervals_hold_the_truth_as_often_as_they_say():
    random = np.random.default_rng(0)
    left = np.repeat(np.arange(120), random.integers(1, 7, 120))
    right = random.integers(0, 400, len(left))

    def chance(random):
        return random.uniform(TRUTH - 0.4, TRUTH + 0.4, 120)[left]  # rows of one query are alike

    assert 0.92 <= covered("query_item", left, right, chance) <= 0.98


def test_rows_drawn_alone_would_be_too_sure_where_entities_matter():
    random = np.random.default_rng(0)
    left = np.repeat(np.arange(40), 15)
    right = random.integers(0, 400, len(left))

    def chance(random):
        return random.uniform(TRUTH - 0.4, TRUTH + 0.4, 40)[left]

    own = np.arange(len(left))  # each row an entity of its own
    alone = covered("query_item", own, right, chance)
    assert alone < 0.85 < covered("query_item", left, right, chance)


def test_two_way_intervals_are_never_too_narrow():
    random = np.random.default_rng(0)
    left, right = np.stack([random.choice(60, 2, replace=False) for _ in range(300)]).T

    def chance(random):
        own = random.uniform(-0.19, 0.19, 60)  # of each item, on whichever side it stands
        return TRUTH + own[left] + own[right]

    assert covered("item_item", left, right, chance) >= 0.92


def test_many_entities_are_pooled_and_the_interval_stays(monkeypatch):
    random = np.random.default_rng(0)
    left = np.repeat(np.arange(3000), 2)
    rows = rows_of("query_item", left, random.integers(0, 500, len(left)))
    right = (random.random(3000) < TRUTH).astype(np.int8)[left]
    whole = interval(Resample(rows).accuracies([right], rows.covered([right]))[0][:, 0])
    monkeypatch.setattr("relevance.report.stats.MANY", 1000)
    pooled = interval(Resample(rows).accuracies([right], rows.covered([right]))[0][:, 0])
    assert np.ptp(pooled) == pytest.approx(np.ptp(whole), rel=0.25)


@pytest.fixture
def few(monkeypatch):
    """A handful of entities is enough."""
    monkeypatch.setattr("relevance.report.stats.FEWEST", 0)


@pytest.mark.usefixtures("few")
def test_draws_are_weighted_accuracies_of_each_task_and_their_mean():
    left, right = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0])
    rows = rows_of("query_item", left, right)
    resample = Resample(rows, draws=50)
    answers = [np.array([1, 0, 1, 1], np.int8)]
    (found,) = resample.accuracies(answers, rows.covered(answers))
    weights = resample.weights[:, resample.group[left]]
    known = weights.sum(axis=1) > 0
    assert found[known, 0] == pytest.approx((weights @ [1, 0, 1, 1] / weights.sum(axis=1).clip(1e-9))[known], abs=1e-6)
    assert found[known, COLUMNS.index("macro")] == pytest.approx(found[known, 0], abs=1e-6)
    assert np.isnan(found[:, 1]).all()


@pytest.mark.usefixtures("few")
def test_a_pair_of_alike_entities_weighs_the_product_of_both():
    rows = rows_of("item_item", np.array([0, 1, 2]), np.array([1, 2, 0]))
    resample = Resample(rows, draws=200)
    answers = [np.array([1, 0, 0], np.int8)]
    (found,) = resample.accuracies(answers, rows.covered(answers))
    w = resample.weights[:, resample.group]
    total = w[:, 0] * w[:, 1] + w[:, 1] * w[:, 2] + w[:, 2] * w[:, 0]
    some = total > 0
    assert found[some, TASK_INDEX["item_item"]] == pytest.approx((w[:, 0] * w[:, 1])[some] / total[some], abs=1e-6)
    assert np.isnan(found[~some, TASK_INDEX["item_item"]]).all()


@pytest.mark.parametrize("seed", range(5))
def test_mcnemar_is_that_of_statsmodels(seed):
    random = np.random.default_rng(seed)
    task = random.integers(0, 6, 203)
    n = np.arange(203)
    rows = HeldOut(Path(), n, task.astype(np.int8), np.ones(203, np.int8), n, n, np.zeros(203, np.int8))
    a, b = random.random((2, 203)) < np.array([[0.7], [0.6]])
    answers = [np.where(random.random(203) < 0.1, -1, one).astype(np.int8) for one in (a, b)]
    asked = (answers[0] >= 0) & (answers[1] >= 0)
    right = Right(rows)
    only_a, only_b = np.transpose([right.differing(*answers, at) for at in range(7)])
    found = mcnemar(only_a, only_b)
    for at in range(7):
        here = asked & ((task == at) if at < 6 else True)
        table = [[(a & b & here).sum(), (a & ~b & here).sum()], [(~a & b & here).sum(), (~a & ~b & here).sum()]]
        assert (only_a[at], only_b[at]) == (table[0][1], table[1][0])
        assert found.exact[at] == pytest.approx(reference(table, exact=True).pvalue, abs=1e-12)
        assert found.mid[at] <= found.exact[at]


def test_mid_p_by_hand():
    found = mcnemar(np.array([2, 0, 3]), np.array([0, 0, 3]))
    assert found.exact == pytest.approx([0.5, 1, 1])
    assert found.mid == pytest.approx([0.25, 1, 1])  # where no row differs, or as many to either side, nothing is told


def test_holm_leaves_out_what_is_no_test():
    p = np.array([0.01, np.nan, 0.04, 0.03])
    assert holm(p)[[0, 2, 3]] == pytest.approx(multipletests(p[[0, 2, 3]], method="holm")[1])
    assert holm(p)[[0, 2, 3]] == pytest.approx([0.03, 0.06, 0.06])
    assert np.isnan(holm(p)[1])
    assert np.isnan(holm(np.array([np.nan]))).all()


def series(name: str, values: list[float], seeds: list[int], spread: float = 0.001) -> Series:
    noise = np.random.default_rng(0).normal(0, spread, (len(seeds), 200, 8))
    return Series(name, seeds, np.tile(values, (8, 1)).T, np.tile(values, (8, 1)).T[:, None] + noise)


N = np.array([10, 0, 0, 0, 0, 5])


def test_a_contrast_is_over_the_seeds_that_all_have():
    one, other = series("one", [0.9, 0.8, 0.7], [0, 1, 2]), series("other", [0.5, 0.6], [1, 2])
    found = contrast(versus(one, other, "macro"), N)
    assert found.seeds == pytest.approx((0.3, 0.1))
    assert found.value == pytest.approx(0.2)
    assert found.low <= found.value <= found.high
    assert (found.n, found.cells) == (15, ("one", "other"))
    assert contrast(versus(one, other, "type_type"), N).n == 5
    assert contrast(versus(one, series("none", [0.1], [7]), "macro"), N) is None


def test_a_column_that_one_side_lacks_gives_no_effect():
    lacking = series("one", [np.nan], [0])
    assert contrast([(on("macro"), lacking), (on("macro", -1), series("two", [0.5], [0]))], N) is None


@pytest.mark.parametrize(
    ("low", "high", "seeds", "verdict"),
    [
        (0.01, 0.02, (0.1, 0.1, 0.1), Verdict.supported),
        (0.01, 0.02, (0.1, 0.1), Verdict.undecided),
        (0.01, 0.02, (0.1, 0.1, -0.1), Verdict.undecided),
        (-0.01, 0.02, (0.1, 0.1, 0.1), Verdict.undecided),
        (-0.02, -0.01, (-0.1, -0.1, -0.1), Verdict.contradicted),
        (-0.02, -0.01, (-0.1, -0.1, 0.1), Verdict.undecided),
        (-0.02, -0.01, (-0.1, -0.1, -0.1, 0.1), Verdict.contradicted),
    ],
)
def test_the_rule(low, high, seeds, verdict):
    assert Effect((low + high) / 2, low, high, seeds, 10, ()).verdict is verdict


def test_a_pair_of_one_entity_weighs_it_once():
    left, right = np.array([0, 1, 2, 3, *range(4, 14)]), np.array([1, 2, 3, 3, *range(5, 15)])
    rows = rows_of("item_item", left, right)
    resample = Resample(rows, draws=50)
    w = resample.weights[:, resample.group]
    weights = np.where(left == right, w[:, left], w[:, left] * w[:, right])
    answers = [(np.arange(len(left)) == 3).astype(np.int8)]
    (found,) = resample.accuracies(answers, rows.covered(answers))
    some = weights.sum(axis=1) > 0
    expected = weights[some, 3] / weights[some].sum(axis=1)
    assert found[some, TASK_INDEX["item_item"]] == pytest.approx(expected, abs=1e-6)


def test_a_task_of_few_entities_has_no_interval():
    left = np.repeat(np.arange(9), 4)
    rows = rows_of("query_item", left, np.arange(36))
    answers = [(np.arange(36) % 2).astype(np.int8)]
    assert np.isnan(Resample(rows, draws=50).accuracies(answers, rows.covered(answers))[0][:, [0, 7]]).all()
