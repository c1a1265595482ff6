"""Circles and ancestors, against a walk of one type at a time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from little import ITEMS, TREE, read, shop

from relevance.derive.catalogue import ancestors, in_circle


@st.composite
def parents(draw):
    """[T], any type's parent, itself too, or none."""
    size = draw(st.integers(0, 40))
    return np.array(draw(st.lists(st.integers(-1, size - 1), min_size=size, max_size=size)), np.int64)


def walked(parents, node):
    """The types met on the way up from `node`, until there is none or one is met again."""
    met = [node]
    while (node := int(parents[node])) >= 0 and node not in met:
        met.append(node)
    return met, node


@given(parents())
def test_a_type_is_in_a_circle_where_the_way_up_leads_back_to_it(parents):
    found = in_circle(parents)
    assert found.tolist() == [walked(parents, node)[1] == node for node in range(len(parents))]


def test_circles_of_every_length_and_tails_that_lead_into_them():
    for length in (1, 2, 3, 7, 64, 1000):
        circle = np.roll(np.arange(length), 1)
        tail = np.arange(length - 1, length + 50)  # the first of it hangs on the circle
        assert in_circle(np.concatenate([circle, tail])).tolist() == [True] * length + [False] * len(tail)
    assert not in_circle(np.arange(-1, 100_000)).any()


@given(parents(), st.integers(0, 6))
def test_ancestors_are_those_met_on_the_way_up(parents, steps):
    parents = np.where(in_circle(parents), -1, parents)
    table = ancestors(parents, steps)
    found = set(zip(*(table[name].to_pylist() for name in ("node", "ancestor", "steps")), strict=True))
    wanted = {
        (node, above, step)
        for node in range(len(parents))
        for step, above in enumerate(walked(parents, node)[0])
        if step <= steps
    }
    assert found == wanted
    assert len(table) == len(wanted)


def test_more_steps_than_the_tree_is_deep_cost_nothing():
    assert len(ancestors(np.arange(-1, 9), 10**6)) == 55


def test_a_circle_is_set_aside_and_what_hangs_on_it_stays(tmp_path):
    tree = TREE + "A,C\nB,A\nC,B\nTail,A\nSelf,Self\n"
    found = read(
        shop(tmp_path, taxonomy=tree, items=ITEMS + "i5,Thing,Tail\ni6,Bee,B\n"),
        "SELECT a.id, b.id FROM ancestor JOIN type a ON a.n = node JOIN type b ON b.n = ancestor WHERE steps = 1",
        "SELECT id FROM item WHERE t IS NULL",
        aside=True,
    )
    assert ("Tail", "A") in found.rows[0]
    assert not {"B", "C", "Self"} & {child for child, _ in found.rows[0]}
    assert found.rows[1] == [("i6",)]
    assert found.counts["types known as a parent alone"] == 1  # A, on which the tail hangs
    assert {(one["input"], one["problem"], one["rows"]) for one in found.faults} == {
        ("taxonomy", "type is its own ancestor", 4),
        ("items", "type is not in the taxonomy", 1),
    }
