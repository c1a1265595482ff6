"""Queries and items of a shop → the pairs that were judged, no pair twice.

budgets(queries, items, 800_000, rng) → [211, 1, 6, ...]
choose(queries, items, budget, rng) → (queries [0, 0, 0, ...], items [4, 17, 88, ...])

A few broad queries have most of the judgements, and so have a few popular items. How a pair is found, and what label
it has, is settled by relevance.shop.recipes.
"""

from dataclasses import dataclass

import numpy as np

from relevance.shop.entities import Entities
from relevance.shop.lexicon import SLOTS
from relevance.shop.options import most_judged
from relevance.shop.queries import GROUP, LEAF, NAVIGATION, NOUN
from relevance.shop.recipes import RECIPES, query_item

_OWN = [recipe for recipe in RECIPES if recipe.task == "query_item"]
_LOOKED_FOR = (0.24, 0.36, 0.40)  # labels 0, 1, 2, of which the last are not always there
_LABEL, _RECIPE, _IRRELEVANT = range(3)  # look for a label, take what its recipes give, take hard negatives
_ROUNDS = ((_LABEL, 1.0), (_LABEL, 0.8), (_LABEL, 0.7), (_RECIPE, 0.7), (_IRRELEVANT, 0.7))  # and the power of fame
_TRIES = 4  # of each round; what is open then takes any item
_PLACES = {GROUP: "group", NOUN: "noun", LEAF: "leaf", NAVIGATION: "product"}  # what items of a scope share, in order
_BREADTH = 0.6  # a query's judgements grow with its items to this power
_NARROWER = 0.35  # and shrink by this for each value that it asks for
_NONE = 0.1  # where there are no such items
_SPREAD = 1.2  # of the logarithm of a query's judgements
_FAME = 3.0  # of the logarithm of an item's
_NEVER = 0.1  # share of the items that nobody is asked about
_CARE = 6.0  # the larger, the more alike are the shares of labels from query to query


class Shelf:
    """Items side by side by a key they share, to draw from by their weights; those of no weight are never drawn.

    Shelf(keys=[17, 4, 17], weight=[1.0, 2.0, 3.0]).draw([17, 9], rng) → [2, -1]
    """

    def __init__(self, keys: np.ndarray, weight: np.ndarray):
        there = np.flatnonzero(weight > 0)
        self._order = there[np.argsort(keys[there], kind="stable")]
        self._keys = keys[self._order]
        self._edges = np.concatenate([[0.0], np.cumsum(weight[self._order])])

    def draw(self, wanted: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Positions [N] of an item for each wanted key [N], in proportion to weight; -1 where no item has the key."""
        first, last = (np.searchsorted(self._keys, wanted, side) for side in ("left", "right"))
        low, high = self._edges[first], self._edges[last]
        place = np.searchsorted(self._edges, low + rng.random(len(wanted)) * (high - low), "right") - 1
        found = (last > first) & (wanted >= 0)
        return np.where(found, self._order[np.clip(place, first, np.maximum(last - 1, first)) % len(self._order)], -1)


@dataclass(frozen=True)
class _Open:
    """Judgements not placed yet: their queries [N], and the labels [N] looked for."""

    query: np.ndarray
    label: np.ndarray

    def at(self, where: np.ndarray) -> "_Open":
        return _Open(self.query[where], self.label[where])


def budgets(queries: Entities, items: Entities, total: int, rng: np.random.Generator) -> np.ndarray:
    """How many judgements each query has [Q]: 1 to a quarter of the items, in sum `total`.

    No more than there are items in the query's scope, unless the total asks for more.
    """
    scope, place = queries.key["scope"], queries.key["place"]
    sold = np.choose(scope, [np.bincount(items.key[key], minlength=place.max() + 1)[place] for key in _PLACES.values()])
    values = sum((queries.key[slot] >= 0) & (scope != NAVIGATION) for slot in SLOTS)
    weight = rng.lognormal(0, _SPREAD, len(scope)) * np.maximum(sold, _NONE) ** _BREADTH * _NARROWER**values
    most = most_judged(len(items.text))
    budget = _poured(np.ones(len(scope), dtype=np.int64), weight, np.clip(sold, 1, most), total)
    return _poured(budget, weight, np.full(len(scope), most), total)


def _poured(budget: np.ndarray, weight: np.ndarray, most: np.ndarray, total: int) -> np.ndarray:
    """The budgets [Q] raised by weight until their sum is `total`, or each is at its most."""
    while (left := total - budget.sum()) and (budget < most).any():
        free = weight * (budget < most)
        more = np.floor(left * free / free.sum()).astype(np.int64)
        if not more.any():
            more[np.argsort(-free, kind="stable")[:left]] = 1
        budget = np.minimum(budget + more, most)
    return budget


def choose(queries: Entities, items: Entities, budget: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Positions of queries [N] and items [N] of `budget.sum()` different pairs, those of a query side by side."""
    fame = rng.lognormal(0, _FAME, len(items.text)) * (rng.random(len(items.text)) >= _NEVER)
    query = np.repeat(np.arange(len(budget)), budget)
    todo, codes = _Open(query, _labels(query, rng)), np.empty(0, dtype=np.int64)
    for look, power in _ROUNDS:
        shelves = {key: Shelf(items.key[key], fame**power * (fame > 0)) for key in {recipe.right for recipe in _OWN}}
        todo = todo if look != _IRRELEVANT else _Open(todo.query, np.zeros_like(todo.label))
        for _ in range(_TRIES):
            item = _drawn(queries, shelves, todo, rng)
            good = np.flatnonzero(item >= 0)
            if look == _LABEL:
                good = good[judge(queries, items, todo.query[good], item[good]) == todo.label[good]]
            todo, codes = _placed(todo, codes, good, item, len(fame))
    anywhere = Shelf(items.key["any"], (fame > 0).astype(float))
    while len(todo.query):
        item = anywhere.draw(np.zeros(len(todo.query), int), rng)
        todo, codes = _placed(todo, codes, np.arange(len(item)), item, len(fame))
    return np.divmod(np.sort(codes), len(fame))


def judge(queries: Entities, items: Entities, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The rule's labels [N] of queries and items at these positions [N]."""
    return query_item(queries.at(left), items.at(right))


def _labels(query: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The labels to look for [N]; queries differ in their shares."""
    share = rng.gamma(np.array(_LOOKED_FOR) * _CARE, size=(query[-1] + 1, 3))
    edges = (share / share.sum(axis=1, keepdims=True)).cumsum(axis=1)
    return (rng.random(len(query))[:, None] >= edges[query, :2]).sum(axis=1)


def _drawn(queries: Entities, shelves: dict[str, Shelf], todo: _Open, rng: np.random.Generator) -> np.ndarray:
    """An item [N] for each open judgement by a recipe of its label that fits the query, -1 where that gives none."""
    item = np.full(len(todo.query), -1)
    for label in range(3):
        own = [recipe for recipe in _OWN if recipe.label == label]
        fits = np.stack([(queries.key[recipe.left] >= 0) * recipe.share for recipe in own], axis=1).cumsum(axis=1)
        where = np.flatnonzero(todo.label == label)
        edges = fits[todo.query[where]]
        chosen = (rng.random(len(where))[:, None] * edges[:, -1:] >= edges).sum(axis=1)
        for number, recipe in enumerate(own):
            here = where[chosen == number]
            item[here] = shelves[recipe.right].draw(queries.key[recipe.left][todo.query[here]], rng)
    return item


def _placed(todo: _Open, codes: np.ndarray, good: np.ndarray, item: np.ndarray, count: int) -> tuple[_Open, np.ndarray]:
    """What is open still, and the codes of all pairs, once those at `good` that are new have been placed."""
    new = todo.query[good] * count + item[good]
    first = np.unique(np.concatenate([codes, new]), return_index=True)[1]
    fresh = first[first >= len(codes)] - len(codes)
    still = np.ones(len(item), dtype=bool)
    still[good[fresh]] = False
    return todo.at(still), np.concatenate([codes, new[fresh]])
