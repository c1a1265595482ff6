"""Which rows an epoch holds: exactly once, interleaved, at the stated rates, the same when asked again."""

import numpy as np
import pytest

from relevance.config import Mix, MixConfig
from relevance.data.mixing import draw_shares, epoch_rows

TASK = np.repeat([0, 1, 5], [600, 60, 30])
JOINT = MixConfig()


def test_joint_holds_every_row_exactly_once():
    assert np.array_equal(np.sort(epoch_rows(TASK, JOINT, 0, 0)), np.arange(len(TASK)))


def test_single_holds_the_rows_of_its_task_exactly_once():
    mix = MixConfig("single_query_query", Mix.single, task="query_query")
    assert np.array_equal(np.sort(epoch_rows(TASK, mix, 0, 0)), np.arange(600, 660))


def test_tasks_are_interleaved():
    order = TASK[epoch_rows(TASK, JOINT, 0, 0)]
    shares = [np.mean(part == 0) for part in np.array_split(order, 6)]
    assert min(shares) > 0.75
    assert max(shares) < 0.97


def test_an_epoch_depends_on_seed_and_number_alone():
    assert np.array_equal(epoch_rows(TASK, JOINT, 4, 2), epoch_rows(TASK, JOINT, 4, 2))
    assert not np.array_equal(epoch_rows(TASK, JOINT, 4, 2), epoch_rows(TASK, JOINT, 4, 3))
    assert not np.array_equal(epoch_rows(TASK, JOINT, 4, 2), epoch_rows(TASK, JOINT, 5, 2))


def test_equal_draws_each_task_as_often_and_every_row_before_any_row_again():
    drawn = epoch_rows(TASK, MixConfig("equal", Mix.equal), 0, 0)
    assert np.bincount(TASK[drawn]).tolist() == [230, 230, 0, 0, 0, 230]
    times = np.bincount(drawn, minlength=len(TASK))
    assert times[660:].min() >= 7
    assert times[660:].max() <= 8
    assert times[:600].max() == 1


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_temperature_follows_its_formula(temperature):
    mix = MixConfig("temperature", Mix.temperature, temperature=temperature, draws=100_000)
    share = np.bincount(TASK[epoch_rows(TASK, mix, 0, 0)], minlength=6) / 100_000
    counts = np.bincount(TASK, minlength=6)
    expected = counts ** (1 / temperature) / (counts[counts > 0] ** (1 / temperature)).sum()
    assert np.allclose(share, np.where(counts, expected, 0), atol=1e-5)


def test_temperature_of_one_is_proportional():
    assert np.allclose(
        draw_shares(np.array([600, 60, 30]), MixConfig(kind=Mix.temperature)), np.array([600, 60, 30]) / 690
    )
