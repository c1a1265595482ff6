"""Intervals hold the truth as often as they say, whatever seeds do; p agrees with them; what would decide does."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from relevance.report.inference import (
    ALPHA,
    Spread,
    rows_to_decide,
    seed_parts,
    seeds_to_decide,
    spread,
)
from tools.simulate import Setting, coverage, studies, winners

SETS = 5_000


@pytest.mark.parametrize(
    ("k", "scatter", "deviations"),
    [
        *product([3], [0.0, 1.0, 2.0, 5.0], [(1, 1, 1), (1, 1, 3)]),
        *product([5, 10], [2.0], [(1, 1, 1), (0.5, 1, 2)]),
    ],
)
def test_differences_are_as_sure_as_they_say(k, scatter, deviations):
    of = coverage(Setting(k, scatter, deviations), SETS)
    assert of.holds >= 0.94
    assert of.decided <= 0.06


def test_more_seeds_see_what_three_do_not():
    few, many = (coverage(Setting(k, 2.0, (1, 1)), 1_500) for k in (3, 10))
    assert few.power < 0.4 < 0.7 < many.power
    assert min(few.holds, many.holds) >= 0.94


@pytest.mark.parametrize(("r", "scatter"), [(3, 0.0), (3, 5.0), (7, 0.0), (7, 5.0)])
def test_the_best_of_equals_seldom_beats_a_row_picked_beforehand(r, scatter):
    best = winners(Setting(5, scatter, (1.0,) * r), 2_000)
    assert best.corrected <= 0.03
    assert best.use <= 0.03


def test_a_lucky_seed_is_lucky_on_validation_too():
    best = winners(Setting(5, 5.0, (1.0,) * 7), 2_000)
    assert best.validated > 0.06


def one(rows: float, scatter: float, noise: float, k: int, df_rows: float = 99.0) -> Spread:
    return spread(rows, df_rows, np.array([scatter]), np.array([noise]), [k])


def test_seeds_that_differ_by_row_noise_alone_add_nothing():
    assert one(4.0, 1.0, 1.5, 3).se == 2
    assert one(4.0, 6.5, 1.5, 3).se == 3


def test_the_critical_value_is_cochrans_and_p_says_what_the_interval_says():
    of = one(4.0, 6.0, 1.0, 3)
    quantiles = stats.t.ppf(0.975, [99, 2])
    assert of.half() / of.se == pytest.approx((4 * quantiles[0] + 6 * quantiles[1]) / 10, rel=1e-4)
    assert of.p(of.half() * 1.001) < ALPHA < of.p(of.half() * 0.999)
    assert of.half(0.01) > of.half()
    assert of.p(0.0) == 1


def test_two_rows_of_unlike_scatter_know_less_than_two_alike():
    alike, unlike = (spread(1.0, 99.0, np.array(parts), np.zeros(2), [3, 3]) for parts in ([1, 1], [2, 0]))
    assert alike.df_seeds == pytest.approx((2 * 4 + 2) / 3)
    assert unlike.df_seeds == pytest.approx(2)
    assert spread(1.0, 99.0, np.ones(2), np.zeros(2), [2, 9]).df_seeds == 1


def test_one_seed_has_the_interval_of_its_rows_and_no_p():
    of = spread(4.0, 10.0, np.zeros(2), np.zeros(2), [1, 3])
    assert of.half() == pytest.approx(2 * stats.t.ppf(0.975, 10), rel=1e-4)
    assert np.isnan(of.p(100.0))
    arrays = Spread(*(np.array([value]) for value in (4.0, 10.0, 0.0, np.nan, np.nan)))
    assert np.isnan(seeds_to_decide(np.array([9.0]), arrays, np.array([1])))
    assert np.isnan(rows_to_decide(np.array([9.0]), arrays))


def test_seed_parts_tell_the_seeds_effect_from_row_noise():
    setting = Setting(10, 3.0, (1.0,), 0.5)
    (chunk,) = studies(setting, 400)
    s2, noise = seed_parts(chunk.values, chunk.influence)
    assert noise.mean() == pytest.approx(0.5 / 60, rel=0.05)
    assert (s2 - noise).mean() == pytest.approx((3 * setting.error) ** 2, rel=0.1)
    assert seed_parts(chunk.values[..., :1], chunk.influence[..., :1, :])[0].max() == 0


def test_as_many_seeds_or_rows_as_are_said_would_decide():
    of = Spread(*(np.array([value]) for value in (1.0, 200.0, 0.3, 4.3, 2.0)))
    k, estimate = np.array([3.0]), np.array([3.0])
    needed = seeds_to_decide(estimate, of, k)
    assert 3 < needed[0] < 20
    for seeds, decides in ((needed[0] - 1, False), (needed[0], True)):
        assert bool(of.with_seeds(seeds / k, k).half() < estimate) is decides
    assert np.isnan(seeds_to_decide(np.array([1.5]), of, k))  # the rows alone leave out no less than 1.96
    rows_only = Spread(*(np.array([value]) for value in (1.0, 200.0, 0.0, 0.0, 2.0)))
    assert rows_to_decide(np.array([1.0]), rows_only)[0] == pytest.approx(1.96**2, rel=0.05)
    assert np.isnan(rows_to_decide(np.array([0.01]), rows_only))
