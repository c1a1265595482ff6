"""Measures of order are scikit-learn's, list by list; ties, short and irrelevant lists have their rule."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, ndcg_score

from relevance.ranking import DEPTH, MEASURES, Lists, expected_grade


def table(rows: int, lefts: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Tasks, left and right entities, labels and probabilities at random."""
    random = np.random.default_rng(seed)
    columns = (random.integers(0, most, rows) for most in (6, lefts, 400, 3))
    return *columns, random.dirichlet([1, 1, 1], rows)


def by_list(lists: Lists):
    return np.split(lists.rows, lists.starts[1:])


@pytest.mark.parametrize("lefts", [2, 20, 100])  # lists of hundreds, tens and a few rows
def test_each_list_has_what_scikit_learn_gives(lefts):
    task, left, right, label, p = table(1_500, lefts)
    lists, grade = Lists.of(task, left, right, label), expected_grade(p)
    values = dict(zip(MEASURES, lists.scores(grade), strict=True))
    for at, rows in enumerate(by_list(lists)):
        assert (len({*task[rows]}), len({*left[rows]})) == (1, 1)
        truth, given = label[rows], grade[rows]
        if truth.max() >= 1:
            assert values["ndcg_10"][at] == pytest.approx(ndcg_score([2.0**truth - 1], [given], k=DEPTH), abs=1e-5)
            assert values["average_precision"][at] == pytest.approx(
                average_precision_score(truth >= 1, given), abs=1e-5
            )
        if truth.max() == 2:
            first = 1 + np.flatnonzero(truth[np.argsort(-given)] == 2)[0]
            assert values["mrr"][at] == pytest.approx(1 / first)
            found = values["average_precision_relevant"][at]
            assert found == pytest.approx(average_precision_score(truth == 2, given), abs=1e-5)


def test_a_list_has_two_right_entities_and_the_others_are_left_out_and_counted():
    task = np.zeros(9, int)
    left = np.array([0, 0, 1, 2, 2, 3, 3, 4, 4])
    right = np.array([0, 1, 0, 5, 5, 1, 2, 1, 2])  # left 1 has one row, left 2 one right entity
    label = np.array([2, 0, 2, 2, 1, 0, 0, 1, 0])
    lists = Lists.of(task, left, right, label)
    assert lists.left.tolist() == [0, 3, 4]
    assert lists.relevant["ndcg_10"].tolist() == [True, False, True]
    assert [int(lists.left_out(name)[0]) for name in MEASURES] == [1, 2, 1, 2]
    assert (lists.scores(np.ones(9, np.float32))[:, 1] == 0).all()


def test_a_constant_answer_is_worth_a_random_order():
    task, left, right, label, p = table(60_000, 3_000)
    lists = Lists.of(task, left, right, label)
    here = lists.relevant["ndcg_10"]
    ties, again = (lists.scores(np.full(len(task), value, np.float32))[0, here].mean() for value in (0, 1.5))
    assert ties == again  # one order for every cell
    assert ties == pytest.approx(lists.scores(expected_grade(p))[0, here].mean(), abs=0.01)


def test_small_differences_of_grade_order_rows():
    label = np.array([0, 2, 1])
    lists = Lists.of(np.zeros(3, int), np.zeros(3, int), np.arange(3), label)
    p = np.array([[1, 1e-30, 0], [1, 3e-30, 0], [1, 2e-30, 0]])
    assert lists.scores(expected_grade(p))[:, 0] == pytest.approx([1, 1, 1, 1])
    assert lists.scores(expected_grade(p[[1, 0, 2]]))[1, 0] == pytest.approx(1 / 3)


def test_a_table_without_lists_has_no_values():
    lists = Lists.of(np.zeros(3, int), np.arange(3), np.arange(3), np.array([0, 1, 2]))
    assert lists.scores(np.ones(3, np.float32)).shape == (4, 0)
    assert lists.left_out("mrr").tolist() == [0] * 6
