"""How alike texts look or mean → hard negatives to draw from, and pairs whose label is doubtful.

mine=10: the 10 types nearest to "usb c cable"; those far from what it wants become label 0.
above=0.9: a pair of label 0 whose texts are that alike is dropped, for nobody has looked at it
"""

import numpy as np
import pyarrow as pa

from relevance.commands import say
from relevance.derive import vectors
from relevance.derive.database import Database
from relevance.derive.options import DeriveOptions
from relevance.lexical import numbered
from relevance.tasks import TASK_NAMES, TASKS

BLOCK = 100_000  # pairs compared at a time
MINED = ("query_query", "item_item", "query_type", "item_type", "type_type")


def mine(options: DeriveOptions, database: Database) -> None:
    """Add to `draw` the nearest right entities of each left one; of a kind at most similarity.pool take part."""
    pools = {}
    for kind in ("query", "item", "type"):
        query = f"SELECT n, folded FROM {kind} ORDER BY hash(n, $seed), n LIMIT $pool"
        pools[kind] = database.table(query, {"seed": options.seed, "pool": options.similarity.pool})
    texts = pa.chunked_array([chunk for pool in pools.values() for chunk in pool["folded"].chunks], pa.string())
    if not len(texts):
        return
    say(f"mining: {options.similarity.kind} vectors of {len(texts):,} texts")
    made = vectors.vectors(texts.to_pylist(), options.similarity)
    ends = np.cumsum([0, *(len(pool) for pool in pools.values())])
    space = {kind: made[start:end] for kind, start, end in zip(pools, ends, ends[1:], strict=False)}
    for name in MINED:
        left, right = TASKS[name].left, TASKS[name].right
        if len(pools[left]) and len(pools[right]):
            near = vectors.nearest(space[left], space[right], options.similarity.mine)
            lefts, rights = (pools[kind]["n"].to_numpy() for kind in (left, right))
            database.put("near", pa.table({"l": np.repeat(lefts, near.shape[1]), "r": rights[near.ravel()]}))
            database.append("draw", f"SELECT DISTINCT '{name}', l, r, true FROM near")


def filter_pairs(options: DeriveOptions, database: Database) -> None:
    """Drop from `pair` derived rows of label 0 as alike as similarity.above, of label 2 less alike than below."""
    asked = options.similarity
    if asked.above is None and asked.below is None:
        return
    parts = []
    for at, name in enumerate(TASK_NAMES):
        if name != "query_item":  # people judged these
            query = f"""SELECT task, lx, rx, label, a.folded AS left, b.folded AS right FROM pair
                JOIN {TASKS[name].left} a ON a.n = l JOIN {TASKS[name].right} b ON b.n = r
                WHERE task = {at} AND label <> 1 ORDER BY lx, rx"""
            parts.append(database.table(query))
    table = pa.concat_tables(parts)
    if not len(table):
        return
    close = _cosines(table, options)
    zero = table["label"].to_numpy() == 0
    bad = np.zeros(len(table), bool)
    if asked.above is not None:
        bad |= zero & (close >= asked.above)
    if asked.below is not None:
        bad |= ~zero & (close < asked.below)
    database.put("doubtful", table.select(["task", "lx", "rx"]).filter(pa.array(bad)))
    database.make("pair", "SELECT * FROM pair ANTI JOIN doubtful USING (task, lx, rx)")


def _cosines(table: pa.Table, options: DeriveOptions) -> np.ndarray:
    left, right, texts = numbered(table["left"], table["right"])
    say(f"filter: {options.similarity.kind} vectors of {len(texts):,} texts, {len(table):,} pairs")
    made = vectors.vectors(texts.to_pylist(), options.similarity)
    starts = range(0, len(table), BLOCK)
    return np.concatenate([vectors.alike(made, left[at : at + BLOCK], right[at : at + BLOCK]) for at in starts])
