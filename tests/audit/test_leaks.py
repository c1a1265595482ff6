from hypothesis import given
from small_pairs import ROWS, SAME, counted, mirrored, row

from relevance.audit.counts import leak_shares
from relevance.tasks import TASKS


def shares(rows):
    return counted(rows, leak_shares)


def entity(one, side):
    """Kind, then id, or text where there is none."""
    kind = getattr(TASKS[one["task"]], side)
    return (kind, "id", one[f"{side}_id"]) if one.get(f"{side}_id") else (kind, "text", one[side])


def counted_by_hand(rows, task):
    train = [one for one in rows if one["split"] == "train"]
    test = [one for one in rows if one["split"] == "test" and task in ("all", one["task"])]

    def count(holds):
        return sum(any(holds(one, other) for other in train) for one in test)

    def sides(one):
        return {entity(one, "left"), entity(one, "right")}

    def texts(one):
        return sorted([one["left"], one["right"]])

    def task_texts(one):
        sides = [one["left"], one["right"]]
        return one["task"], sorted(sides) if TASKS[one["task"]].symmetric else sides

    def pair(one):
        return one["task"], sorted([entity(one, "left"), entity(one, "right")])

    return {
        "n": len(test),
        "left": count(lambda one, other: entity(one, "left") in sides(other)),
        "right": count(lambda one, other: entity(one, "right") in sides(other)),
        "either": count(lambda one, other: sides(one) & sides(other)),
        "own_left": count(lambda one, other: one["task"] == other["task"] and entity(one, "left") in sides(other)),
        "own_right": count(lambda one, other: one["task"] == other["task"] and entity(one, "right") in sides(other)),
        "pair": count(lambda one, other: pair(one) == pair(other) or task_texts(one) == task_texts(other)),
        "texts": count(lambda one, other: texts(one) == texts(other)),
    }


@SAME
@given(ROWS)
def test_shares_are_those_of_a_count_by_hand(rows):
    for task, found in shares(rows).items():
        told = {name: one if name == "n" else one["rows"] for name, one in found.items()}
        by_hand = counted_by_hand(rows, task)
        assert {name: told[name] for name in by_hand} == by_hand
        assert told["both"] + told["either"] == told["left"] + told["right"]


@SAME
@given(ROWS)
def test_mirrored_rows_of_symmetric_tasks_leak_the_same_pairs(rows):
    before, after = shares(rows), shares(mirrored(rows))
    for task, found in before.items():
        assert all(found[name] == after[task][name] for name in ("n", "either", "both", "pair", "texts"))


def test_an_entity_of_another_kind_is_another_entity():
    sofa = {"left": "sofa", "left_id": "1"}
    rows = [row(0, task="type_type", split="train", **sofa), row(3, task="query_item", split="test", **sofa)]
    assert shares(rows)["query_item"]["left"] == {"rows": 0, "share": 0.0}
    rows[0]["task"] = "query_type"
    assert shares(rows)["query_item"]["left"] == {"rows": 1, "share": 1.0}
    assert shares(rows)["query_item"]["own_left"] == {"rows": 0, "share": 0.0}


def test_without_test_rows_there_is_no_share():
    told = shares([row(0), row(1)])["all"]
    assert told.pop("n") == 0
    assert all(one == {"rows": 0, "share": None} for one in told.values())
