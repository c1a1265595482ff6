from hypothesis import given
from small_pairs import ROWS, SAME, counted, mirrored, row

from relevance.audit.counts import copies, elsewhere, shared_texts


def look(rows, part=copies):
    return counted(rows, part)


def every(database):
    return copies(database), shared_texts(database), elsewhere(database)


def test_a_mirrored_pair_with_two_labels_is_repeated_mirrored_and_conflicting():
    pair = {"task": "query_query", "split": "train"}
    rows = [row(0, left="a", right="b", label=2, **pair), row(1, left="b", right="a", label=0, **pair), row(2, **pair)]
    one = {"pairs": 1, "rows": 1, "mirrored": 1, "conflicting": 1, "conflicting_rows": 2}
    assert look(rows)["query_query"] == {"entities": one, "texts": one}
    rows[1] |= {"left": "a", "right": "b", "label": 2}
    assert look(rows)["all"]["entities"] == one | {"mirrored": 0, "conflicting": 0, "conflicting_rows": 0}


def test_equal_texts_under_other_ids_are_one_pair_by_texts_alone():
    rows = [row(0, left="a", right="b", left_id=f"q{n}", right_id="i", label=n) for n in range(2)]
    found = look(rows)["query_item"]
    assert (found["entities"]["pairs"], found["texts"]["pairs"], found["texts"]["conflicting"]) == (0, 1, 1)


def test_a_pair_of_two_kinds_has_no_mirror():
    rows = [row(0, left="a", right="b"), row(1, left="b", right="a")]
    assert look(rows)["query_item"]["entities"]["pairs"] == 0


@SAME
@given(ROWS)
def test_repeats_add_up_and_mirrors_change_no_count_of_a_symmetric_task(rows):
    (before, *others), (after, *mirrors) = (look(table, every) for table in (rows, mirrored(rows)))
    for ways in before.values():
        for one in ways.values():
            assert one["conflicting"] <= one["pairs"] <= one["rows"] <= len(rows)
    for way in ("entities", "texts"):
        for name in ("pairs", "rows", "conflicting"):
            assert before["all"][way][name] == sum(ways[way][name] for task, ways in before.items() if task != "all")
            assert before["all"][way][name] == after["all"][way][name]
    assert others == mirrors


def test_a_pair_in_two_splits_is_elsewhere_and_one_under_two_tasks_too():
    rows = [
        row(0, left="a", right="b", split="train"),
        row(1, left="a", right="b", split="test"),
        row(2, task="type_type", left="b", right="a"),
        row(3, task="type_type", left="c", right="d"),
    ]
    assert look(rows, elsewhere) == {
        "query_item": {"other_split_entities": 2, "other_split_texts": 2, "other_task_texts": 2},
        "type_type": {"other_split_entities": 0, "other_split_texts": 0, "other_task_texts": 1},
        "all": {"other_split_entities": 2, "other_split_texts": 2, "other_task_texts": 3},
    }


def test_texts_shared_by_tasks_are_told_by_the_two_tasks_and_by_whether_labels_differ():
    rows = [
        row(n, task=task, left="a", right="b", label=label)
        for n, (task, label) in enumerate([("query_item", 1), ("query_query", 1), ("type_type", 2)])
    ]
    assert look(rows, shared_texts) == [
        {"tasks": ["query_item", "type_type"], "pairs": 1, "differing": 1, "share": 1.0},
        {"tasks": ["query_query", "type_type"], "pairs": 1, "differing": 1, "share": 1.0},
        {"tasks": ["query_item", "query_query"], "pairs": 1, "differing": 0, "share": 0.0},
    ]
