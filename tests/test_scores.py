import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import accuracy_score, f1_score

from relevance.metrics import Scores, collapsed, learnt_nothing, score, task_codes
from relevance.tasks import TASK_NAMES


@pytest.fixture
def answers() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    task = rng.choice([0, 1, 2, 4], 500)
    return task, rng.integers(0, 3, 500).astype(np.int8), rng.integers(0, 3, 500).astype(np.int8)


def test_scores_equal_sklearn(answers):
    task, label, predicted = answers
    scores = score(task, label, predicted)
    for code in (0, 1, 2, 4):
        here = task == code
        assert scores.accuracy[code] == pytest.approx(accuracy_score(label[here], predicted[here]), abs=1e-12)
        f1 = f1_score(label[here], predicted[here], average="macro", labels=[0, 1, 2], zero_division=0)
        assert scores.macro_f1[code] == pytest.approx(f1, abs=1e-12)
        assert scores.n[code] == here.sum()
    assert scores.micro == pytest.approx(accuracy_score(label, predicted), abs=1e-12)


def test_macro_is_over_tasks_present_and_absent_tasks_are_nan(answers):
    scores = score(*answers)
    assert np.isnan(scores.accuracy[[3, 5]]).all()
    assert np.isnan(scores.macro_f1[[3, 5]]).all()
    assert scores.macro == pytest.approx(scores.accuracy[[0, 1, 2, 4]].mean(), abs=1e-12)


def test_a_label_never_seen_counts_as_zero_in_macro_f1():
    task, label = np.zeros(4, dtype=int), np.array([0, 0, 1, 1])
    assert score(task, label, label).macro_f1[0] == pytest.approx(2 / 3)


def item_type(label: list[int], predicted: list[int]) -> Scores:
    """Scores of one task alone."""
    return score(np.full(len(label), TASK_NAMES.index("item_type")), np.array(label), np.array(predicted))


def test_collapsed_is_what_does_not_pass_the_interval_of_the_majority():
    label = [0] * 7 + [1] * 7 + [2] * 6
    majority = item_type(label, [0] * 20)  # 7 of 20; Wilson, 95 %: 18.1 to 56.7 %

    def right(n: int) -> Scores:
        return item_type(label, [y if i < n else (y + 1) % 3 for i, y in enumerate(label)])

    assert collapsed(right(12), majority) == ()
    assert collapsed(right(11), majority) == ("item_type",)
    assert collapsed(right(0), majority) == ("item_type",)


def test_one_class_only_is_collapsed_however_right():
    label = [2] * 18 + [0] * 2
    wrong_majority = item_type(label, [1] * 20)
    assert collapsed(item_type(label, [2] * 20), wrong_majority) == ("item_type",)
    assert collapsed(item_type(label, [2] * 19 + [0]), wrong_majority) == ()


def test_a_task_of_one_true_label_is_collapsed_even_without_a_mistake():
    label = [1] * 20
    for majority in ([1] * 20, [0] * 20):
        assert collapsed(item_type(label, label), item_type(label, majority)) == ("item_type",)


def test_collapsed_names_only_tasks_tested_in_their_order(answers):
    task, label, predicted = answers
    random = score(task, label, predicted)
    assert collapsed(random, random) == tuple(TASK_NAMES[code] for code in (0, 1, 2, 4))
    assert collapsed(score(task, label, label), random) == ()
    assert collapsed(score(*(part[:0] for part in answers)), random) == ()


def two_tasks(first: int, second: int) -> Scores:
    """Scores with so many of 20 rows right on each of two tasks; answering label 0 to all is right on 7."""
    label = np.array(([0] * 7 + [1] * 7 + [2] * 6) * 2)
    right = np.concatenate([np.arange(20) < first, np.arange(20) < second])
    return score(np.repeat([2, 4], 20), label, np.where(right, label, (label + 1) % 3))


@pytest.mark.parametrize(
    ("first", "second", "nothing"),
    [
        (12, 12, False),
        (12, 3, False),  # above on one task, and 37.5 % on the mean of both
        (12, 2, True),  # no more than the majority's 35 %
        (11, 11, True),  # 55 %, and collapsed on both
        (0, 0, True),
    ],
)
def test_nothing_was_learnt_below_the_floor_or_where_every_task_collapsed(first, second, nothing):
    constant = score(np.repeat([2, 4], 20), np.array(([0] * 7 + [1] * 7 + [2] * 6) * 2), np.zeros(40, int))
    scores = two_tasks(first, second)
    assert learnt_nothing(scores, constant, collapsed(scores, constant)) is nothing


def test_the_floor_is_that_of_the_tasks_a_cell_was_tested_on():
    label = np.array([0] * 18 + [1] * 2 + [0] * 10 + [1] * 10)
    task = np.repeat([2, 4], 20)
    majority = score(task, label, np.zeros(40, int))  # 90 and 50 %
    second = task == 4
    wrong = np.where(np.arange(20) < 3, 1 - label[second], label[second])
    assert learnt_nothing(score(task[second], label[second], wrong), majority, ()) is False  # 85 %


def test_task_codes_read_plain_and_dictionary_columns():
    names = pa.chunked_array([["item_type", "query_item"], ["item_type"]])
    expected = [TASK_NAMES.index(name) for name in names.to_pylist()]
    assert task_codes(names).tolist() == expected
    assert task_codes(names.dictionary_encode()).tolist() == expected
