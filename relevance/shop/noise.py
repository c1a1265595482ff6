"""Labels → labels as people give them: some replaced, mostly by the neighbour.

[2, 2, 0, 1], noise=0.25 → [2, 1, 0, 1]
"""

import numpy as np

# what takes the place of labels 0, 1, 2
_REPLACEMENT = np.array([[0.0, 0.8, 0.2], [0.5, 0.0, 0.5], [0.2, 0.8, 0.0]])


def noisy(labels: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """The labels [N], each replaced with probability `noise`, whatever the row."""
    edges = _REPLACEMENT.cumsum(axis=1)[labels]
    other = (rng.random(len(labels))[:, None] >= edges).sum(axis=1)
    return np.where(rng.random(len(labels)) < noise, other, labels).astype(np.int8)
