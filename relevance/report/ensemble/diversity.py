"""How members differ: their labels [M, N] → disagreement, kappa, Q statistic, oracle accuracy.

Two members that are right on 80 % each may be wrong on the same rows (nothing to gain) or on others (much to gain).
Definitions after Kuncheva and Whitaker (2003, doi:10.1023/A:1022859003006); means over pairs of members.
"""

from dataclasses import dataclass

import numpy as np

CHUNK = 65_536  # rows counted at a time


@dataclass(frozen=True)
class Diversity:
    """Means over all pairs of members, but for the oracle."""

    disagreement: float  # share of rows with two different labels
    kappa: float  # Cohen's, of their labels
    q: float  # Yule's Q of being right: 1 right on the same rows, 0 independent, below 0 right on different rows
    oracle: float  # share of rows on which any member is right


def diversity(labels: np.ndarray, truth: np.ndarray) -> Diversity:
    """Of M members' labels [M, N] against the true ones [N]."""
    members, n = labels.shape
    pairs = np.triu_indices(members, 1)
    same, both = _tables(labels, truth)
    shares = same[pairs] / n  # [P, 3, 3]
    agree = np.trace(shares, axis1=1, axis2=2)
    chance = (shares.sum(axis=2) * shares.sum(axis=1)).sum(axis=1)
    kappa = np.divide(agree - chance, 1 - chance, out=np.ones_like(agree), where=chance < 1)
    right = np.diagonal(both)
    one, a, b = both[pairs], right[pairs[0]], right[pairs[1]]
    agreed, apart = one * (n - a - b + one), (a - one) * (b - one)
    q = np.divide(agreed - apart, agreed + apart, out=np.zeros(len(one)), where=agreed + apart > 0)
    oracle = (labels == truth).any(axis=0).mean()
    return Diversity(float(1 - agree.mean()), float(kappa.mean()), float(q.mean()), float(oracle))


def disagreement(labels: np.ndarray) -> np.ndarray:
    """Share of the pairs of members that differ on each row [N]."""
    members = len(labels)
    counts = np.stack([(labels == label).sum(axis=0) for label in range(3)])
    agreeing = (counts * (counts - 1)).sum(axis=0)
    return 1 - agreeing / (members * (members - 1))


def _tables(labels: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each pair of members: rows by both labels [M, M, 3, 3], and rows both are right on [M, M]."""
    members, n = labels.shape
    same, both = np.zeros((members * 3, members * 3)), np.zeros((members, members))
    for start in range(0, n, CHUNK):
        part, label = labels[:, start : start + CHUNK], truth[start : start + CHUNK]
        given = (part[:, None] == np.arange(3)[None, :, None]).reshape(members * 3, -1).astype(np.float32)
        right = (part == label).astype(np.float32)
        same += given @ given.T
        both += right @ right.T
    return same.reshape(members, 3, members, 3).transpose(0, 2, 1, 3), both
