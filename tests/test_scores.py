import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import accuracy_score, f1_score

from relevance.scores import Scores, collapsed, score, task_codes
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


def test_task_codes_read_plain_and_dictionary_columns():
    names = pa.chunked_array([["item_type", "query_item"], ["item_type"]])
    expected = [TASK_NAMES.index(name) for name in names.to_pylist()]
    assert task_codes(names).tolist() == expected
    assert task_codes(names.dictionary_encode()).tolist() == expected
