"""Several models' answers to the same rows → one label a row: of the mean probability, or the majority's.

labels of three models for four rows   [2, 2, 0]  [0, 1, 2]  [0, 0, 2]  [1, 1, 1]
higher (the default)                       2          2          0          1
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

LABELS = 3
ABSTAINED = -2  # where the policy is to give no label; -1: a row that no member scored


class Vote(StrEnum):
    """How several models' answers become one."""

    mean = "mean"  # the label of the highest mean probability
    majority = "majority"  # the label that most of them give, as in the paper


class Ties(StrEnum):
    """What a row gets whose most frequent labels are equally frequent."""

    higher = "higher"  # the highest of them
    lower = "lower"  # type: ignore[assignment]  # stands over str.lower, which nobody calls of a policy
    median = "median"  # the middle of all votes, the lower of two middle ones
    best_validation = "best_validation"  # that of the member best on validation which voted for one of them
    mean_probability = "mean_probability"  # the one of the highest mean probability
    abstain = "abstain"  # none: counts as wrong


DEFAULT = Ties.higher


class Poll:
    """The votes of M members [M, N], counted."""

    def __init__(self, labels: np.ndarray) -> None:
        counts = np.stack([(labels == label).sum(axis=0, dtype=np.int32) for label in range(LABELS)])
        self.labels, self.leading = labels, counts == counts.max(axis=0)
        self.tied = np.flatnonzero(self.leading.sum(axis=0, dtype=np.int8) > 1)  # rows no label leads alone
        self.highest = np.where(self.leading[2], np.int8(2), self.leading[1].astype(np.int8))

    def settled(self, ties: Ties, p: np.ndarray, order: list[int]) -> np.ndarray:
        """The voted labels [N] int8.

        `p` [N, 3] are the members' mean probabilities, `order` the members by validation, the best first; each is
        looked at under its own policy only.
        """
        labels = self.highest.copy()
        if ties is not Ties.higher:
            at = self.tied
            labels[at] = _settled(self.labels[:, at], self.leading[:, at], ties, p[at], order)
        return labels


def _settled(labels: np.ndarray, leading: np.ndarray, ties: Ties, p: np.ndarray, order: list[int]) -> np.ndarray:
    match ties:
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
    return np.full(labels.shape[1], ABSTAINED)


@dataclass(frozen=True)
class Ballots:
    """How members make one label of a row, and what stands beside it; a tie under `majority` goes by `ties`."""

    vote: Vote = Vote.mean
    ties: Ties = DEFAULT

    def count(self, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities [M, N, 3] of M models → what the label follows from [N, 3] float32, labels [N] int8.

        Of `mean`: the mean probabilities, and the label of the highest; of `majority`: each label's share of the votes.
        """
        mean = probabilities.mean(axis=0, dtype=np.float64).astype(np.float32)
        if self.vote is Vote.mean:
            return mean, mean.argmax(axis=1).astype(np.int8)
        labels = probabilities.argmax(axis=2)
        return shares(labels), Poll(labels).settled(self.ties, mean, [])


BY_MEAN = Ballots()


def shares(labels: np.ndarray) -> np.ndarray:
    """The share of M members [M, N] that vote for each label [N, 3] float32."""
    return np.stack([(labels == label).mean(axis=0) for label in range(LABELS)], axis=1).astype(np.float32)
