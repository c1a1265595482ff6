"""How the rows of a task are found: a recipe names a label and a key that both sides share.

Recipe("query_item", 0, "accessory of the noun", 3, "noun", "modifier"): queries whose noun is the item's
modifier, kept where the judge of the task says 0.

Shared words so stand behind every label, and synonyms and misspellings behind label 2. `share` weighs the
recipes of one label; SHARES holds the tasks, LABEL_SHARES their labels.
"""

from typing import NamedTuple

import numpy as np

from relevance.shop.entities import Entities


class Recipe(NamedTuple):
    task: str
    label: int
    name: str
    share: float
    left: str
    right: str


SHARES = {
    "query_item": 0.40,
    "item_item": 0.18,
    "item_type": 0.18,
    "query_type": 0.14,
    "query_query": 0.06,
    "type_type": 0.04,
}
LABEL_SHARES = {
    "query_item": (0.34, 0.34, 0.32),
    "item_item": (0.36, 0.37, 0.27),
    "item_type": (0.36, 0.36, 0.28),
    "query_type": (0.34, 0.36, 0.30),
    "query_query": (0.38, 0.34, 0.28),
    "type_type": (0.38, 0.34, 0.28),
}


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


def draw(
    recipe: Recipe, left: Entities, right: Entities, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of up to `count` lefts and rights that share the key; some are not of the recipe's label."""
    keys = right.key[recipe.right]
    order = np.argsort(keys, kind="stable")
    chosen = rng.choice(np.flatnonzero(left.key[recipe.left] >= 0), count)
    wanted = left.key[recipe.left][chosen]
    first, last = (np.searchsorted(keys[order], wanted, side) for side in ("left", "right"))
    found = last > first
    span = (last - first)[found]
    return chosen[found], order[first[found] + rng.integers(0, span)]
