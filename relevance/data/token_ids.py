"""Texts → their token ids, as transformers' tokenizer gives them, in flat arrays and without a Python loop over rows.

["usb c cable", "red lamp"] → Ragged(ids=[2713, 65, 994, 430, 1289], starts=[0, 3], lengths=[3, 2])

Of a large table each different text is tokenized once, and recognised by two hashes of 64 bits: the ids are in a file.
"""

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import pyarrow as pa

from relevance.atomic_io import with_filename
from relevance.data.entities import numbered

FEW = 256  # texts that are not worth a second thread
SLICE = 4_096  # texts that are encoded at a time: what Rust makes of one text takes kilobytes
KEYS = ("relevance first.", "relevance second")  # of SipHash, 16 bytes each

Item = TypeVar("Item")
Made = TypeVar("Made")


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


def encode_texts(tokenizer, texts: list[str]) -> list[list[int]]:
    # the words "[SEP]" in a title are text, not the end of it
    return tokenizer(
        texts, add_special_tokens=False, return_attention_mask=False, split_special_tokens=True, verbose=False
    )["input_ids"]


def ragged(tokenizer, texts: list[str]) -> Ragged:
    if len(texts) <= FEW or not _plain(tokenizer):
        return Ragged.of(encode_texts(tokenizer, texts) if texts else [])  # transformers fails over none
    encode_texts(tokenizer, texts[:1])  # sets in the backend: no padding, no truncation, special tokens are text

    def encoded(part: list[str]) -> list[Any]:
        return tokenizer.backend_tokenizer.encode_batch_fast(part, add_special_tokens=False)

    slices = (texts[start : start + SLICE] for start in range(0, len(texts), SLICE))
    parts = [Ragged.of([encoding.ids for encoding in part]) for part in ahead(encoded, slices)]
    lengths = np.concatenate([part.lengths for part in parts])
    return Ragged(np.concatenate([part.ids for part in parts]), np.cumsum(lengths) - lengths, lengths)


def _plain(tokenizer) -> bool:
    """Whether transformers hands texts to the Rust backend as they are: then its objects around each can be spared."""
    if not tokenizer.is_fast:
        return False
    from transformers import PreTrainedTokenizerFast

    names, kind = ("__call__", "_encode_plus"), type(tokenizer)
    return all(getattr(kind, name) is getattr(PreTrainedTokenizerFast, name) for name in names)


def ahead(make: Callable[[Item], Made], items: Iterable[Item]) -> Generator[Made, None, None]:
    """`make` of each item, in order, by a thread that is one item ahead; an error is raised in its item's place."""
    with ThreadPoolExecutor(1) as pool:
        current = None
        for item in items:
            following = pool.submit(make, item)
            if current is not None:
                yield current.result()
            current = following
        if current is not None:
            yield current.result()


class DistinctTexts:
    """The different texts met so far; their ids lie in a file at `path` until it is left."""

    def __init__(self, tokenizer, path: Path, dtype: type):
        self.tokenizer, self.file = tokenizer, Growing(path, dtype)
        self.known = np.empty((3, 0), np.uint64)  # of each text: first hash, ascending; second hash; its number
        self.lengths = np.empty(0, np.int64)  # by number, in the order the texts were met

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.file.close()
        self.file.path.unlink()

    def sides(self, left: pa.ChunkedArray, right: pa.ChunkedArray) -> tuple[Ragged, Ragged]:
        """The ids of each text of both columns [n]."""
        at_left, at_right, texts = numbered(left, right)
        numbers = self._numbers(texts)
        every = Ragged(self.file.view(), np.cumsum(self.lengths) - self.lengths, self.lengths)
        return every.take(numbers[at_left]), every.take(numbers[at_right])

    def _numbers(self, texts: pa.StringArray) -> np.ndarray:
        """The number [U] of each of these different texts; new ones are tokenized."""
        from pandas.util import hash_array

        values = texts.to_numpy(zero_copy_only=False)
        hashes = np.stack([hash_array(values, hash_key=key, categorize=False) for key in KEYS])
        at = np.searchsorted(self.known[0], hashes[0])
        met = at < self.known.shape[1]
        met[met] = (self.known[:2, at[met]] == hashes[:, met]).all(axis=0)
        numbers = np.empty(len(values), np.uint64)
        numbers[met] = self.known[2, at[met]]
        # of two new texts with one hash, the later one is tokenized each time it is met
        numbers[~met] = len(self.lengths) + np.arange(np.count_nonzero(~met))
        new = np.vstack([hashes, numbers])[:, ~met]
        new = new[:, np.argsort(new[0], kind="stable")]
        self.known = np.insert(self.known, np.searchsorted(self.known[0], new[0], side="right"), new, axis=1)
        made = ragged(self.tokenizer, values[~met].tolist())
        self.file.append(made.ids)
        self.lengths = np.concatenate([self.lengths, made.lengths])
        return numbers.astype(np.int64)


class Growing:
    """A flat array in a .npy file; once it is left, the file is the one that numpy.save would have written."""

    def __init__(self, path: Path, dtype: type):
        self.path, self.dtype, self.size = path, np.dtype(dtype), 0
        self.file = path.open("wb")
        self._write_header()
        self.start = self.file.tell()

    def append(self, values: np.ndarray) -> None:
        with with_filename(self.path):
            self.file.write(np.ascontiguousarray(values, self.dtype).data)
        self.size += len(values)

    def view(self) -> np.ndarray:
        """What it holds so far, memory-mapped."""
        with with_filename(self.path):
            self.file.flush()
        if not self.size:
            return np.empty(0, self.dtype)  # nothing cannot be mapped
        return np.memmap(self.path, self.dtype, "r", self.start, (self.size,))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self.file, with_filename(self.path):
            self.file.seek(0)
            self._write_header()  # numpy leaves room in it for any length

    def _write_header(self) -> None:
        header = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": (self.size,)}
        np.lib.format.write_array_header_1_0(self.file, header)
