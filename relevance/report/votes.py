"""The ballots of a matrix → rows of votes, and what claims ask: the vote of each routing, how its members differ.

vote of ce, llm, llm_b  mhp  joint  hard vote  seeds 0, 1, 2
"""

from dataclasses import dataclass

import numpy as np

from relevance.report.ensemble.ballot import METHODS, Ballot, as_cell, ballot
from relevance.report.ensemble.diversity import disagreement
from relevance.report.ensemble.members import VOTED, Group, folded, groups
from relevance.report.evidence.contrast import Series
from relevance.report.main_rows import MainRows
from relevance.report.matrix import JOINT, MAJORITY, Matrix
from relevance.report.row import Row, fold
from relevance.vote import Ties

MOST = 40  # groups that a report lets vote
WORK = 30_000_000  # predictions of their members, a second for ten million
LEAST = 3  # backbones: with two every disagreement is a tie
TWO = "the vote has two members: every disagreement is a tie, and the policy for ties decides it, not the cells"
ONE = "needs {kind} cells of three backbones that share a seed; +sweep=ensemble trains them"


@dataclass(frozen=True)
class Voted:
    """Ballots that differ in the seed alone, and a row of the table for each way of voting."""

    ballots: tuple[Ballot, ...]
    rows: dict[str, Row]  # by method


def voted(main: MainRows, ties: Ties, most: int | None = None) -> list[Voted]:
    """The votes of a matrix: by routing, of all cells, over seeds; at most about `most`, of the main rows first."""
    together = sorted(folded(groups(main.matrix)), key=lambda same: not _main(same[0], main))
    shown, count, work = [], 0, 0
    for same in together:
        load = sum(len(group.members) for group in same) * len(main.matrix.tested.row)
        fits = most is None or (count + len(same) <= most and work + load <= WORK)
        if fits or (_main(same[0], main) and same[0].kind in VOTED):
            shown.append([ballot(group, main.matrix.tested, ties) for group in same])
            count, work = count + len(same), work + load
    return rows_of(shown, main.matrix)


def _main(group: Group, main: MainRows) -> bool:
    return (group.task_mix, group.variant) == (JOINT, main.variant)


def rows_of(ballots: list[list[Ballot]], matrix: Matrix) -> list[Voted]:
    """Ballots that differ in the seed alone together, with their rows."""
    lines = [(at, way) for at in range(len(ballots)) for way in METHODS]
    cells = [[(as_cell(one.group, way), one.answers[way]) for one in ballots[at]] for at, way in lines]
    rows = fold(cells, matrix.references[MAJORITY], matrix.resample)
    found: list[dict[str, Row]] = [{} for _ in ballots]
    for (at, way), row in zip(lines, rows, strict=True):
        found[at][way] = row
    return [Voted(tuple(same), own) for same, own in zip(ballots, found, strict=True)]


class Votes:
    """The votes that claims are about: of the mhp cells and of the prefix cells of the main rows."""

    def __init__(self, main: MainRows, found: list[Voted]) -> None:
        self.models: dict[str, list[str]] = {}
        self.hard: dict[str, Series] = {}
        self.apart: dict[str, Series] = {}
        for kind in VOTED:
            own = [one for one in found if _main(one.ballots[0].group, main) and one.ballots[0].group.kind == kind]
            most = max(own, key=lambda one: (len(one.ballots[0].group.models), len(one.ballots)), default=None)
            self.models[kind] = list(most.ballots[0].group.models) if most else []
            if most:
                self.hard[kind] = most.rows[METHODS[0]].series
                self.apart[kind] = _apart(most, main.matrix)

    def untestable(self, kind: str) -> str:
        """Why nothing can be said of this vote; "" where something can."""
        models = self.models[kind]
        if len(models) == LEAST - 1:
            return f"{TWO} ({kind}: {', '.join(models)})"
        return "" if len(models) >= LEAST else ONE.format(kind=kind)


def _apart(one: Voted, matrix: Matrix) -> Series:
    """Mean disagreement of pairs of members, by seed."""
    groups = [found.group for found in one.ballots]
    shares = [disagreement(np.stack(group.answers)) for group in groups]
    pairs = len(groups[0].members) * (len(groups[0].members) - 1) / 2
    counts = [np.rint(pairs * share) for share in shares]  # sums of whole numbers are the same on every processor
    draws = matrix.resample.means(counts, matrix.tested.asked([group.answers[0] for group in groups])) / pairs
    tasks = np.array([np.bincount(matrix.tested.task, share, 6) for share in shares]) / np.maximum(matrix.n, 1)
    tasks[:, matrix.n == 0] = np.nan
    values = np.column_stack([tasks, [share.mean() for share in shares], np.nanmean(tasks, axis=1)])
    return Series(f"disagreement of {groups[0].kind} members", [group.seed for group in groups], values, draws)
