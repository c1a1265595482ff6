"""Items side by side by a key they share, to draw from by their weights.

Shelf(keys=[17, 4, 17], weight=[1.0, 2.0, 3.0]).draw([17, 9], rng) → [2, -1]
"""

import numpy as np


class Shelf:
    """Knows which items have a key; those of no weight are never drawn."""

    def __init__(self, keys: np.ndarray, weight: np.ndarray):
        there = np.flatnonzero(weight > 0)
        self._order = there[np.argsort(keys[there], kind="stable")]
        self._keys = keys[self._order]
        self._edges = np.concatenate([[0.0], np.cumsum(weight[self._order])])

    def draw(self, wanted: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Positions [N] of an item for each wanted key [N], in proportion to weight; -1 where no item has the key."""
        first, last = (np.searchsorted(self._keys, wanted, side) for side in ("left", "right"))
        low, high = self._edges[first], self._edges[last]
        place = np.searchsorted(self._edges, low + rng.random(len(wanted)) * (high - low), "right") - 1
        found = (last > first) & (wanted >= 0)
        return np.where(found, self._order[np.clip(place, first, np.maximum(last - 1, first)) % len(self._order)], -1)
