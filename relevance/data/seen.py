"""Entities of rows → whether training holds them.

query_item q7 | i4 (test), query_query q7 | q9 (train) → left of the first: in its own task no, in any task yes
"""

import numpy as np

from relevance.data.keys import KINDS, LEFT_KIND, RIGHT_KIND, Keys
from relevance.tasks import TASK_NAMES


def entities(keys: Keys) -> tuple[np.ndarray, np.ndarray]:
    """One number for each entity, of the left and of the right sides [N].

    A query and an item are two entities even where they share an id.
    """
    kinds = len(KINDS)
    return keys.left * kinds + LEFT_KIND[keys.task], keys.right * kinds + RIGHT_KIND[keys.task]


def in_any_task(keys: Keys, training: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[N] and [N], whether the entity stands on either side of a row of `training`, a mask [N], of whatever task."""
    return _among(*entities(keys), training)


def in_task(keys: Keys, training: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same of training rows of the row's own task."""
    left, right = entities(keys)
    tasks = len(TASK_NAMES)
    return _among(left * tasks + keys.task, right * tasks + keys.task, training)


def _among(left: np.ndarray, right: np.ndarray, training: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    held = np.zeros(int(max(left.max(initial=0), right.max(initial=0))) + 1, bool)
    held[left[training]] = True
    held[right[training]] = True
    return held[left], held[right]
