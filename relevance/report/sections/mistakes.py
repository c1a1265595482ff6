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
from relevance.pages.blocks import NONE, Block, Section, Table, count, percent, signed
from relevance.report.held_out import HeldOut
from relevance.report.matrix import Matrix, leaders
from relevance.report.panel import FEWEST as ENTITIES
from relevance.report.rows import Row
from relevance.report.sections import of_data
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
FIRST = 5  # of them on the open page
CUT = 120  # characters of a text
INTRODUCTION = (
    "Of each model family the row of the highest mean macro accuracy, its lowest finished seed; one that learnt "
    "nothing only where all rows of the family did."
)
SLICES = (
    "Slices of the test rows: accuracy in percent, its 95 % interval over left entities, and the difference to all "
    f"rows in percentage points; below {FEWEST} rows there is none. Overlap of words: those both texts have over those "
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
    has_source = "source" in table.column_names and table["source"].null_count < len(table)
    characters, overlap = measured(tested)
    return [
        *([_sources(table["source"])] if has_source else []),
        _lengths(characters),
        Slice("overlap of words", list(OVERLAPS), np.searchsorted(list(OVERLAPS.values()), overlap)),
        *(
            Slice(name, ["no", "yes"], table[column].to_numpy().astype(np.int64))
            for column, name in SEEN.items()
            if column in table.column_names
        ),
    ]


def measured(tested: HeldOut) -> tuple[np.ndarray, np.ndarray]:
    """Of both texts of each row the characters [N] and the share of words in common [N], see `jaccard`."""
    table = tested.columns((*TEXTS, *MEASURED))
    if TEXTS[0] not in table.column_names:
        return tuple(table[name].to_numpy() for name in MEASURED)
    left, right = (table[name] for name in TEXTS)
    return pc.add(pc.utf8_length(left), pc.utf8_length(right)).to_numpy(), jaccard(left, right)


def slices_table(slices: list[Slice], hit: np.ndarray, answered: np.ndarray, left: np.ndarray) -> Table:
    """Accuracy on every slice of the rows `answered` [N] bool, of which the cell was right on `hit` [N] bool.

    The interval is that of clusters of rows with one `left` entity [N], the difference that to the accuracy on all
    these rows, in percentage points. A slice without rows has no line, one of fewer than 20 no accuracy.
    """
    body = [["all", "", *_line(hit[answered], left[answered], np.nan)]]
    overall = hit[answered].mean()
    for part in slices:
        for code, value in enumerate(part.values):
            rows = answered & (part.codes == code)
            if rows.any():
                body.append([part.name, value, *_line(hit[rows], left[rows], overall)])
    return Table(HEADER, body, left=2)


def _line(hit: np.ndarray, left: np.ndarray, overall: float) -> list[str]:
    if len(hit) < FEWEST:
        return [count(len(hit)), NONE, NONE, NONE]
    low, high = clustered_interval(hit, left)
    apart = "" if np.isnan(overall) else signed(hit.mean() - overall)
    between = NONE if np.isnan(low) else f"{percent(low)}–{percent(high)}"
    return [count(len(hit)), percent(hit.mean()), between, apart]


def clustered_interval(hit: np.ndarray, left: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of a share of rows [M] that are alike where their `left` entity [M] is one; NaN of few.

    Variance as relevance.report.panel has it, Student's t with as many degrees of freedom as entities but one.
    """
    from scipy.special import stdtrit

    _, unit = np.unique(left, return_inverse=True)
    n = int(unit.max()) + 1
    if n < ENTITIES:
        return np.nan, np.nan
    influence = np.bincount(unit, hit - hit.mean()) / len(hit)
    half = stdtrit(n - 1, 0.975) * np.sqrt(n / (n - 1) * (influence**2).sum())
    return max(0.0, hit.mean() - half), min(1.0, hit.mean() + half)


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
    ends = [dict.fromkeys((part.min(), part.max())) if len(part) else {} for part in parts]
    return Slice("characters of both", ["–".join(f"{end:,}" for end in pair) or NONE for pair in ends], codes)


def jaccard(left: pa.ChunkedArray, right: pa.ChunkedArray) -> np.ndarray:
    r"""Words both texts have over words either has, 0 to 1 [N]; words are lower-cased runs of \w; 0 without words."""
    from sklearn.feature_extraction.text import CountVectorizer

    a, b, texts = numbered(left, right)
    words = CountVectorizer(binary=True, token_pattern=r"\w+", dtype=np.int32)
    try:
        counts = words.fit_transform(texts.to_pylist())
    except ValueError:  # no text has a word
        return np.zeros(len(a))
    shared = row_dot(counts, a, b)
    n = counts.getnnz(axis=1)
    return shared / np.maximum(n[a] + n[b] - shared, 1)


def mistakes_sections(tables: list[Matrix], texts: bool) -> list[Section]:
    """A few mistakes of each family's best row, and closed parts with more; none where no row knows every task.

    With `texts` the surest mistakes come with their two texts as they are, cut; without, by row id alone, and of what
    the pairs hold only the values of `source` are shown.
    """
    blocks: list[Block] = []
    parts: list[Section] = []
    for matrix in tables:
        if best := leaders(matrix):
            cut = slices(matrix.tested)
            for row in best:
                blocks += [f"{row.name}, seed {row.done[0].seed}:", *_surest(matrix.tested, row.done[0], texts, FIRST)]
                parts.append(_part(matrix.tested, row, of_data(matrix, tables, "Data {}."), cut, texts))
    return [Section("Mistakes", [INTRODUCTION, *blocks]), *parts] if parts else []


def _part(tested: HeldOut, row: Row, data: list[str], cut: list[Slice], texts: bool) -> Section:
    cell, scores = row.done[0], row.scores[0]
    answers = tested.answers(cell.files.test)
    confusion = [
        [f"{TASK_NAMES[task]} n={scores.n[task]:,}", word, *map(count, counts)]
        for task in np.flatnonzero(scores.n)
        for word, counts in zip(LABELS, scores.confusion[task], strict=True)
    ]
    header = ["task", "label", *(f"predicted {word}" for word in LABELS)]
    blocks: list[Block] = [
        *data,
        "Rows counted by label and by what was predicted:",
        Table(header, confusion, left=2),
        *_surest(tested, cell, texts, SUREST),
        *(SLICES, slices_table(cut, answers == tested.label, answers >= 0, tested.left)),
    ]
    return Section(f"Mistakes of {row.name}, seed {cell.seed}", blocks, deep=True, closed=True)


def _surest(tested: HeldOut, cell: CellRecord, texts: bool, most: int) -> list[Block]:
    """The most confident mistakes, of equal confidence by row id; none where there is no mistake."""
    table, at = tested.read(cell.files.test, [*predictions.PROBABILITIES, "predicted"])
    row, predicted = table["row"].to_numpy(), table["predicted"].to_numpy()
    wrong = np.flatnonzero(predicted != tested.label[at])
    if not len(wrong):
        return []
    confidence = predictions.probabilities(table)[wrong, predicted[wrong]]
    order = np.lexsort((row[wrong], -confidence))[:most]
    first = wrong[order]
    labels = (tested.label[at][first], predicted[first])
    words = [[TASK_NAMES[task] for task in tested.task[at][first]], *([LABELS[k] for k in of] for of in labels)]
    words += _texts(tested, row[first]) if texts else []
    numbers = [row[first].astype(str), [f"{p:.4f}" for p in confidence[order]]]
    header = ["task", "label", "predicted", *(TEXTS if texts else ()), "row", "confidence"]
    body = [[str(text) for text in line] for line in zip(*words, *numbers, strict=True)]
    return [
        f"The {len(first)} most confident of {count(len(wrong))} mistakes:",
        Table(header, body, left=len(words)),
    ]


def _texts(tested: HeldOut, row: np.ndarray) -> list[list[str]]:
    """The left and the right texts of these rows [2][M], cut."""
    table = pq.read_table(tested.path, columns=["row", *TEXTS], filters=pc.field("row").isin(row))
    table = table.take(pc.index_in(pa.array(row), table["row"].combine_chunks()))
    return [[text if len(text) <= CUT else text[: CUT - 1] + "…" for text in table[side].to_pylist()] for side in TEXTS]
