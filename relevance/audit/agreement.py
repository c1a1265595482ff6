"""Judgements of the same pair → how far they agree beyond chance, with an interval.

query_item q1 | i4: label 2 by "ann", 1 by "bob", 2 by "eve" → couples (2, 1) and (1, 2)
couples (2, 2), (1, 1), (0, 2) → n=3, agreement 0.667, kappa 0.357 [0, 1]
"""

import numpy as np
import pyarrow.compute as pc

from relevance.audit.opened import Opened
from relevance.metrics import Scores
from relevance.tasks import LABELS

ANNOTATOR = "annotator"  # column
DRAWS = 1_000
INTERVAL = (2.5, 97.5)  # percentiles of the draws


def judged(pairs: Opened) -> dict[str, dict]:
    """Agreement by task (and of all) over rows of one task with the same left and right entity.

    They are taken in the order of the column `annotator`, else of the file: the first beside the second, the second
    beside the third, and so on.
    """
    order = _order(pairs)
    pair = pairs.keys.pair[order]
    order = order[np.argsort(pair, kind="stable")]
    pair, label = pairs.keys.pair[order], pairs.label[order]
    next_to = np.flatnonzero(pair[1:] == pair[:-1])
    parts = {name: next_to[rows[order[next_to]]] for name, rows in pairs.parts().items()}
    return {name: agreement(couples(pair[at], label[at], label[at + 1])) for name, at in parts.items()}


def ordered_by(pairs: Opened) -> str:
    """What puts the judgements of a pair in order."""
    return f"column {ANNOTATOR}" if ANNOTATOR in pairs.table.column_names else "rows in the file"


def _order(pairs: Opened) -> np.ndarray:
    """Places of the rows by annotator, those without one last."""
    if ANNOTATOR not in pairs.table.column_names:
        return np.arange(len(pairs.rows))
    by = pairs.table.select([ANNOTATOR])
    return pc.sort_indices(by, sort_keys=[(ANNOTATOR, "ascending")]).to_numpy()


def couples(group: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Counts [G, 3, 3] of the judgements `one` [n] beside `other` [n] by `group` [n], the pair they are about."""
    labels = len(LABELS)
    groups = np.unique(group, return_inverse=True)[1]
    cells = (groups * labels + one) * labels + other
    size = int(groups.max(initial=-1)) + 1
    return np.bincount(cells, minlength=size * labels * labels).reshape(size, labels, labels)


def agreement(counts: np.ndarray) -> dict[str, float | int | None]:
    """n couples of judgements, on how many pairs, the share that are equal, Cohen's kappa with quadratic weights
    (Cohen 1968) and its 95 % interval, of counts [G, 3, 3] by pair.

    The interval is the middle of 1,000 draws of the pairs with replacement, always the same draws. None where there
    is nothing to say: no couple, or one side with one label throughout, whose kappa is 0 whatever the other says.
    """
    whole = counts.sum(axis=0)
    n = int(whole.sum())
    several = min((whole.sum(axis=axis) > 0).sum() for axis in (0, 1)) > 1
    facts: dict[str, float | int | None] = {"n": n, "pairs": len(counts)}
    facts["agreement"] = float(np.trace(whole) / n) if n else None
    kappas = _kappas(np.concatenate([whole[None], _drawn(counts)])) if several else np.full(1, np.nan)
    known = kappas[1:][~np.isnan(kappas[1:])]
    low, high = np.percentile(known, INTERVAL).tolist() if len(known) and not np.isnan(kappas[0]) else (None, None)
    return facts | {"kappa": None if np.isnan(kappas[0]) else float(kappas[0]), "low": low, "high": high}


def _drawn(counts: np.ndarray) -> np.ndarray:
    """Sums [DRAWS, 3, 3] over as many pairs as there are, drawn with replacement: pairs that look alike are one."""
    shapes, pairs = np.unique(counts.reshape(len(counts), -1), axis=0, return_counts=True)
    drawn = np.random.default_rng(0).multinomial(len(counts), pairs / len(counts), DRAWS)
    return (drawn @ shapes).reshape(DRAWS, *counts.shape[1:])


def _kappas(confusions: np.ndarray) -> np.ndarray:
    """Of confusions [K, 3, 3] each [K], NaN where chance alone agrees fully."""
    return Scores(confusions).kappa
