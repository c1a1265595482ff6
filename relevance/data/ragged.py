"""Rows of unequal length in flat arrays, without a Python loop over rows.

rows [[5, 6], [7]] → ids [5, 6, 7], starts [0, 2], lengths [2, 1]
"""

from dataclasses import dataclass
from itertools import chain

import numpy as np


@dataclass(frozen=True)
class Ragged:
    """Row i is ids[starts[i] : starts[i] + lengths[i]]; rows may share ids."""

    ids: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of(cls, rows: list[list[int]]) -> "Ragged":
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        ids = np.fromiter(chain.from_iterable(rows), np.int32, int(lengths.sum()))
        return cls(ids, np.cumsum(lengths) - lengths, lengths)

    @classmethod
    def constant(cls, ids: list[int], n: int) -> "Ragged":
        """The same row n times."""
        return cls.of([ids]).take(np.zeros(n, np.int64))

    def take(self, index: np.ndarray) -> "Ragged":
        return Ragged(self.ids, self.starts[index], self.lengths[index])

    def shorten(self, lengths: np.ndarray) -> "Ragged":
        """The first lengths[i] ids of each row."""
        return Ragged(self.ids, self.starts, lengths)


def joined(parts: list[Ragged]) -> Ragged:
    """The rows of all parts, as `Ragged.of` gives them, one part behind the other."""
    lengths = np.concatenate([part.lengths for part in parts])
    return Ragged(np.concatenate([part.ids for part in parts]), np.cumsum(lengths) - lengths, lengths)


def interleave(parts: list[Ragged]) -> np.ndarray:
    """Flat ids of rows that hold row i of every part, one behind the other."""
    lengths = np.sum([part.lengths for part in parts], axis=0)
    out = np.empty(int(lengths.sum()), np.int32)
    at = np.cumsum(lengths) - lengths
    for part in parts:
        first = np.cumsum(part.lengths) - part.lengths
        within = np.arange(int(part.lengths.sum())) - np.repeat(first, part.lengths)
        out[np.repeat(at, part.lengths) + within] = part.ids[np.repeat(part.starts, part.lengths) + within]
        at = at + part.lengths
    return out
