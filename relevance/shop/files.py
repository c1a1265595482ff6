"""Sizes and a seed → the three files that a search team has, of a generated shop.

judgements  query="gray cornr couch", item_id="i77", label="Exact", annotator="a"
items       item_id="i77", title="Velmora corner couch, gray velvet, 1.6 m", description="Brand: Velmora. Colour: ...",
            brand="Velmora", product_type="corner sofa"
taxonomy    type="corner sofa", parent="seating"
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
from relevance.shop.catalogue import Catalogue, Sizes, build_catalogue
from relevance.shop.entities import Entities, entities_of
from relevance.shop.judgements import budgets, choose, judge
from relevance.shop.lexicon import SLOTS, world_index
from relevance.shop.options import FILES, ShopOptions, check_options
from relevance.shop.queries import GROUP, NAVIGATION, build_queries
from relevance.shop.recipes import noisy

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
    queries, items = _asked(kinds["query"], options, rng), kinds["item"]
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
    """What the shop sells, of so many items as asked, and all its entities, of more queries than asked."""
    random = Random(f"{options.seed}/{_WORLD}")
    products = int(options.items * 0.84) + 8  # a few more than the items need: the titles of some are the same
    sizes = Sizes(leaves=options.leaves, products=products, brands=8 + products // 2_500, wants=options.queries)
    catalogue = build_catalogue(sizes, random, _WORLD)
    if len(catalogue.items) < options.items:
        most = f"types={options.types} have words for {len(catalogue.items):,} different titles"
        raise UserError(f"items={options.items}: {most}; ask for fewer items or for more types")
    catalogue = replace(catalogue, items=catalogue.items[: options.items])
    return catalogue, entities_of(catalogue, *build_queries(sizes, catalogue, random))


def _asked(queries: Entities, options: ShopOptions, rng: np.random.Generator) -> Entities:
    """So many queries as asked, of each kind its share where there are so many."""
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
    """A row for each item, in the catalogue's order: item_id, title, description, brand, product_type."""
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
    with atomic_folder(output) as part:
        for name, table in zip(FILES, (shop.judgements, shop.items, shop.taxonomy), strict=True):
            pq.write_table(table, part / name)


def describe_shop(shop: Shop) -> str:
    """What the files hold: rows, shares of labels, judgements of a query and of an item."""
    rows = shop.judgements
    pairs = rows.filter(pc.equal(rows["annotator"], "a"))
    asked, judged_for = (pc.value_counts(pairs[key]).field("counts").to_numpy() for key in ("query", "item_id"))
    given = rows["label"].to_numpy()
    labels = ", ".join(f"{grade} {np.mean(given == grade):.1%}" for grade in GRADES)
    wrong = np.mean(np.array(GRADES)[shop.clean] != given)
    never = 1 - len(judged_for) / len(shop.items)
    few = np.mean(judged_for <= 2)
    return "\n".join(
        [
            f"judgements  {len(rows):,} of {len(pairs):,} pairs: {labels}; {wrong:.1%} of them are wrong",
            f"queries     {len(asked):,}, judged with {np.median(asked):.0f} items (median) to {asked.max():,} (most)",
            f"items       {len(shop.items):,}: {never:.0%} never judged, {few:.0%} of the others for 1 or 2 queries",
            f"types       {len(shop.taxonomy):,}",
        ]
    )
