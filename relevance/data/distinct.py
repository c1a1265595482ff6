"""Texts, a part of a table at a time → their token ids, each different text tokenized once.

left ["usb", "lamp"], right ["red lamp", "usb"] → numbers [0, 1], [2, 0] of the different texts met so far, hence ids

Texts are known again by two hashes of 64 bits, and their ids lie in a file: 40 bytes of each stay in memory.
"""

from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from relevance.data.encoding import ragged
from relevance.data.growing import Growing
from relevance.data.ragged import Ragged

KEYS = ("relevance first.", "relevance second")  # of SipHash, 16 bytes each


class Distinct:
    """The different texts met so far; their ids lie in a file at `path` until it is left."""

    def __init__(self, tokenizer, path: Path, dtype: type):
        self.tokenizer, self.file = tokenizer, Growing(path, dtype)
        self.hashes = np.empty(0, np.uint64)  # ascending
        self.second = np.empty(0, np.uint64)  # hash of the same text
        self.number = np.empty(0, np.int64)  # of the same text, in the order they were met
        self.lengths = np.empty(0, np.int64)  # by number

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.file.close()
        self.file.path.unlink()

    def sides(self, left: pa.ChunkedArray, right: pa.ChunkedArray) -> tuple[Ragged, Ragged]:
        """The ids of each text of both columns [n]."""
        both = pa.chunked_array([*left.chunks, *right.chunks], pa.string()).combine_chunks().dictionary_encode()
        numbers = self._numbers(both.dictionary)[both.indices.to_numpy()]
        every = Ragged(self.file.view(), np.cumsum(self.lengths) - self.lengths, self.lengths)
        return every.take(numbers[: len(left)]), every.take(numbers[len(left) :])

    def _numbers(self, texts: pa.StringArray) -> np.ndarray:
        """The number [U] of each of these different texts."""
        from pandas.util import hash_array

        values = texts.to_numpy(zero_copy_only=False)
        hashes, second = (hash_array(values, hash_key=key, categorize=False) for key in KEYS)
        at = np.searchsorted(self.hashes, hashes)
        known = at < len(self.hashes)
        known[known] = (self.hashes[at[known]] == hashes[known]) & (self.second[at[known]] == second[known])
        numbers = np.empty(len(values), np.int64)
        numbers[known] = self.number[at[known]]
        # of two new texts with one hash, the later one is tokenized each time it is met
        new = np.flatnonzero(~known)
        numbers[new] = len(self.lengths) + np.arange(len(new))
        self._remember(hashes[new], second[new], numbers[new])
        self._tokenize(values[new].tolist())
        return numbers

    def _remember(self, hashes: np.ndarray, second: np.ndarray, numbers: np.ndarray) -> None:
        order = np.argsort(hashes, kind="stable")
        at = np.searchsorted(self.hashes, hashes[order], side="right")
        self.second = np.insert(self.second, at, second[order])
        self.number = np.insert(self.number, at, numbers[order])
        self.hashes = np.insert(self.hashes, at, hashes[order])

    def _tokenize(self, texts: list[str]) -> None:
        made = ragged(self.tokenizer, texts)
        self.file.append(made.ids)
        self.lengths = np.concatenate([self.lengths, made.lengths])
