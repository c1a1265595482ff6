"""A seed → the pairs table of a generated shop, with all six tasks: the recipes that find pairs, the judges of labels.

Recipe("query_item", 0, "accessory of the noun", 3, "noun", "modifier"): queries whose noun is the item's modifier,
kept where the judge of the task says 0. A judge takes keys of the left and of the right entities [N] each → labels [N]:

query_item  2 all wants met · 1 type fits and a want is not met, or sibling type with all wants met · 0 else;
            a title typed as a query wants that product: 2 another listing of it · 1 its type · 0 else
query_query 2 same want · 1 broader, narrower, or one value changed · 0 else, siblings too
item_item   2 same type and same main attribute · 1 same type, or sibling type · 0 else
query_type  2 the wanted type · 1 above it, below it or beside it · 0 else; of a title 1 its type, 0 else
item_type   2 own type · 1 above or beside it · 0 else
type_type   2 same type, parent and child · 1 beside it, or two levels above · 0 else

The same two texts so get labels that differ by task: "corner sofa" and its parent are 2 as types, 1 as query and type.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from relevance.errors import UserError
from relevance.shop.catalogue import SLOTS, world_index
from relevance.shop.entities import GROUP, NAVIGATION, NOUN, Entities, Keys, build_entities
from relevance.tasks import TASKS

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


def _grade(relevant: np.ndarray, partial: np.ndarray) -> np.ndarray:
    return np.select([relevant, partial], [2, 1], 0).astype(np.int8)


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
    """The labels [N] as people give them: each replaced with probability `noise`, mostly by its neighbour."""
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


_NAMES = {  # of keys that both sides share, or of the left and the right one; of others "same leaf" and the like
    "any": "any",
    "main": "same main value",
    "product": "made from it",
    "noun modifier": "accessory of the noun",
    "modifier noun": "noun of the accessory",
    "parent node": "parent",
}
_KEYS: dict[tuple[str, int], dict[str, int]] = {  # of a task and a label, with their shares
    ("query_item", 2): {"product": 4, "leaf": 3, "noun": 2, "group": 1},
    ("query_item", 1): {"leaf": 4, "noun": 3, "group": 2},
    ("query_item", 0): {
        "modifier": 2, "brand": 1, "colour": 1, "word": 2, "group": 3, "noun modifier": 3, "department": 1, "any": 1
    },
    ("query_query", 2): {"want": 1, "place": 1},
    ("query_query", 1): {"leaf": 3, "noun": 2, "group": 1},
    ("query_query", 0): {"group": 4, "modifier": 2, "word": 1, "noun": 2, "colour": 1, "any": 1},
    ("item_item", 2): {"leaf": 1},
    ("item_item", 1): {"leaf": 3, "noun": 1, "group": 2},
    ("item_item", 0): {"brand": 3, "modifier": 2, "colour": 1, "main": 1, "word": 1, "any": 1, "noun modifier": 3},
    ("query_type", 2): {"leaf": 4, "noun": 3, "group": 1},
    ("query_type", 1): {"group": 3, "noun": 2, "leaf": 1},
    ("query_type", 0): {"modifier": 3, "word": 2, "any": 1, "department": 2, "noun modifier": 3, "modifier noun": 1},
    ("item_type", 2): {"leaf": 1},
    ("item_type", 1): {"group": 3, "noun": 3, "department": 1},
    ("item_type", 0): {"modifier": 3, "word": 2, "any": 1, "department": 2, "noun modifier": 3, "modifier noun": 3},
    ("type_type", 2): {"leaf": 2, "parent node": 3},
    ("type_type", 1): {"group": 3, "department": 1, "noun": 2},
    ("type_type", 0): {"modifier": 3, "word": 2, "any": 1, "department": 2, "noun modifier": 3},
}  # fmt: skip
RECIPES = [
    Recipe(task, label, _NAMES.get(keys, f"same {keys}"), share, keys.split()[0], keys.split()[-1])
    for (task, label), shares in _KEYS.items()
    for keys, share in shares.items()
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


LEAST_ROWS = 100
_ROUNDS = 6
# task the pair is taken from → task it is repeated in, the share of the latter's rows it may fill
_TWINS = (
    ("type_type", "query_type", 0.12),
    ("type_type", "query_query", 0.14),
    ("item_item", "query_item", 0.07),
    ("item_type", "query_type", 0.16),
)


class _Rows:
    """The pairs of one task so far; knows the pairs it holds, also mirrored where the task is symmetric."""

    def __init__(self, task: str, world: dict[str, Entities]):
        self.task, self.left, self.right = task, world[TASKS[task].left], world[TASKS[task].right]
        self.pairs = np.empty((0, 2), dtype=np.int64)
        self.labels = np.empty(0, dtype=np.int8)
        self.sources = np.empty(0, dtype=object)

    def add(self, left: np.ndarray, right: np.ndarray, source: str, most: int, label: int | None = None) -> int:
        """Append up to `most` new pairs (of this label, if given); how many were."""
        labels = self.judge(left, right)
        keep = self.left.key["text"][left] != self.right.key["text"][right]
        if label is not None:
            keep &= labels == label
        new = np.stack([left[keep], right[keep]], axis=1)
        codes = np.concatenate([self._codes(self.pairs), self._codes(new)])
        first = np.unique(codes, return_index=True)[1]
        fresh = np.sort(first[first >= len(self.pairs)] - len(self.pairs))[: max(0, most)]
        self.pairs = np.concatenate([self.pairs, new[fresh]])
        self.labels = np.concatenate([self.labels, labels[keep][fresh]])
        self.sources = np.concatenate([self.sources, np.full(len(fresh), source, dtype=object)])
        return len(fresh)

    def judge(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """The rule's labels [N] of pairs at these positions [N]."""
        return JUDGES[self.task](self.left.at(left), self.right.at(right))

    def _codes(self, pairs: np.ndarray) -> np.ndarray:
        low, high = (pairs.min(1), pairs.max(1)) if TASKS[self.task].symmetric else (pairs[:, 0], pairs[:, 1])
        return low * (1 << 32) + high


def generate_pairs(rows: int, seed: int, noise: float, world: str = "shop") -> pa.Table:
    """`rows` pairs, label_clean before noise; UserError below 100 rows or for a noise outside [0, 0.5)."""
    if rows < LEAST_ROWS:
        raise UserError(f"rows={rows}: the generator needs at least {LEAST_ROWS}")
    if not 0 <= noise < 0.5:
        raise UserError(f"noise={noise}: must be in [0, 0.5)")
    rng = np.random.default_rng([seed, world_index(world)])
    shop = build_entities(rows, seed, world_index(world))
    tables = _tables(rows, shop, rng)
    ids = {  # opaque, in no order
        kind: np.array([f"{kind[0]}{number}" for number in rng.permutation(len(entities.text))], dtype=object)
        for kind, entities in shop.items()
    }
    table = pa.concat_tables([_table(rows, ids) for rows in tables.values()])
    table = table.take(rng.permutation(len(table)))
    return table.set_column(3, "label", pa.array(noisy(table["label_clean"].to_numpy(), noise, rng)))


def _tables(rows: int, shop: dict[str, Entities], rng: np.random.Generator) -> dict[str, _Rows]:
    """The rows of each task: first those whose twins are wanted, then the twins, then the rest."""
    sizes = {task: int(share * rows) for task, share in SHARES.items()}
    sizes["query_item"] += rows - sum(sizes.values())
    tables = {task: _Rows(task, shop) for task in ("type_type", "item_item", "item_type")}
    for task, table in tables.items():
        _fill(table, sizes[task], rng)
    tables |= {task: _Rows(task, shop) for task in ("query_type", "query_query", "query_item")}
    for origin, task, share in _TWINS:
        _repeat(tables[origin], tables[task], int(share * sizes[task]), rng)
    for task in ("query_type", "query_query", "query_item"):
        _fill(tables[task], sizes[task], rng)
    return tables


def _repeat(origin: _Rows, other: _Rows, count: int, rng: np.random.Generator) -> None:
    """Put up to `count` pairs of one task, by their texts, under another that has both texts."""
    place = []
    for side, entity, target in ((0, origin.left, other.left), (1, origin.right, other.right)):
        numbers = entity.key["text"][origin.pairs[:, side]]
        position = np.full(max(entity.key["text"].max(), target.key["text"].max()) + 1, -1)
        position[target.key["text"]] = np.arange(len(target.text))
        place.append(position[numbers])
    both = rng.permutation(np.flatnonzero((place[0] >= 0) & (place[1] >= 0)))
    other.add(place[0][both], place[1][both], f"twin of {origin.task}", count)


def _fill(table: _Rows, size: int, rng: np.random.Generator) -> None:
    """Draw by the recipes until each label has its share, then by any recipe until the table is full."""
    recipes = [recipe for recipe in RECIPES if recipe.task == table.task]
    for label, share in enumerate(LABEL_SHARES[table.task]):
        wanted = int(share * size) - int((table.labels == label).sum())
        chosen = [recipe for recipe in recipes if recipe.label == label]
        total = sum(recipe.share for recipe in chosen)
        for recipe in chosen:
            _draw(table, recipe, int(wanted * recipe.share / total), rng)
    while len(table.pairs) < size:
        for recipe in recipes:
            _draw(table, recipe, min(size - len(table.pairs), size // len(recipes) + 1), rng)


def _draw(table: _Rows, recipe: Recipe, wanted: int, rng: np.random.Generator) -> None:
    for _ in range(_ROUNDS):
        if wanted <= 0:
            return
        left, right = draw_pairs(recipe, table.left, table.right, 2 * wanted + 32, rng)
        wanted -= table.add(left, right, recipe.name, wanted, recipe.label)


def _table(rows: _Rows, ids: dict[str, np.ndarray]) -> pa.Table:
    left, right = rows.pairs.T
    task = TASKS[rows.task]
    return pa.table(
        {
            "task": pa.array([rows.task] * len(left)),
            "left": pa.array(rows.left.text[left], pa.string()),
            "right": pa.array(rows.right.text[right], pa.string()),
            "label": pa.array(rows.labels),
            "left_id": pa.array(ids[task.left][left], pa.string()),
            "right_id": pa.array(ids[task.right][right], pa.string()),
            "source": pa.array(rows.sources, pa.string()),
            "label_clean": pa.array(rows.labels),
        }
    )


def describe_pairs(table: pa.Table) -> str:
    """Rows per task and label, the shares with a twin under a second task or label, the noise."""
    frame = table.select(["task", "left", "right", "label", "label_clean"]).to_pandas()
    pairs = frame.groupby(["left", "right"], sort=False)
    frame["twin"] = pairs["task"].transform("nunique") > 1
    frame["conflict"] = frame["twin"] & (pairs["label_clean"].transform("nunique") > 1)
    lines = [f"{'task':<12}{'rows':>9}{'0':>8}{'1':>8}{'2':>8}{'twin':>8}{'conflict':>10}"]
    for task, rows in (*frame.groupby("task"), ("all", frame)):
        labels = rows["label"].value_counts(normalize=True)
        shares = "".join(f"{labels.get(label, 0):>8.1%}" for label in range(3))
        lines.append(f"{task:<12}{len(rows):>9}{shares}{rows['twin'].mean():>8.1%}{rows['conflict'].mean():>10.1%}")
    noise = (frame["label"] != frame["label_clean"]).mean()
    return "\n".join([*lines, f"label noise: {noise:.2%} of the rows"])
