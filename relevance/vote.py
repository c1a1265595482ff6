"""Several models' labels for the same rows → one label a row: the majority's, and what to do where there is none.

labels of three models for four rows   [2, 2, 0]  [0, 1, 2]  [0, 0, 2]  [1, 1, 1]
higher (the default)                       2          2          0          1
"""

from enum import StrEnum

import numpy as np

LABELS = 3
ABSTAINED = -2  # where the policy is to give no label; -1 is a row nobody was asked


class Ties(StrEnum):
    """What a row gets whose most frequent labels are equally frequent."""

    higher = "higher"  # the highest of them
    lower = "lower"
    median = "median"  # the middle of all votes, the lower of two middle ones
    best_validation = "best_validation"  # that of the member best on validation which voted for one of them
    mean_probability = "mean_probability"  # the one of the highest mean probability
    abstain = "abstain"  # none: counts as wrong


DEFAULT = Ties.higher
TIE = "a tie goes to the higher label"


def counted(labels: np.ndarray) -> np.ndarray:
    """Votes of M members [M, N] → how many each label has [3, N]."""
    return np.stack([(labels == label).sum(axis=0, dtype=np.int16) for label in range(LABELS)])


def tied(counts: np.ndarray) -> np.ndarray:
    """Rows [N] on which no label has more votes than every other, of counts [3, N]."""
    return (counts == counts.max(axis=0)).sum(axis=0) > 1


def majority(labels: np.ndarray, ties: Ties, p: np.ndarray, order: list[int]) -> np.ndarray:
    """The voted labels [N] int8 of M members' labels [M, N].

    `p` [N, 3] are their mean probabilities, `order` the members by validation, the best first; each is looked at
    under its own policy only.
    """
    counts = counted(labels)
    leading = counts == counts.max(axis=0)
    found = (LABELS - 1 - leading[::-1].argmax(axis=0)).astype(np.int8)  # argmax takes the first of equals
    open_ = np.flatnonzero(leading.sum(axis=0) > 1)
    found[open_] = _settled(labels[:, open_], leading[:, open_], ties, p[open_], order)
    return found


def _settled(labels: np.ndarray, leading: np.ndarray, ties: Ties, p: np.ndarray, order: list[int]) -> np.ndarray:
    """Labels of the tied rows alone."""
    match ties:
        case Ties.higher:
            return LABELS - 1 - leading[::-1].argmax(axis=0)
        case Ties.lower:
            return leading.argmax(axis=0)
        case Ties.median:
            return np.sort(labels, axis=0)[(len(labels) - 1) // 2]
        case Ties.best_validation:
            votes = labels[order]
            for_leader = np.take_along_axis(leading, votes.astype(np.intp), axis=0)
            return np.take_along_axis(votes, for_leader.argmax(axis=0)[None], axis=0)[0]
        case Ties.mean_probability:
            return np.where(leading.T, p, -1).argmax(axis=1)
        case Ties.abstain:
            return np.full(labels.shape[1], ABSTAINED)


def vote(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities [M, N, 3] of M models → mean [N, 3] float32, voted labels [N] int8 with ties by DEFAULT."""
    mean = probabilities.mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean, majority(probabilities.argmax(axis=2), DEFAULT, mean, [])
