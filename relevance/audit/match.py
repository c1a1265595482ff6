"""Rows → which of them hold the same pair, in either order.

query_query q1 | q2 and query_query q2 | q1 → one pair of entities; query_item "sofa" | "bed" and type_type "bed" |
"sofa" → one pair of texts
"""

from dataclasses import dataclass

import numpy as np

from relevance.data import seen
from relevance.data.keys import Keys, together
from relevance.data.repeats import differs
from relevance.tasks import TASKS

SYMMETRIC = np.array([task.symmetric for task in TASKS.values()])


@dataclass(frozen=True)
class Match:
    """Numbers [N], equal exactly where the pairs are."""

    entities: np.ndarray  # of kinds too, so that pairs of two tasks never match
    task_texts: np.ndarray  # both texts and the task; in either order where its sides are of one kind
    texts: np.ndarray  # both texts, whatever the task
    turned: np.ndarray  # bool, whether the left entity has the higher number: mirrors of one another differ in it


def of(keys: Keys) -> Match:
    """The pairs of rows with these keys; in a task of two kinds no pair has a mirror."""
    left, right = seen.entities(keys)
    low, high = _ordered(keys.left_text, keys.right_text)
    own = (np.where(SYMMETRIC[keys.task], *sides) for sides in ((low, keys.left_text), (high, keys.right_text)))
    entities = _group(together(*_ordered(left, right)))
    return Match(entities, _group(together(keys.task, *own)), _group(together(low, high)), left > right)


def _ordered(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.minimum(left, right), np.maximum(left, right)


def _group(numbers: np.ndarray) -> np.ndarray:
    """The same from 0 on without gaps."""
    return np.unique(numbers, return_inverse=True)[1]


def split_up(group: np.ndarray, values: np.ndarray) -> np.ndarray:
    """[N] bool, whether the rows of the row's group [N], numbered without gaps, hold several of the values [N]."""
    return differs(values, group)


def among(group: np.ndarray, training: np.ndarray) -> np.ndarray:
    """[N] bool, whether a row of `training`, a mask [N], belongs to the row's group [N]."""
    held = np.zeros(int(group.max(initial=0)) + 1, bool)
    held[group[training]] = True
    return held[group]
