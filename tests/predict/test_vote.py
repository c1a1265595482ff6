import numpy as np

from relevance.vote import vote


def voted(*labels):
    """The vote of models that give these labels with certainty."""
    return vote(np.eye(3, dtype=np.float32)[np.array(labels)])[1].tolist()


def test_the_majority_wins_and_a_tie_goes_to_the_higher_label():
    assert voted([0, 0, 1, 2, 0], [0, 1, 1, 0, 1], [2, 1, 0, 0, 2]) == [0, 1, 1, 0, 2]
    assert voted([0, 1, 2], [2, 0, 2]) == [2, 1, 2]
    assert voted([0, 1, 0], [0, 1, 2], [1, 2, 2], [1, 0, 0]) == [1, 1, 2]


def test_the_mean_of_the_probabilities_need_not_be_with_the_majority():
    p = np.array([[[0.4, 0.3, 0.3]], [[0.4, 0.3, 0.3]], [[0.0, 0.0, 1.0]]], np.float32)
    mean, predicted = vote(p)
    assert mean.dtype == np.float32
    assert np.allclose(mean, p.mean(axis=0))
    assert (predicted.dtype, predicted.tolist()) == (np.int8, [0])


def test_one_model_keeps_its_own_word():
    p = np.random.default_rng(0).dirichlet([1, 1, 1], 50).astype(np.float32)
    mean, predicted = vote(p[None])
    assert np.array_equal(mean, p)
    assert np.array_equal(predicted, p.argmax(axis=1))
