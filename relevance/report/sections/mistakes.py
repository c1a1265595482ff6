"""The best row of each model family → where its lowest seed is wrong: confusions, surest mistakes, slices.

| task       | label   | predicted  | row  | confidence |
| query_item | partial | irrelevant | 1834 |     0.9987 |

| slice         | value         |   n | accuracy | 95 % interval | difference |
| all           |               | 402 |     87.1 |     83.5–90.0 |            |
| left seen ... | no            |  61 |     70.5 |     58.1–80.4 |      -16.6 |
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from relevance import predictions
from relevance.data.entities import numbered
from relevance.data.floors import row_dot
from relevance.metrics import Scores
from relevance.pages.blocks import NONE, Block, Section, Table, count, percent
from relevance.report.matrix import Matrix, leaders
from relevance.report.rows import Row
from relevance.report.stats import HeldOut
from relevance.tasks import LABELS, TASK_NAMES
from relevance.tracking.records import CellRecord

FEWEST = 20  # rows of a slice that has an accuracy
MOST = 12  # values of `source` with a line of their own
OVERLAPS = {"0": 0.0, "(0, 0.25]": 0.25, "(0.25, 0.5]": 0.5, "(0.5, 1]": 1.0}  # each with its upper end
TEXTS = ("left", "right")
MEASURED = ("characters", "overlap")  # of both texts, in a table that lacks the texts themselves
SEEN = {"left_seen": "left seen in training", "right_seen": "right seen in training"}
HEADER = ["slice", "value", "n", "accuracy", "95 % interval", "difference"]
SUREST = 50  # mistakes that are listed
CUT = 120  # characters of a text
INTRODUCTION = (
    "Of each model family the row of the highest mean macro accuracy, its lowest finished seed; one that learnt "
    "nothing only where all rows of the family did."
)
SLICES = (
    "Slices of the test rows: accuracy in percent with its 95 % Wilson interval (1927), and the difference to all rows "
    f"in percentage points; below {FEWEST} rows there is none. Overlap of words: those both texts have over those "
    "either has."
)


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


@dataclass(frozen=True, eq=False)
class Mistakes:
    """The surest wrong answers, surest first, of equal confidence by row id."""

    row: np.ndarray  # [M] ids
    task: np.ndarray  # [M] places in TASK_NAMES
    label: np.ndarray  # [M]
    predicted: np.ndarray  # [M]
    confidence: np.ndarray  # [M] probability of the answer
    total: int  # how many wrong answers there are


def mistakes_sections(found: list[Matrix], texts: bool) -> list[Section]:
    """A part for each family of each matrix; no section where no row was tested on every task.

    With `texts` the surest mistakes come with their two texts as they are, cut; without, by row id alone, and of what
    the pairs hold only the values of `source` are shown.
    Raises UserError where a predictions file is of another table or no such file at all.
    """
    parts: list[Section] = []
    for matrix in found:
        if best := leaders(matrix):
            data: list[Block] = [f"Data {matrix.digest[:12]}."] if len(found) > 1 else []
            cut = slices(matrix.tested)
            parts += [_part(matrix.tested, row, data, cut, texts) for row in best]
    return [Section("Mistakes", [INTRODUCTION]), *parts] if parts else []


def surest(tested: HeldOut, cell: CellRecord) -> Mistakes:
    """The fifty most confident mistakes of a cell, or all where there are fewer."""
    path = cell.files.test
    table = predictions.read(path, ["row", *predictions.PROBABILITIES, "predicted"])
    row, predicted = table["row"].to_numpy(), table["predicted"].to_numpy()
    at = tested.places(row, path)
    task, label = tested.task[at], tested.label[at]
    wrong = np.flatnonzero(predicted != label)
    confidence = predictions.probabilities(table)[wrong, predicted[wrong]]
    order = np.lexsort((row[wrong], -confidence))[:SUREST]
    first = wrong[order]
    return Mistakes(row[first], task[first], label[first], predicted[first], confidence[order], len(wrong))


def _part(tested: HeldOut, row: Row, data: list[Block], cut: list[Slice], texts: bool) -> Section:
    cell, answers = row.done[0]
    blocks: list[Block] = [
        *data,
        "Rows counted by label and by what was predicted:",
        _confusion(tested.scores(answers)),
    ]
    mistakes = surest(tested, cell)
    if mistakes.total:
        blocks += [
            f"The {len(mistakes.row)} most confident of {count(mistakes.total)} mistakes:",
            _surest(tested, mistakes, texts),
        ]
    blocks += [SLICES, slices_table(cut, answers == tested.label, answers >= 0)]
    return Section(f"Mistakes of {row.name}, seed {cell.seed}", blocks, deep=True)


def _confusion(scores: Scores) -> Table:
    body = [
        [f"{TASK_NAMES[task]} n={scores.n[task]:,}", word, *map(count, counts)]
        for task in np.flatnonzero(scores.n)
        for word, counts in zip(LABELS, scores.confusion[task], strict=True)
    ]
    return Table(["task", "label", *(f"predicted {word}" for word in LABELS)], body, left=2)


def _surest(tested: HeldOut, found: Mistakes, texts: bool) -> Table:
    words = [(np.array(names)[codes]).tolist() for names, codes in _columns(found)]
    sides = ["left", "right"] if texts else []
    words += _texts(tested, found.row) if texts else []
    numbers = [found.row.astype(str).tolist(), [f"{confidence:.4f}" for confidence in found.confidence]]
    body = [list(line) for line in zip(*words, *numbers, strict=True)]
    return Table(["task", "label", "predicted", *sides, "row", "confidence"], body, left=3 + len(sides))


def _columns(found: Mistakes) -> list[tuple[tuple[str, ...], np.ndarray]]:
    return [(TASK_NAMES, found.task), (LABELS, found.label), (LABELS, found.predicted)]


def _texts(tested: HeldOut, row: np.ndarray) -> list[list[str]]:
    """The left and the right texts of these rows [2][M], cut."""
    table = pq.read_table(tested.path, columns=["row", "left", "right"], filters=pc.field("row").isin(row))
    table = table.take(pc.index_in(pa.array(row), table["row"].combine_chunks()))
    return [[_cut(text) for text in table[side].to_pylist()] for side in ("left", "right")]


def _cut(text: str) -> str:
    return text if len(text) <= CUT else text[: CUT - 1] + "…"
