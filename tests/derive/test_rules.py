"""Each rule on a shop small enough to know the answer."""

import pytest

from tests.derive.derived import TREE, labels, run, written

ITEMS = {"sofa": "sofas", "chair": "chairs", "stool": "chairs", "radio": "radios", "tuner": "tuners", "odd": None}
WHOLE = ("caps.query=99", "caps.item=99", "rules.beside=99", "rules.draws=200")  # draws that leave no type out


def made(folder, judged, *words, items=ITEMS, tree=TREE):
    """Rows of a table nothing of which crosses: all entities fall to training, but for a text in a billion."""
    shares = ("validation_share=1e-9", "test_share=1e-9")
    return run(folder, written(folder, judged, items, tree), *shares, *WHOLE, *words)


def test_what_people_judged_keeps_its_label(tmp_path):
    _, rows = made(tmp_path, [("a seat", "sofa", 2), ("a seat", "chair", 1), ("a seat", "radio", 0)])
    assert labels(rows, "query_item") == {("a seat", "sofa"): 2, ("a seat", "chair"): 1, ("a seat", "radio"): 0}
    assert {row["source"] for row in rows if row["task"] == "query_item"} == {"judged"}


def test_grades_become_labels_as_the_map_says(tmp_path):
    judged = [("a seat", "sofa", "Exact"), ("a seat", "chair", "Substitute"), ("a seat", "radio", "Complement")]
    _, rows = made(tmp_path, judged, "grades={Exact: 2, Substitute: 1, Complement: 0}")
    assert labels(rows, "query_item") == {("a seat", "sofa"): 2, ("a seat", "chair"): 1, ("a seat", "radio"): 0}


def test_items_are_compared_where_one_is_relevant(tmp_path):
    judged = [("q", "sofa", 2), ("q", "chair", 2), ("q", "stool", 1), ("q", "odd", 1), ("q", "radio", 0)]
    _, rows = made(tmp_path, judged)
    assert labels(rows, "item_item") == {
        ("chair", "sofa"): 2,
        ("sofa", "stool"): 1,
        ("chair", "stool"): 1,
        ("odd", "sofa"): 1,
        ("chair", "odd"): 1,
        ("radio", "sofa"): 0,
        ("chair", "radio"): 0,
    }


DISAGREEING = [
    ("one", "sofa", 2), ("one", "chair", 2), ("two", "sofa", 2), ("two", "chair", 0), ("three", "sofa", 0),
    ("three", "chair", 2), ("four", "radio", 2), ("four", "tuner", 1), ("five", "radio", 2), ("five", "tuner", 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("settle", "expected"),
    [
        ("majority", {("chair", "sofa"): 0, ("radio", "tuner"): 1}),  # two votes to one; one each: the higher
        ("highest", {("chair", "sofa"): 2, ("radio", "tuner"): 1}),
        ("lowest", {("chair", "sofa"): 0, ("radio", "tuner"): 0}),
        ("drop", {}),
    ],
)
def test_disagreements_between_queries_are_settled_as_said_and_counted(tmp_path, settle, expected):
    told, rows = made(tmp_path, DISAGREEING, f"rules.settle={settle}")
    assert labels(rows, "item_item") == expected
    assert told.ledger.made["item_item"].differing == 2


def test_judgements_of_one_pair_are_settled_and_counted(tmp_path):
    judged = [("q", "sofa", 2), ("Q ", "sofa", 2), ("q", "sofa", 0), ("q", "chair", 1), ("q", "chair", 1)]
    told, rows = made(tmp_path, judged)
    assert labels(rows, "query_item") == {("q", "sofa"): 2, ("q", "chair"): 1}
    assert told.inputs["judgements: said again"] == 3
    assert told.inputs["judged differently"] == 1


def test_queries_are_compared_by_the_items_relevant_to_both(tmp_path):
    judged = [(query, item, 2) for query in ("one", "two") for item in ("sofa", "chair", "stool")]
    judged += [("three", item, 2) for item in ("stool", "radio", "tuner")]
    _, rows = made(tmp_path, judged)
    assert labels(rows, "query_query") == {("one", "two"): 2, ("one", "three"): 1, ("three", "two"): 1}


def test_one_shared_item_is_no_large_overlap(tmp_path):
    judged = [("one", "sofa", 2), ("two", "sofa", 2)]
    assert labels(made(tmp_path, judged)[1], "query_query") == {("one", "two"): 1}
    assert labels(made(tmp_path, judged, "rules.shared=1")[1], "query_query") == {("one", "two"): 2}


def test_an_item_judged_for_one_of_two_queries_says_nothing_of_the_other(tmp_path):
    judged = [(query, item, 2) for query in ("one", "two") for item in ("sofa", "chair")]
    judged += [("one", item, 2) for item in ("stool", "radio", "tuner")]
    assert labels(made(tmp_path, judged)[1], "query_query") == {("one", "two"): 2}
    judged += [("two", item, 1) for item in ("stool", "radio", "tuner")]
    assert labels(made(tmp_path, judged)[1], "query_query") == {("one", "two"): 1}


def test_queries_of_unrelated_types_that_share_nothing_are_irrelevant(tmp_path):
    judged = [("seat", "sofa", 2), ("music", "radio", 2), ("rest", "chair", 2), ("void", "odd", 2)]
    _, rows = made(tmp_path, judged)
    # seat and rest want siblings: neither alike nor apart; nothing is known of what "void" wants
    assert labels(rows, "query_query") == {("music", "seat"): 0, ("music", "rest"): 0}


def test_queries_whose_items_are_refused_for_one_another_are_irrelevant(tmp_path):
    opposed = [("one", item, 2) for item in ("sofa", "chair", "stool")]
    opposed += [("two", item, 0) for item in ("sofa", "chair", "stool")]
    _, rows = made(tmp_path, opposed, tree={})
    assert labels(rows, "query_query") == {("one", "two"): 0}
    _, rows = made(tmp_path, [*opposed, ("one", "radio", 1), ("two", "radio", 1)], tree={})
    assert labels(rows, "query_query") == {}


def test_a_query_wants_the_types_of_its_relevant_items(tmp_path):
    _, rows = made(tmp_path, [("a seat", "sofa", 2), ("a seat", "radio", 0)])
    assert labels(rows, "query_type") == {
        ("a seat", "sofas"): 2,
        ("a seat", "chairs"): 1,
        ("a seat", "seating"): 1,
        ("a seat", "audio"): 0,
        ("a seat", "players"): 0,
        ("a seat", "radios"): 0,
        ("a seat", "tuners"): 0,
    }  # nothing of home and shop: above the parent, yet on the way to the root


def test_a_type_few_of_the_relevant_items_have_is_neither_wanted_nor_far(tmp_path):
    judged = [("a seat", item, 2) for item in ("sofa", "chair", "stool", "radio")]
    pairs = labels(made(tmp_path, judged, "rules.type_share=0.3")[1], "query_type")
    assert pairs == {("a seat", "chairs"): 2, ("a seat", "seating"): 1}


def test_an_item_has_its_own_type(tmp_path):
    pairs = labels(made(tmp_path, [])[1], "item_type")
    assert {kind: label for (item, kind), label in pairs.items() if item == "sofa"} == {
        "sofas": 2, "chairs": 1, "seating": 1, "audio": 0, "players": 0, "radios": 0, "tuners": 0,
    }  # fmt: skip
    assert not [item for item, _ in pairs if item == "odd"]


def test_types_are_as_alike_as_the_tree_has_them_close(tmp_path):
    pairs = labels(made(tmp_path, [])[1], "type_type")
    expected = {
        ("home", "seating"): 2, ("seating", "sofas"): 2, ("chairs", "sofas"): 1, ("home", "sofas"): 1,
        ("radios", "sofas"): 0, ("chairs", "players"): 0,
    }  # fmt: skip
    assert expected.items() <= pairs.items()
    assert ("audio", "seating") not in pairs  # three steps: neither near nor far


def test_names_that_mean_the_same_are_one_type_in_two_places(tmp_path):
    tree = TREE | {"Radio": "home", "Coffee & Tea": "home", "coffee and teas": "audio"}
    pairs = labels(made(tmp_path, [], tree=tree)[1], "type_type")
    assert pairs["Radio", "radios"] == 2
    assert pairs["Coffee & Tea", "coffee and teas"] == 2
    items = labels(made(tmp_path, [], tree=tree)[1], "item_type")
    assert ("radio", "Radio") not in items  # far in the tree, but its own type by name


def test_a_parent_of_very_many_types_says_nothing_of_them(tmp_path):
    tree = {"root": None} | {f"type {number}": "root" for number in range(6)}
    pairs = labels(made(tmp_path, [], "rules.broad=5", items={}, tree=tree)[1], "type_type")
    assert {label for pair, label in pairs.items() if "root" not in pair} == {0}
    pairs = labels(made(tmp_path, [], "rules.broad=6", items={}, tree=tree)[1], "type_type")
    assert {label for pair, label in pairs.items() if "root" not in pair} == {1}


def test_a_rule_that_is_off_makes_nothing_and_is_told(tmp_path):
    told, rows = made(tmp_path, [("q", "sofa", 2), ("q", "chair", 1)], "rules.off=[relevant and partial,own type]")
    assert not labels(rows, "item_item")
    assert 2 not in labels(rows, "item_type").values()
    assert told.idle["own type"] == "switched off"


def test_without_a_tree_rules_of_types_are_not_used_and_told(tmp_path):
    told, rows = made(tmp_path, [("q", "sofa", 2), ("q", "chair", 1)], tree={})
    assert {row["task"] for row in rows} == {"query_item", "item_item"}
    assert told.idle["own type"] == "the inputs have no parents"


def test_items_of_one_text_are_no_pair_of_their_own_and_never_have_two_labels(tmp_path):
    files = written(tmp_path, [("q", "a", 2), ("q", "b", 2), ("q", "c", 2), ("r", "a", 2), ("r", "c", 0)], {}, {})
    items = tmp_path / "items.csv"
    items.write_text("item_id,title\na,One Thing\nb,one  thing\nc,Another\n")
    told, rows = run(tmp_path, [*files, f"items={items}"])
    assert [(row["left"], row["right"], row["label"]) for row in rows if row["task"] == "item_item"] in (
        [("Another", "One Thing", 2)],
        [("One Thing", "Another", 2)],
    )  # two votes to one; "One Thing" beside "one thing" is left out
    assert told.ledger.made["item_item"].alike == 1
