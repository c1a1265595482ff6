"""Sizes and a seed → the three files that a search team has, of a generated shop.

judgements  query="gray cornr couch", item_id="i77", label="Exact", annotator="a"
items       item_id="i77", title="Velmora corner couch, gray velvet, 1.6 m", description="Brand: Velmora. Colour: ...",
            brand="Velmora", product_type="corner sofa"
taxonomy    type="corner sofa", parent="seating"

The choice of the judged pairs is relevance.shop.judged's, their labels are relevance.shop.rules'.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from relevance import whole
from relevance.errors import UserError
from relevance.shop import catalogue as catalogues
from relevance.shop import entities, judged, stock
from relevance.shop import queries as searches
from relevance.shop.catalogue import Catalogue
from relevance.shop.entities import Entities
from relevance.shop.lexicon import SLOTS, world_index
from relevance.shop.noise import noisy
from relevance.shop.options import FILES, ShopOptions, checked
from relevance.shop.queries import GROUP, NAVIGATION
from relevance.shop.sizes import Sizes

GRADES = ("Irrelevant", "Partial", "Exact")  # of the labels 0, 1, 2: the words of WANDS
_WORLD = world_index("shop")
_KINDS = (0.01, 0.18, 0.09, 0.72)  # shares of queries: a group's name, a type's name, a title, anything else


@dataclass(frozen=True)
class Shop:
    judgements: pa.Table  # query, item_id, label, annotator
    items: pa.Table  # item_id, title, description, brand, product_type
    taxonomy: pa.Table  # type, parent
    clean: np.ndarray  # labels [len(judgements)] before noise


def write(shop: Shop, output: Path) -> None:
    """A folder of a parquet file for each table, in the place of the folder that stood there."""
    with whole.folder(output) as part:
        for name, table in zip(FILES, (shop.judgements, shop.items, shop.taxonomy), strict=True):
            pq.write_table(table, part / name)


def build(options: ShopOptions) -> Shop:
    """The three tables: the same for the same options. Raises UserError for sizes that no shop can have."""
    rng = np.random.default_rng([checked(options).seed, _WORLD])
    catalogue, kinds = stocked(options)
    queries, items = _asked(kinds["query"], options, rng), kinds["item"]
    ids = np.array([f"i{number}" for number in rng.permutation(options.items)], dtype=object)
    left, right = judged.choose(queries, items, judged.budgets(queries, items, options.judgements, rng), rng)
    again = rng.permutation(len(left))[: round(options.twice * len(left))]
    rows = np.sort(np.concatenate([np.arange(len(left)), again]))  # the second judgement under the first
    clean = judged.judge(queries, items, left, right)[rows]
    judgements = {
        "query": pa.array(queries.text, pa.string()).take(pa.array(left[rows])),
        "item_id": pa.array(ids, pa.string()).take(pa.array(right[rows])),
        "label": pa.array(GRADES).take(pa.array(noisy(clean, options.noise, rng))),
        "annotator": pa.array(("a", "b")).take(pa.array((np.diff(rows, prepend=-1) == 0).astype(np.int8))),
    }
    return Shop(pa.table(judgements), stock.items(catalogue, ids), stock.taxonomy(catalogue), clean)


def stocked(options: ShopOptions) -> tuple[Catalogue, dict[str, Entities]]:
    """What the shop sells, of so many items as asked, and all its entities, of more queries than asked."""
    random = Random(f"{options.seed}/{_WORLD}")
    products = int(options.items * 0.84) + 8  # a few more than the items need: the titles of some are the same
    sizes = Sizes(leaves=options.leaves, products=products, brands=8 + products // 2_500, wants=options.queries)
    catalogue = catalogues.build(sizes, random, _WORLD)
    if len(catalogue.items) < options.items:
        most = f"types={options.types} have words for {len(catalogue.items):,} different titles"
        raise UserError(f"items={options.items}: {most}; ask for fewer items or for more types")
    catalogue = replace(catalogue, items=catalogue.items[: options.items])
    return catalogue, entities.of(catalogue, *searches.build(sizes, catalogue, random))


def _asked(queries: Entities, options: ShopOptions, rng: np.random.Generator) -> Entities:
    """So many queries as asked, of each kind its share where there are so many."""
    if len(queries.text) < options.queries:
        most = f"types={options.types} and items={options.items} have words for {len(queries.text):,}"
        raise UserError(f"queries={options.queries}: {most}; ask for fewer queries, or for more types or items")
    scope = queries.key["scope"]
    bare = np.all([queries.key[slot] < 0 for slot in SLOTS], axis=0)
    kind = np.select([bare & (scope == GROUP), bare, scope == NAVIGATION], [0, 1, 2], 3)
    turn = np.empty(len(kind))  # the queries of a kind take their turns in proportion to its share
    for number, share in enumerate(_KINDS):
        where = np.flatnonzero(kind == number)
        turn[where] = (rng.permutation(len(where)) + rng.random(len(where))) / share
    chosen = np.argsort(turn, kind="stable")[: options.queries]
    return Entities(queries.text[chosen], queries.at(chosen))


def describe(shop: Shop) -> str:
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
