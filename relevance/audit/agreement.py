"""Two judgements of each pair → how far they agree beyond chance, with an interval.

judged (2, 2), (1, 1), (0, 2) → n=3, agreement 0.667, kappa 0.357 [0, 1]
"""

import numpy as np

from relevance.metrics import Scores
from relevance.tasks import LABELS

DRAWS = 1_000
LEVEL = (2.5, 97.5)


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
    told: dict[str, float | int | None] = {"n": n, "pairs": len(counts)}
    told["agreement"] = float(np.trace(whole) / n) if n else None
    kappas = _kappas(np.concatenate([whole[None], _drawn(counts)])) if several else np.full(1, np.nan)
    known = kappas[1:][~np.isnan(kappas[1:])]
    low, high = np.percentile(known, LEVEL).tolist() if len(known) and not np.isnan(kappas[0]) else (None, None)
    return told | {"kappa": None if np.isnan(kappas[0]) else float(kappas[0]), "low": low, "high": high}


def _drawn(counts: np.ndarray) -> np.ndarray:
    """Sums [DRAWS, 3, 3] over as many pairs as there are, drawn with replacement: pairs that look alike are one."""
    shapes, pairs = np.unique(counts.reshape(len(counts), -1), axis=0, return_counts=True)
    drawn = np.random.default_rng(0).multinomial(len(counts), pairs / len(counts), DRAWS)
    return (drawn @ shapes).reshape(DRAWS, *counts.shape[1:])


def _kappas(confusions: np.ndarray) -> np.ndarray:
    """Of confusions [K, 3, 3] each [K], NaN where chance alone agrees fully."""
    return Scores(confusions).kappa
