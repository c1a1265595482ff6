"""Test rows → slices of them by what is known of a pair, and how well a cell does on each.

| slice         | value         |   n | accuracy | 95 % interval | difference |
| all           |               | 402 |     87.1 |     83.5–90.0 |            |
| left seen ... | no            |  61 |     70.5 |     58.1–80.4 |      -16.6 |
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.lexical import numbered, row_dot
from relevance.report.document import Table
from relevance.report.evidence.held_out import HeldOut
from relevance.report.tables import NONE, count, percent

FEWEST = 20  # rows of a slice that has an accuracy
MOST = 12  # values of `source` with a line of their own
OVERLAPS = {"0": 0.0, "(0, 0.25]": 0.25, "(0.25, 0.5]": 0.5, "(0.5, 1]": 1.0}  # each with its upper end
TEXTS = ("left", "right")
MEASURED = ("characters", "overlap")  # of both texts, in a table that lacks the texts themselves
SEEN = {"left_seen": "left seen in training", "right_seen": "right seen in training"}
HEADER = ["slice", "value", "n", "accuracy", "95 % interval", "difference"]


@dataclass(frozen=True, eq=False)
class Slice:
    """The test rows divided by one thing."""

    name: str
    values: list[str]
    codes: np.ndarray  # [N] places in values


def slices(tested: HeldOut) -> list[Slice]:
    """By rule, length, overlap of words and what training has seen; a column that is absent or empty has none."""
    table = tested.columns(("source", *SEEN))
    known = table.column_names
    found = [_sources(table["source"])] if "source" in known and table["source"].null_count < len(table) else []
    characters, overlap = measured(tested)
    found += [_lengths(characters), _overlaps(overlap)]
    return found + [_seen(table[name], told) for name, told in SEEN.items() if name in known]


def measured(tested: HeldOut) -> tuple[np.ndarray, np.ndarray]:
    """Of both texts of each row the characters [N] and the share of words in common [N], see `jaccard`."""
    table = tested.columns((*TEXTS, *MEASURED))
    if TEXTS[0] not in table.column_names:
        return tuple(table[name].to_numpy() for name in MEASURED)
    left, right = (table[name] for name in TEXTS)
    return pc.add(pc.utf8_length(left), pc.utf8_length(right)).to_numpy(), jaccard(left, right)


def slices_table(found: list[Slice], hit: np.ndarray, asked: np.ndarray) -> Table:
    """Accuracy on every slice of the rows `asked` [N] bool, of which the cell was right on `hit` [N] bool.

    The interval is Wilson's (1927), the difference that to the accuracy on all these rows, in percentage points. A
    slice without rows has no line, one of fewer than 20 no accuracy.
    """
    hits, n = int((hit & asked).sum()), int(asked.sum())
    body = [["all", "", *_line(hits, n, np.nan)]]
    for one in found:
        counts = np.bincount(one.codes[asked], minlength=len(one.values))
        right = np.bincount(one.codes[asked & hit], minlength=len(one.values))
        body += [
            [one.name, value, *_line(int(k), int(m), hits / n)]
            for value, k, m in zip(one.values, right, counts, strict=True)
            if m
        ]
    return Table(HEADER, body, left=2)


def _line(hits: int, n: int, overall: float) -> list[str]:
    if n < FEWEST:
        return [count(n), NONE, NONE, NONE]
    from scipy.stats import binomtest

    low, high = binomtest(hits, n).proportion_ci(method="wilson")
    apart = "" if np.isnan(overall) else f"{round(100 * (hits / n - overall), 1) + 0.0:+.1f}"  # never "-0.0"
    return [count(n), percent(hits / n), f"{percent(low)}–{percent(high)}", apart]


def _sources(column: pa.ChunkedArray) -> Slice:
    """The rules, of most rows first; from the thirteenth on one line counts them."""
    encoded = column.cast(pa.string()).fill_null(NONE).combine_chunks().dictionary_encode()
    codes, names = encoded.indices.to_numpy(), encoded.dictionary.to_pylist()
    counts = np.bincount(codes, minlength=len(names))
    order = sorted(range(len(names)), key=lambda code: (-counts[code], names[code]))
    place = np.empty(len(names), np.int64)
    place[order] = np.minimum(np.arange(len(names)), MOST)
    others = [f"{len(names) - MOST} others"] if len(names) > MOST else []
    return Slice("source", [*(names[code] for code in order[:MOST]), *others], place[codes])


def _lengths(length: np.ndarray) -> Slice:
    """Quarters of the rows by the characters of both texts; equal lengths stay together."""
    codes = np.searchsorted(np.quantile(length, [0.25, 0.5, 0.75]), length)
    parts = [length[codes == code] for code in range(4)]
    values = [_span(part.min(), part.max()) if len(part) else NONE for part in parts]
    return Slice("characters of both", values, codes)


def _span(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def _overlaps(share: np.ndarray) -> Slice:
    codes = np.searchsorted(list(OVERLAPS.values()), share)
    return Slice("overlap of words", list(OVERLAPS), codes)


def _seen(column: pa.ChunkedArray, name: str) -> Slice:
    return Slice(name, ["no", "yes"], column.to_numpy().astype(np.int64))


def jaccard(left: pa.ChunkedArray, right: pa.ChunkedArray) -> np.ndarray:
    r"""Words both texts have over words either has, 0 to 1 [N]; words are lower-cased runs of \w; 0 without words."""
    from sklearn.feature_extraction.text import CountVectorizer

    a, b, texts = numbered(left, right)
    words = CountVectorizer(binary=True, token_pattern=r"\w+", dtype=np.int32)
    try:
        found = words.fit_transform(texts.to_pylist())
    except ValueError:  # no text has a word
        return np.zeros(len(a))
    shared = row_dot(found, a, b)
    n = found.getnnz(axis=1)
    return shared / np.maximum(n[a] + n[b] - shared, 1)
