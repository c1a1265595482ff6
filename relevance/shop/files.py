"""Sizes and a seed → the three files that a search team has, of a generated shop.

judgements  query="gray cornr couch", item_id="i77", label="Exact", annotator="a"
items       item_id="i77", title="Velmora corner couch, gray velvet, 1.6 m", description="Brand: Velmora. Colour: ..."
taxonomy    type="corner sofa", parent="seating"

A few broad queries have most of the judgements, and so have a few popular items.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from relevance.atomic_io import atomic_folder
from relevance.errors import UserError
from relevance.outputs import check_table
from relevance.shop.catalogue import SLOTS, Catalogue, Sizes, build_catalogue, world_index
from relevance.shop.commands import FILES, ShopOptions, check_options, most_judged
from relevance.shop.entities import GROUP, LEAF, NAVIGATION, NOUN, Entities, build_queries, entities_of
from relevance.shop.generate import RECIPES, noisy, query_item

_RECIPES = [recipe for recipe in RECIPES if recipe.task == "query_item"]
_LOOKED_FOR = (0.24, 0.36, 0.40)  # labels 0, 1, 2, of which the last are not always there
_LABEL, _RECIPE, _IRRELEVANT = range(3)  # look for a label, take what its recipes give, take hard negatives
_ROUNDS = ((_LABEL, 1.0), (_LABEL, 0.8), (_LABEL, 0.7), (_RECIPE, 0.7), (_IRRELEVANT, 0.7))  # and the power of fame
_TRIES = 4  # of each round; what is open then takes any item
_PLACES = {GROUP: "group", NOUN: "noun", LEAF: "leaf", NAVIGATION: "product"}  # what items of a scope share, in order
_BREADTH = 0.6  # a query's judgements grow with its items to this power
_NARROWER = 0.35  # and shrink by this for each value that it names
_NONE = 0.1  # where there are no such items
_SPREAD = 1.2  # of the logarithm of a query's judgements
_FAME = 3.0  # of the logarithm of an item's
_NEVER = 0.1  # share of the items that are never judged
_CARE = 6.0  # the larger, the more alike are the shares of labels from query to query


class Shelf:
    """Items side by side by a key they share, to draw from by their weights; those of no weight are never drawn."""

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
        known = (last > first) & (wanted >= 0)
        return np.where(known, self._order[np.clip(place, first, np.maximum(last - 1, first)) % len(self._order)], -1)


@dataclass(frozen=True)
class _Open:
    """Judgements not placed yet: their queries [N], and the labels [N] looked for."""

    query: np.ndarray
    label: np.ndarray

    def at(self, where: np.ndarray) -> "_Open":
        return _Open(self.query[where], self.label[where])


def budgets(queries: Entities, items: Entities, total: int, rng: np.random.Generator) -> np.ndarray:
    """How many judgements each query has [Q], `total` in sum: as many as its scope has items, more if they must."""
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
        weight = fame**power * (fame > 0)
        shelves = {key: Shelf(items.key[key], weight) for key in {recipe.right for recipe in _RECIPES}}
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
        recipes = [recipe for recipe in _RECIPES if recipe.label == label]
        fits = np.stack([(queries.key[recipe.left] >= 0) * recipe.share for recipe in recipes], axis=1).cumsum(axis=1)
        where = np.flatnonzero(todo.label == label)
        edges = fits[todo.query[where]]
        chosen = (rng.random(len(where))[:, None] * edges[:, -1:] >= edges).sum(axis=1)
        for number, recipe in enumerate(recipes):
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


GRADES = ("Irrelevant", "Partial", "Exact")  # of the labels 0, 1, 2: the words of WANDS
_WORLD = world_index("shop")
_SHARES = (0.01, 0.18, 0.09, 0.72)  # of queries: a group's name, a type's name, a title, anything else


@dataclass(frozen=True)
class Shop:
    judgements: pa.Table  # query, item_id, label, annotator
    items: pa.Table  # item_id, title, description, brand, product_type
    taxonomy: pa.Table  # type, parent
    clean: np.ndarray  # labels [len(judgements)] before noise


def build_shop(options: ShopOptions) -> Shop:
    """The three tables: the same for the same options. Raises UserError for sizes that no shop can have."""
    rng = np.random.default_rng([check_options(options).seed, _WORLD])
    catalogue, kinds = stocked(options)
    queries, items = _choose_queries(kinds["query"], options, rng), kinds["item"]
    ids = np.array([f"i{number}" for number in rng.permutation(options.items)], dtype=object)
    left, right = choose(queries, items, budgets(queries, items, options.judgements, rng), rng)
    again = rng.permutation(len(left))[: round(options.twice * len(left))]
    rows = np.sort(np.concatenate([np.arange(len(left)), again]))  # the second judgement under the first
    clean = judge(queries, items, left, right)[rows]
    judgements = {
        "query": pa.array(queries.text, pa.string()).take(pa.array(left[rows])),
        "item_id": pa.array(ids, pa.string()).take(pa.array(right[rows])),
        "label": pa.array(GRADES).take(pa.array(noisy(clean, options.noise, rng))),
        "annotator": pa.array(("a", "b")).take(pa.array((np.diff(rows, prepend=-1) == 0).astype(np.int8))),
    }
    return Shop(pa.table(judgements), _item_table(catalogue, ids), _taxonomy_table(catalogue), clean)


def stocked(options: ShopOptions) -> tuple[Catalogue, dict[str, Entities]]:
    """What the shop sells, of options.items items, and all its entities, of options.queries queries or more."""
    random = Random(f"{options.seed}/{_WORLD}")
    products = int(options.items * 0.84) + 8  # a few more than the items need: the titles of some are the same
    sizes = Sizes(leaves=options.leaves, products=products, brands=8 + products // 2_500, wants=options.queries)
    catalogue = build_catalogue(sizes, random, _WORLD)
    if len(catalogue.items) < options.items:
        most = f"types={options.types} have words for {len(catalogue.items):,} different titles"
        raise UserError(f"items={options.items}: {most}; ask for fewer items or for more types")
    catalogue = replace(catalogue, items=catalogue.items[: options.items])
    return catalogue, entities_of(catalogue, *build_queries(sizes, catalogue, random))


def _choose_queries(queries: Entities, options: ShopOptions, rng: np.random.Generator) -> Entities:
    """options.queries queries, of each kind its share where there are so many."""
    if len(queries.text) < options.queries:
        most = f"types={options.types} and items={options.items} have words for {len(queries.text):,}"
        raise UserError(f"queries={options.queries}: {most}; ask for fewer queries, or for more types or items")
    scope = queries.key["scope"]
    bare = np.all([queries.key[slot] < 0 for slot in SLOTS], axis=0)
    kind = np.select([bare & (scope == GROUP), bare, scope == NAVIGATION], [0, 1, 2], 3)
    turn = np.empty(len(kind))  # the queries of a kind take their turns in proportion to its share
    for number, share in enumerate(_SHARES):
        where = np.flatnonzero(kind == number)
        turn[where] = (rng.permutation(len(where)) + rng.random(len(where))) / share
    chosen = np.argsort(turn, kind="stable")[: options.queries]
    return Entities(queries.text[chosen], queries.at(chosen))


def _item_table(catalogue: Catalogue, ids: np.ndarray) -> pa.Table:
    products = [catalogue.products[item.product] for item in catalogue.items]
    columns = {
        "item_id": ids,
        "title": [item.title for item in catalogue.items],
        "description": [_description(product.values) for product in products],
        "brand": [product.values[SLOTS.index("brand")] for product in products],
        "product_type": [catalogue.leaves[product.leaf].names[0] for product in products],
    }
    return pa.table({name: pa.array(column, pa.string()) for name, column in columns.items()})


def _description(values: tuple[str, ...]) -> str:
    """What it is made of: "Brand: Velmora. Colour: grey. Size: 160 cm"."""
    return ". ".join(f"{slot.capitalize()}: {value}" for slot, value in zip(SLOTS, values, strict=True) if value)


def _taxonomy_table(catalogue: Catalogue) -> pa.Table:
    """Departments, whose parent is null, groups and leaves."""
    rows: list[tuple[str, str | None]] = [(name, None) for name in catalogue.departments]
    rows += [
        (name, catalogue.departments[department])
        for name, department in zip(catalogue.group_names, catalogue.group_department, strict=True)
    ]
    rows += [(leaf.names[0], catalogue.group_names[leaf.group]) for leaf in catalogue.leaves]
    types, parents = zip(*rows, strict=True)
    return pa.table({"type": pa.array(types, pa.string()), "parent": pa.array(parents, pa.string())})


def write_shop(shop: Shop, output: Path) -> None:
    """A folder of a parquet file for each table, in the place of the folder that stood there."""
    tables = dict(zip(FILES, (shop.judgements, shop.items, shop.taxonomy), strict=True))
    for name, table in tables.items():
        check_table(output / name, table.column_names.__eq__)
    with atomic_folder(output) as part:
        for name, table in tables.items():
            pq.write_table(table, part / name)


def describe_shop(shop: Shop) -> str:
    """What the files hold: rows, shares of labels, judgements of a query and of an item."""
    rows = shop.judgements
    pairs = rows.filter(pc.equal(rows["annotator"], "a"))
    per_query, per_item = (pc.value_counts(pairs[key]).field("counts").to_numpy() for key in ("query", "item_id"))
    grades = rows["label"].to_numpy()
    labels = ", ".join(f"{grade} {np.mean(grades == grade):.1%}" for grade in GRADES)
    wrong = np.mean(np.array(GRADES)[shop.clean] != grades)
    never = 1 - len(per_item) / len(shop.items)
    few, middle = np.mean(per_item <= 2), np.median(per_query)
    return "\n".join(
        [
            f"judgements  {len(rows):,} of {len(pairs):,} pairs: {labels}; {wrong:.1%} of them are wrong",
            f"queries     {len(per_query):,}, judged with {middle:.0f} items (median) to {per_query.max():,} (most)",
            f"items       {len(shop.items):,}: {never:.0%} never judged, {few:.0%} of the others for 1 or 2 queries",
            f"types       {len(shop.taxonomy):,}",
        ]
    )
