"""Sizes and a seed → the three files that a search team has, of a generated shop.

judgements  query="gray cornr couch", item_id="i77", label="Exact", annotator="a"
items       item_id="i77", title="Velmora corner couch, gray velvet, 1.6 m", description="Brand: Velmora. Colour: ...",
            brand="Velmora", product_type="corner sofa"
taxonomy    type="corner sofa", parent="seating"

The choice of the judged pairs is relevance.shop.judgements's, their labels are relevance.shop.recipes'.

The words of `generate` and `shop` → their files, and what they hold on the screen.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from relevance.atomic_io import atomic_file, atomic_folder
from relevance.checks import validate_data
from relevance.cli import parse
from relevance.config import DataConfig
from relevance.errors import UserError
from relevance.shop.catalogue import Catalogue, Sizes, build_catalogue, item_table, taxonomy_table
from relevance.shop.entities import Entities, entities_of
from relevance.shop.judgements import budgets, choose, judge
from relevance.shop.lexicon import SLOTS, noisy, world_index
from relevance.shop.options import FILES, ShopOptions, check_options, place
from relevance.shop.queries import GROUP, NAVIGATION, build_queries

GRADES = ("Irrelevant", "Partial", "Exact")  # of the labels 0, 1, 2: the words of WANDS
_WORLD = world_index("shop")
_KINDS = (0.01, 0.18, 0.09, 0.72)  # shares of queries: a group's name, a type's name, a title, anything else


@dataclass(frozen=True)
class Shop:
    judgements: pa.Table  # query, item_id, label, annotator
    items: pa.Table  # item_id, title, description, brand, product_type
    taxonomy: pa.Table  # type, parent
    clean: np.ndarray  # labels [len(judgements)] before noise


def write_shop(shop: Shop, output: Path) -> None:
    """A folder of a parquet file for each table, in the place of the folder that stood there."""
    with atomic_folder(output) as part:
        for name, table in zip(FILES, (shop.judgements, shop.items, shop.taxonomy), strict=True):
            pq.write_table(table, part / name)


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
    return Shop(pa.table(judgements), item_table(catalogue, ids), taxonomy_table(catalogue), clean)


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
    for number, share in enumerate(_KINDS):
        where = np.flatnonzero(kind == number)
        turn[where] = (rng.permutation(len(where)) + rng.random(len(where))) / share
    chosen = np.argsort(turn, kind="stable")[: options.queries]
    return Entities(queries.text[chosen], queries.at(chosen))


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


@dataclass
class GenerateOptions:
    output: str | None = None
    data: DataConfig = field(default_factory=DataConfig)


def generate(words: list[str]) -> None:
    """Write a generated table and print what it is; raises UserError for an output that is no parquet."""
    options = parse(GenerateOptions, words)
    validate_data(options.data)
    output = Path(options.output or "")
    if output.suffix != ".parquet":
        raise UserError(f"output={options.output}: give the file to write, output=FILE.parquet")
    import pyarrow.parquet as pq

    from relevance.shop.generate import describe_pairs, generate_pairs

    table = generate_pairs(options.data.rows, options.data.seed, options.data.noise)
    with atomic_file(output) as part:
        pq.write_table(table, part)
    print(f"{output}: {len(table):,} pairs\n\n{describe_pairs(table)}")


def shop(words: list[str]) -> None:
    """Write the three files of a generated shop and print what they hold."""
    options = check_options(parse(ShopOptions, words))
    output = place(options)

    built = build_shop(options)
    write_shop(built, output)
    print(f"{output}\n\n{describe_shop(built)}")
