import numpy as np
import pytest
from hypothesis import given
from small_pairs import ROWS, SAME, counted, read, row

from relevance.audit import counts
from relevance.audit.counts import audit_facts


@SAME
@given(ROWS)
def test_rows_add_up_over_splits_labels_and_rules(rows):
    labels, sources = counted(rows, lambda database: (counts.label_table(database), counts.source_counts(database)))
    assert sum(one["rows"] for one in labels["all"].values()) == len(rows)
    for task, splits in labels.items():
        of_task = [one for one in rows if task in ("all", one["task"])]
        assert sum(sum(one["labels"]) for one in splits.values()) == len(of_task)
        if sources and task != "all":
            told = np.sum([rule["labels"] for rule in sources[task]], axis=0)
            assert told.tolist() == [sum(one["label"] == label for one in of_task) for label in range(3)]


def test_rows_that_break_the_contract_are_set_aside_and_counted_once():
    rows = [row(n) for n in range(8)]
    rows += [row(8, label=7), row(9, left=" ", label=9), row(10, task="query_itme")]
    told = audit_facts(read(rows))["rows"]
    assert (told["read"], told["sound"], told["set_aside"]) == (11, 8, 3)
    assert {one["problem"]: one["first"] for one in told["reasons"]} == {
        "unknown task": [11],
        "left is empty": [10],
        "label is not 0, 1 or 2": [9, 10],
    }


def test_rules_beyond_the_largest_are_counted_together(monkeypatch):
    monkeypatch.setattr(counts, "SOURCES_SHOWN", 2)
    rows = [row(n, source=f"rule {max(0, n - 5)}") for n in range(9)]
    told = counted(rows, counts.source_counts)["query_item"]
    assert [rule.get("source") for rule in told] == ["rule 0", "rule 1", None]
    assert told[-1] == {"others": 2, "labels": [0, 1, 1]}


def test_lengths_are_of_characters_and_of_words():
    rows = [row(n, left="é " * n + "x") for n in range(100)]
    told = audit_facts(read(rows))["lengths"]["tasks"]["query_item"]["left"]
    assert told == {"characters": [9, 99, 189, 197, 199], "words": [5, 50, 95, 99, 100]}


def test_a_table_without_split_is_divided_by_left_entity_and_says_so():
    rows = [row(n) for n in range(60)]
    for one in rows:
        del one["split"]
    told = audit_facts(read(rows))
    assert told["split"] == {"given": False, "divided": "by left entity, seed 0, shares 0.08 and 0.12"}
    assert told["labels"]["all"]["test"]["rows"] > 0
    assert told["leaks"]["all"]["left"]["rows"] == 0


@pytest.mark.parametrize("split", ["train", "test", "validation"])
def test_a_table_of_one_split_can_be_audited(split):
    told = audit_facts(read([row(n, split=split) for n in range(5)]))
    assert told["baseline"]["tasks"] == {}
