"""Taught cells beside the vote of their teachers and the same cells without one: what a small model keeps of a vote.

ce mhp joint | taught | 3 | 81.2 [79.9 to 82.5] | +1.1 [+0.2, +2.0] | -1.8 [-2.9, -0.7] | 450
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from relevance import predictions
from relevance.cell_id import CellFolder
from relevance.errors import UserError
from relevance.pages.blocks import NONE, Block, Section, Table, count
from relevance.ranking import expected_grade
from relevance.report.evidence import Effect, Evidence
from relevance.report.matrix import Matrix, whole
from relevance.report.measures import ACCURACY, Measured
from relevance.report.panel import Contrast, Panel, Term, effects, means
from relevance.report.rows import Row
from relevance.report.sections import decided_text, seeds
from relevance.report.sections.tables import mean_text
from relevance.report.verdict import settled
from relevance.vote import BY_MEAN

TITLE = "Taught cells and their teachers"
SAYS = (
    "A taught cell learns from labels and from the mean probabilities of its teachers, whose vote stands beside it, as "
    "does the same cell without a teacher. Macro accuracy with 95 % intervals, differences in points; bold: decided, "
    "after Holm's correction. The vote is what it is: its intervals know no other training of the teachers. It takes "
    "the time of all its members."
)
OPTIONS = ("train.teacher", "train.teacher_weight", "train.teacher_temperature", "train.unlabelled")
HEADER = ["row", "who", "seeds", "macro", "minus plain", "minus the vote", "rows/s scored"]
TAUGHT, VOTE, PLAIN = "taught", "vote", "plain"


Lookup = dict[tuple[str, str], Effect]  # by row, and by who or by two of them


@dataclass(frozen=True, eq=False)
class Taught:
    """A row of taught cells, and where it, the vote and the same cells without a teacher stand in the panel."""

    row: Row
    plain: Row | None
    vote: int | None

    @property
    def sides(self) -> dict[str, tuple[int, ...]]:
        """The places of those that are there."""
        plain = self.plain.places if self.plain else ()
        places = {TAUGHT: self.row.places, PLAIN: plain, VOTE: () if self.vote is None else (self.vote,)}
        return {who: at for who, at in places.items() if at}


def taught_section(evidence: Evidence) -> list[Section]:
    """A closed section; none where no cell that was tested on every task has a teacher."""
    taught, votes, gone = _taught(evidence.matrix)
    if not taught:
        return []
    told = _effects(evidence.matrix.panel(ACCURACY, votes), taught)
    body = [line for each in taught for line in _lines(each, told)]
    blocks: list[Block] = [SAYS, Table(HEADER, body, left=2)]
    return [Section(TITLE, [*blocks, *([gone] if gone else [])], closed=True)]


def teachers(matrix: Matrix) -> list[str]:
    """The folders of all cells that teach one of a matrix, each once."""
    return list(dict.fromkeys(name for row in matrix.finished for name in row.config.train.teacher))


def _taught(matrix: Matrix) -> tuple[list[Taught], list[Measured], list[str]]:
    """The rows of taught cells, the votes of their teachers, and why some have none."""
    rows, votes, gone = whole(matrix), dict[tuple[str, ...], Measured](), list[str]()
    taught = []
    for row in (row for row in rows if row.config.train.teacher):
        names = tuple(row.config.train.teacher)
        try:
            votes[names] = votes[names] if names in votes else _vote(matrix, row, names)
        except UserError as error:
            gone.append(f"{row.name}: no vote of its teachers ({error})")
        same = (row.labels[:3], row.variant_but(*OPTIONS))
        plain = [other for other in rows if (other.labels[:3], other.variant) == same and other is not row]
        vote = len(matrix.measured) + list(votes).index(names) if names in votes else None
        taught.append(Taught(row, plain[0] if plain else None, vote))
    return taught, [*votes.values()], gone


def _vote(matrix: Matrix, row: Row, names: tuple[str, ...]) -> Measured:
    """What the mean of the teachers' probabilities answers; UserError where one is gone or has other test rows."""
    tested, each = matrix.tested, []
    for name in names:
        path = CellFolder(row.done[0].folder.with_name(name)).test
        table = predictions.checked(path)
        tested.answered(table, path)
        each.append(predictions.probabilities(table).astype(np.float32))
    if {len(p) for p in each} != {len(tested.row)}:
        raise UserError("they were not tested on every row")
    mean, answers = BY_MEAN.count(np.stack(each))
    return matrix.measurer.measure(answers, expected_grade(mean))


def _effects(panel: Panel, taught: list[Taught]) -> Lookup:
    """The mean of each side of each row, and each difference of two, these corrected together."""
    weights, lines, apart = panel.weights("macro"), list[Effect](), []
    for each in taught:
        name, terms = each.row.name, {who: Term(at, weights, who != VOTE) for who, at in each.sides.items()}
        lines += [{**mean, "a": name, "b": mean["a"]} for mean in means(panel, each.sides, ["macro"])]
        for who, other in combinations([who for who in (TAUGHT, VOTE, PLAIN) if who in terms], 2):
            minus = Term(terms[other].cells, -weights, other != VOTE)
            apart.append(Contrast(TITLE, name, f"{who} - {other}", "macro", (terms[who], minus)))
    lines += settled(effects(panel, apart)).to_dict("records") if apart else []
    return {(line["a"], line["b"]): line for line in lines}


def _lines(taught: Taught, told: Lookup) -> list[list[str]]:
    row, count_of = taught.row, len(taught.row.config.train.teacher)
    names = {TAUGHT: TAUGHT, PLAIN: PLAIN, VOTE: "its teacher" if count_of == 1 else f"vote of {count_of} teachers"}
    rows = {TAUGHT: row, PLAIN: taught.plain}
    lines = []
    for who in taught.sides:
        of = rows.get(who)
        number = seeds(of.finished, of) if of else NONE
        pace = of.metric("test/rows_per_second") if of else row.metric("teacher/rows_per_second")
        minus = [told.get((row.name, f"{who} - {other}")) for other in (PLAIN, VOTE)]
        points = [decided_text(effect) if effect else NONE for effect in minus]
        first = row.name if who == TAUGHT else ""
        lines.append([first, names[who], number, mean_text(told[row.name, who]), *points, count(pace)])
    return lines
