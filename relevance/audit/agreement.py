"""Judgements of the same pair → how far they agree beyond chance, with an interval.

couples of judgements (2, 2), (1, 1), (0, 2) → n=3, agreement 0.667, kappa 0.357 [0, 1]
"""

from itertools import product

import numpy as np
import pyarrow as pa

from relevance.data.database import Database
from relevance.metrics import Scores
from relevance.tasks import LABELS

DRAWS = 1_000
INTERVAL = (2.5, 97.5)  # percentiles of the draws
CELLS = list(product(range(len(LABELS)), repeat=2))


def successive(rows: str, pair: str, order: str) -> str:
    """A query for the couples of successive judgements of a pair in the table `rows`."""
    judgements = f"SELECT *, lead(label) OVER (PARTITION BY {pair} ORDER BY {order}) AS other FROM {rows}"
    return f"SELECT * FROM ({judgements}) WHERE other IS NOT NULL"


def count_couples(database: Database, couples: str, by: str) -> tuple[pa.Table, np.ndarray]:
    """The groups [G] of the columns `by` in the query `couples`, and their counts [G, 3, 3] by `label` and `other`."""
    cells = ", ".join(f"count_if(label = {a} AND other = {b})::BIGINT AS c{a}{b}" for a, b in CELLS)
    table = database.table(f"SELECT {by}, {cells} FROM ({couples}) GROUP BY {by}")
    counts = np.stack([table[f"c{a}{b}"].to_numpy() for a, b in CELLS], axis=1)
    return table, counts.reshape(-1, len(LABELS), len(LABELS))


def agreement(counts: np.ndarray) -> dict[str, float | int | None]:
    """n couples on how many pairs, the share of equal ones, Cohen's kappa with quadratic weights and its 95 % interval.

    `counts` [G, 3, 3] are by pair; the interval is of draws of the pairs, always the same. None: no couple, or one
    side with one label throughout, whose kappa is 0 whatever the other holds.
    """
    whole = counts.sum(axis=0)
    n = int(whole.sum())
    several = min((whole.sum(axis=axis) > 0).sum() for axis in (0, 1)) > 1
    facts: dict[str, float | int | None] = {"n": n, "pairs": len(counts)}
    facts["agreement"] = float(np.trace(whole) / n) if n else None
    kappas = Scores(np.concatenate([whole[None], _draw(counts)])).kappa if several else np.full(1, np.nan)
    known = kappas[1:][~np.isnan(kappas[1:])]
    low, high = np.percentile(known, INTERVAL).tolist() if len(known) and not np.isnan(kappas[0]) else (None, None)
    return facts | {"kappa": None if np.isnan(kappas[0]) else float(kappas[0]), "low": low, "high": high}


def _draw(counts: np.ndarray) -> np.ndarray:
    """Sums [DRAWS, 3, 3] over as many pairs as there are, drawn with replacement: pairs that look alike are one."""
    shapes, pairs = np.unique(counts.reshape(len(counts), -1), axis=0, return_counts=True)
    drawn = np.random.default_rng(0).multinomial(len(counts), pairs / len(counts), DRAWS)
    return (drawn @ shapes).reshape(DRAWS, *counts.shape[1:])
