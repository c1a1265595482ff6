"""The best row of each model family → where its lowest seed is wrong: confusions, surest mistakes, slices.

| task       | label   | predicted  | row  | confidence |
| query_item | partial | irrelevant | 1834 |     0.9987 |
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from relevance import predictions
from relevance.records import CellRecord
from relevance.report.document import Block, Section, Table
from relevance.report.evidence.held_out import HeldOut
from relevance.report.leaders import leaders
from relevance.report.matrix import Matrix
from relevance.report.row import Row
from relevance.report.slices import FEWEST, Slice, slices, slices_table
from relevance.report.tables import count
from relevance.scores import Scores
from relevance.tasks import LABELS, TASK_NAMES

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
            data = [f"Data {matrix.digest[:12]}."] if len(found) > 1 else []
            cut = slices(matrix.tested)
            parts += [_part(matrix.tested, row, data, cut, texts) for row in best]
    return [Section("Mistakes", [INTRODUCTION]), *parts] if parts else []


def surest(tested: HeldOut, cell: CellRecord) -> Mistakes:
    """The fifty most confident mistakes of a cell, or all where there are fewer."""
    path = cell.folder / "test.parquet"
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
