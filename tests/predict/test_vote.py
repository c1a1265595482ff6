import numpy as np
import pytest

from relevance.vote import Ballots, Ties, Vote

MAJORITY = Ballots(Vote.majority)


def voted(*labels):
    """The majority of models that give these labels with certainty."""
    return MAJORITY.count(np.eye(3, dtype=np.float32)[np.array(labels)])[1].tolist()


def test_the_majority_wins_and_a_tie_goes_to_the_higher_label():
    assert voted([0, 0, 1, 2, 0], [0, 1, 1, 0, 1], [2, 1, 0, 0, 2]) == [0, 1, 1, 0, 2]
    assert voted([0, 1, 2], [2, 0, 2]) == [2, 1, 2]
    assert voted([0, 1, 0], [0, 1, 2], [1, 2, 2], [1, 0, 0]) == [1, 1, 2]


def test_by_default_the_label_is_that_of_the_highest_mean_probability():
    """0.51 irrelevant of one model and 0.4 relevant of another are not relevant."""
    p = np.array([[[0.51, 0.2, 0.29]], [[0.39, 0.2, 0.41]]], np.float32)
    mean, predicted = Ballots().count(p)
    assert mean.dtype == np.float32
    assert np.allclose(mean, p.mean(axis=0))
    assert (predicted.dtype, predicted.tolist()) == (np.int8, [0])


@pytest.mark.parametrize("ties", [Ties.higher, Ties.lower, Ties.mean_probability])
@pytest.mark.parametrize("vote", list(Vote))
def test_no_label_contradicts_what_stands_beside_it(vote, ties):
    p = np.random.default_rng(0).dirichlet([1, 1, 1], (4, 500)).astype(np.float32)
    beside, predicted = Ballots(vote, ties).count(p)
    assert np.allclose(beside.sum(axis=1), 1)
    assert (beside[np.arange(500), predicted] == beside.max(axis=1)).all()


def test_the_majority_need_not_be_with_the_mean_of_the_probabilities():
    p = np.array([[[0.4, 0.3, 0.3]], [[0.4, 0.3, 0.3]], [[0.0, 0.0, 1.0]]], np.float32)
    shares, predicted = MAJORITY.count(p)
    assert np.allclose(shares, [[2 / 3, 0, 1 / 3]])
    assert (predicted.dtype, predicted.tolist()) == (np.int8, [0])
    assert Ballots().count(p)[1].tolist() == [2]


def test_one_model_keeps_its_own_word():
    p = np.random.default_rng(0).dirichlet([1, 1, 1], 50).astype(np.float32)
    mean, predicted = Ballots().count(p[None])
    assert np.array_equal(mean, p)
    assert np.array_equal(predicted, p.argmax(axis=1))
