"""How the pairs of each task are found, and which label a pair has.

Recipe("query_item", 0, "accessory of the noun", 3, "noun", "modifier"): queries whose noun is the item's modifier,
kept where the judge of the task says 0. Shared words so stand behind every label, and synonyms and misspellings
behind label 2.

A judge takes keys of the left and of the right entities [N] each → labels [N]:

query_item  2 all wants met · 1 type fits and a want is not met, or sibling type with all wants met · 0 else;
            a title typed as a query wants that product: 2 another listing of it · 1 its type · 0 else
query_query 2 same want · 1 broader, narrower, or one value changed · 0 else, siblings too
item_item   2 same type and same main attribute · 1 same type, or sibling type · 0 else
query_type  2 the wanted type · 1 above it, below it or beside it · 0 else; of a title 1 its type, 0 else
item_type   2 own type · 1 above or beside it · 0 else
type_type   2 same type, parent and child · 1 beside it, or two levels above · 0 else

Siblings are leaves of one group and groups of one department. The same two texts so get labels that differ by
task: "corner sofa" and its parent are 2 as types, 1 as query and type.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from relevance.shop.entities import Entities, Keys
from relevance.shop.lexicon import SLOTS
from relevance.shop.queries import GROUP, NAVIGATION, NOUN

SHARES = {  # of the tasks
    "query_item": 0.40,
    "item_item": 0.18,
    "item_type": 0.18,
    "query_type": 0.14,
    "query_query": 0.06,
    "type_type": 0.04,
}
LABEL_SHARES = {  # of labels 0, 1, 2
    "query_item": (0.34, 0.34, 0.32),
    "item_item": (0.36, 0.37, 0.27),
    "item_type": (0.36, 0.36, 0.28),
    "query_type": (0.34, 0.36, 0.30),
    "query_query": (0.38, 0.34, 0.28),
    "type_type": (0.38, 0.34, 0.28),
}
# what takes the place of labels 0, 1, 2
_REPLACEMENT = np.array([[0.0, 0.8, 0.2], [0.5, 0.0, 0.5], [0.2, 0.8, 0.0]])


def query_item(query: Keys, item: Keys) -> np.ndarray:
    fits, met = _inside(query, item), _unmet(query, item) == 0
    beside = np.where(query["scope"] == GROUP, _same(query, item, "department"), _same(query, item, "group"))
    typed = query["scope"] == NAVIGATION
    two = np.where(typed, _same(query, item, "product"), fits & met)
    return _grade(two, np.where(typed, fits, fits | (beside & met)))


def query_query(left: Keys, right: Keys) -> np.ndarray:
    changed = sum((left[s] >= 0) & (right[s] >= 0) & (left[s] != right[s]) for s in SLOTS)
    only_left = sum((left[s] >= 0) & (right[s] < 0) for s in SLOTS)
    only_right = sum((left[s] < 0) & (right[s] >= 0) for s in SLOTS)
    alike = (left["scope"] == right["scope"]) & _same(left, right, "place")
    two_titles = (left["scope"] == NAVIGATION) & (right["scope"] == NAVIGATION) & _same(left, right, "leaf")
    nested = (changed == 0) & ((only_left == 0) | (only_right == 0))
    single = (changed == 1) & (only_left + only_right == 0)
    wider = (left["scope"] < right["scope"]) & _inside(left, right) & (_unmet(left, right) == 0)
    narrower = (left["scope"] > right["scope"]) & _inside(right, left) & (_unmet(right, left) == 0)
    two = alike & (changed + only_left + only_right == 0)
    return _grade(two, ((alike | two_titles) & (nested | single)) | wider | narrower)


def item_item(left: Keys, right: Keys) -> np.ndarray:
    leaf = _same(left, right, "leaf")
    return _grade(leaf & _same(left, right, "main"), leaf | _same(left, right, "group"))


def query_type(query: Keys, kind: Keys) -> np.ndarray:
    wanted = np.where(query["scope"] == GROUP, kind["level"] == 1, kind["level"] == 2) & _inside(query, kind)
    near = _same(query, kind, "group") | ((kind["level"] == 0) & _same(query, kind, "department"))
    near |= (query["scope"] == GROUP) & (kind["level"] == 1) & _same(query, kind, "department")
    typed = query["scope"] == NAVIGATION
    return _grade(wanted & ~typed, np.where(typed, wanted, near))


def item_type(item: Keys, kind: Keys) -> np.ndarray:
    near = _same(item, kind, "group") | ((kind["level"] == 0) & _same(item, kind, "department"))
    return _grade(_same(item, kind, "leaf"), near)


def type_type(left: Keys, right: Keys) -> np.ndarray:
    two = (left["node"] == right["node"]) | (left["parent"] == right["node"]) | (left["node"] == right["parent"])
    far = (np.abs(left["level"] - right["level"]) == 2) & _same(left, right, "department")
    return _grade(two, _same(left, right, "parent") | far)


def _grade(two: np.ndarray, one: np.ndarray) -> np.ndarray:
    return np.select([two, one], [2, 1], 0).astype(np.int8)


def _same(left: Keys, right: Keys, key: str) -> np.ndarray:
    return (left[key] == right[key]) & (left[key] >= 0)


def _inside(wide: Keys, narrow: Keys) -> np.ndarray:
    """Whether the type of `narrow` lies in the scope of the query `wide`."""
    return np.select(
        [wide["scope"] == GROUP, wide["scope"] == NOUN],
        [_same(wide, narrow, "group"), _same(wide, narrow, "noun")],
        _same(wide, narrow, "leaf"),
    )


def _unmet(query: Keys, other: Keys) -> np.ndarray:
    """How many wanted values the other does not have."""
    return sum((query[slot] >= 0) & (query[slot] != other[slot]) for slot in SLOTS)


JUDGES: dict[str, Callable[[Keys, Keys], np.ndarray]] = {
    judge.__name__: judge for judge in (query_item, query_query, item_item, query_type, item_type, type_type)
}


def noisy(labels: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """The labels [N] as people give them: each replaced with probability `noise`, mostly by its neighbour.

    [2, 2, 0, 1], noise=0.25 → [2, 1, 0, 1]
    """
    edges = _REPLACEMENT.cumsum(axis=1)[labels]
    other = (rng.random(len(labels))[:, None] >= edges).sum(axis=1)
    return np.where(rng.random(len(labels)) < noise, other, labels).astype(np.int8)


class Recipe(NamedTuple):
    """A way to find pairs of a task that are likely of a label: the keys of both sides have the same value."""

    task: str
    label: int
    name: str
    share: float  # among the recipes of one label
    left: str  # key of the left entity
    right: str


def _alike(task: str, label: int, *rows: tuple[str, float, str]) -> list[Recipe]:
    return [Recipe(task, label, name, share, key, key) for name, share, key in rows]


RECIPES = [
    *_alike("query_item", 2, ("made from it", 4, "product"), ("same leaf", 3, "leaf")),
    *_alike("query_item", 2, ("same noun", 2, "noun"), ("same group", 1, "group")),
    *_alike("query_item", 1, ("same leaf", 4, "leaf"), ("same noun", 3, "noun"), ("same group", 2, "group")),
    *_alike("query_item", 0, ("same modifier", 2, "modifier"), ("same brand", 1, "brand")),
    *_alike("query_item", 0, ("same colour", 1, "colour"), ("same word", 2, "word"), ("same group", 3, "group")),
    Recipe("query_item", 0, "accessory of the noun", 3, "noun", "modifier"),
    *_alike("query_item", 0, ("same department", 1, "department"), ("any", 1, "any")),
    *_alike("query_query", 2, ("same want", 1, "want"), ("same place", 1, "place")),
    *_alike("query_query", 1, ("same leaf", 3, "leaf"), ("same noun", 2, "noun"), ("same group", 1, "group")),
    *_alike(
        "query_query",
        0,
        ("same group", 4, "group"),
        ("same modifier", 2, "modifier"),
        ("same word", 1, "word"),
    ),
    *_alike("query_query", 0, ("same noun", 2, "noun"), ("same colour", 1, "colour"), ("any", 1, "any")),
    *_alike("item_item", 2, ("same leaf", 1, "leaf")),
    *_alike("item_item", 1, ("same leaf", 3, "leaf"), ("same noun", 1, "noun"), ("same group", 2, "group")),
    *_alike(
        "item_item",
        0,
        ("same brand", 3, "brand"),
        ("same modifier", 2, "modifier"),
        ("same colour", 1, "colour"),
    ),
    *_alike("item_item", 0, ("same main value", 1, "main"), ("same word", 1, "word"), ("any", 1, "any")),
    Recipe("item_item", 0, "accessory of the noun", 3, "noun", "modifier"),
    *_alike("query_type", 2, ("same leaf", 4, "leaf"), ("same noun", 3, "noun"), ("same group", 1, "group")),
    *_alike("query_type", 1, ("same group", 3, "group"), ("same noun", 2, "noun"), ("same leaf", 1, "leaf")),
    *_alike("query_type", 0, ("same modifier", 3, "modifier"), ("same word", 2, "word"), ("any", 1, "any")),
    *_alike("query_type", 0, ("same department", 2, "department")),
    Recipe("query_type", 0, "accessory of the noun", 3, "noun", "modifier"),
    Recipe("query_type", 0, "noun of the accessory", 1, "modifier", "noun"),
    *_alike("item_type", 2, ("same leaf", 1, "leaf")),
    *_alike(
        "item_type",
        1,
        ("same group", 3, "group"),
        ("same noun", 3, "noun"),
        ("same department", 1, "department"),
    ),
    *_alike("item_type", 0, ("same modifier", 3, "modifier"), ("same word", 2, "word"), ("any", 1, "any")),
    *_alike("item_type", 0, ("same department", 2, "department")),
    Recipe("item_type", 0, "accessory of the noun", 3, "noun", "modifier"),
    Recipe("item_type", 0, "noun of the accessory", 3, "modifier", "noun"),
    *_alike("type_type", 2, ("same leaf", 2, "leaf")),
    Recipe("type_type", 2, "parent", 3, "parent", "node"),
    *_alike(
        "type_type",
        1,
        ("same group", 3, "group"),
        ("same department", 1, "department"),
        ("same noun", 2, "noun"),
    ),
    *_alike("type_type", 0, ("same modifier", 3, "modifier"), ("same word", 2, "word"), ("any", 1, "any")),
    *_alike("type_type", 0, ("same department", 2, "department")),
    Recipe("type_type", 0, "accessory of the noun", 3, "noun", "modifier"),
]


def draw_pairs(
    recipe: Recipe, left: Entities, right: Entities, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of up to `count` lefts and rights that share the key; some are not of the recipe's label."""
    keys = right.key[recipe.right]
    order = np.argsort(keys, kind="stable")
    chosen = rng.choice(np.flatnonzero(left.key[recipe.left] >= 0), count)
    wanted = left.key[recipe.left][chosen]
    first, last = (np.searchsorted(keys[order], wanted, side) for side in ("left", "right"))
    there = last > first
    span = (last - first)[there]
    return chosen[there], order[first[there] + rng.integers(0, span)]
