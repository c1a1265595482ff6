"""A seed → the pairs table of a generated shop, with all six tasks.

task="query_item", left="gray cornr couch", right="Velmora corner sofa, grey, 1.6 m", label=2,
left_id="q1834", right_id="i77", source="same leaf", label_clean=2

Labels and the choice of pairs come from relevance.shop.recipes; a share of the pairs stands, text for text, under a
second task, often with another label.
"""

import numpy as np
import pyarrow as pa

from relevance.errors import UserError
from relevance.shop.entities import Entities, build_entities
from relevance.shop.lexicon import world_index
from relevance.shop.recipes import JUDGES, LABEL_SHARES, RECIPES, SHARES, Recipe, draw_pairs, noisy
from relevance.tasks import TASKS

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
    """`rows` pairs: task, left, right, label, left_id, right_id, source, label_clean (before noise).

    The same arguments give the same table. Entities of the worlds "shop" and "pretraining" never share a
    text, whatever the seeds. Raises UserError for fewer than 100 rows or a noise outside [0, 0.5).
    """
    if rows < LEAST_ROWS:
        raise UserError(f"rows={rows}: the generator needs at least {LEAST_ROWS}")
    if not 0 <= noise < 0.5:
        raise UserError(f"noise={noise}: must be in [0, 0.5)")
    rng = np.random.default_rng([seed, world_index(world)])
    shop = build_entities(rows, seed, world_index(world))
    tables = _tables(rows, shop, rng)
    ids = {kind: _ids(kind, len(one.text), rng) for kind, one in shop.items()}
    table = pa.concat_tables([_table(one, ids) for one in tables.values()])
    table = table.take(rng.permutation(len(table)))
    return table.set_column(3, "label", pa.array(noisy(table["label_clean"].to_numpy(), noise, rng)))


def _tables(rows: int, shop: dict[str, Entities], rng: np.random.Generator) -> dict[str, _Rows]:
    """The rows of each task: first those whose twins are wanted, then the twins, then the rest."""
    sizes = {task: int(share * rows) for task, share in SHARES.items()}
    sizes["query_item"] += rows - sum(sizes.values())
    tables = {task: _Rows(task, shop) for task in ("type_type", "item_item", "item_type")}
    for task, one in tables.items():
        _fill(one, sizes[task], rng)
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


def _ids(kind: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """Opaque ids [N] in no order: "q1834"."""
    return np.array([f"{kind[0]}{number}" for number in rng.permutation(count)], dtype=object)


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
