"""Caps and shares."""

from collections import Counter

import pytest

from relevance.derive.commands import TaskOptions
from relevance.derive.pairs import wanted
from relevance.errors import UserError
from tests.derive.derived import TREE, run, written

MANY = {f"item {number}": "sofas" if number % 2 else "radios" for number in range(30)}
JUDGED = [(f"query {q}", f"item {n}", (n + q) % 3) for q in range(6) for n in range(30)]


def test_shares_take_as_much_as_the_rarest_label_allows():
    assert wanted([100, 50, 10], TaskOptions(balance=[1, 1, 1])) == [10, 10, 10]
    assert wanted([100, 50, 10], TaskOptions(balance=[5, 2, 1])) == [50, 20, 10]
    assert wanted([100, 50, 10], TaskOptions(balance=[1, 1, 0])) == [50, 50, 0]
    assert wanted([100, 50, 50], TaskOptions(rows=20)) == [10, 5, 5]
    assert wanted([100, 50, 10], TaskOptions(rows=12, balance=[1, 1, 1])) == [4, 4, 4]
    assert wanted([0, 0, 0], TaskOptions(rows=12)) == [0, 0, 0]


def test_no_entity_stands_on_a_side_more_often_than_its_cap(tmp_path):
    made, rows = run(tmp_path, written(tmp_path, JUDGED, MANY, TREE), "caps.item=2", "caps.query=3", "caps.type=4")
    caps = {"query": 3, "item": 2, "type": 4}
    for side, kind in (("left", 0), ("right", 1)):
        stands = Counter((row["task"], row["label"], row[f"{side}_id"]) for row in rows if row["task"] != "query_item")
        assert all(n <= caps[task.split("_")[kind]] for (task, _, _), n in stands.items())
        assert stands
    judged = sum(row["task"] == "query_item" for row in rows)
    assert judged == made.ledger.steps["apart"]["judged"]  # what people judged is not capped


def test_labels_are_balanced_as_asked(tmp_path):
    files = written(tmp_path, JUDGED, MANY, TREE)
    _, rows = run(tmp_path, files, "tasks.item_type.balance=[2,1,1]", "tasks.query_item.rows=50")
    labels = Counter(row["label"] for row in rows if row["task"] == "item_type")
    assert labels[1] == labels[2] > 0
    assert abs(labels[0] - 2 * labels[1]) <= 1
    assert 48 <= sum(row["task"] == "query_item" for row in rows) <= 50


def test_a_label_that_has_no_rows_cannot_have_a_share(tmp_path):
    files = written(tmp_path, [("q", "item 1", 2), ("q", "item 3", 1)], MANY, {})
    with pytest.raises(UserError, match=r"tasks\.query_item\.balance=\[1.*no rows of label 0"):
        run(tmp_path, files, "tasks.query_item.balance=[1,1,1]")
