"""The ballots of a matrix → rows of votes, and what claims ask: the vote of each routing, how its members differ.

vote of ce, llm, llm_b  mhp  joint  hard vote  seeds 0, 1, 2
"""

from dataclasses import dataclass

import numpy as np

from relevance.report.ensemble.ballot import METHODS, Ballot, as_cell, ballot
from relevance.report.ensemble.diversity import disagreement
from relevance.report.ensemble.members import VOTED, folded, groups
from relevance.report.evidence.contrast import Series
from relevance.report.main_rows import JOINT, MainRows
from relevance.report.matrix import MAJORITY, Matrix, Row, fold
from relevance.vote import Ties

LEAST = 3  # backbones: with two every disagreement is a tie
TWO = "the vote has two members: every disagreement is a tie, and the policy for ties decides it, not the cells"
ONE = "needs {kind} cells of three backbones and finds {n} ({models}); +sweep=ensemble trains them"


@dataclass(frozen=True)
class Voted:
    """Ballots that differ in the seed alone, and a row of the table for each way of voting."""

    ballots: tuple[Ballot, ...]
    rows: dict[str, Row]  # by method


def voted(matrix: Matrix, ties: Ties) -> list[Voted]:
    """Every vote of the matrix: by routing, of all cells, over seeds."""
    together = folded(groups(matrix))
    ballots = [[ballot(group, matrix.tested, ties) for group in same] for same in together]
    lines = [(at, method) for at, same in enumerate(ballots) for method in same[0].answers]
    cells = [[(as_cell(one.group, method), one.answers[method]) for one in ballots[at]] for at, method in lines]
    rows = fold(cells, matrix.references[MAJORITY], matrix.resample)
    found: list[dict[str, Row]] = [{} for _ in ballots]
    for (at, method), row in zip(lines, rows, strict=True):
        found[at][method] = row
    return [Voted(tuple(same), own) for same, own in zip(ballots, found, strict=True)]


class Votes:
    """The votes that claims are about: of the mhp cells and of the prefix cells of the main rows."""

    def __init__(self, main: MainRows, found: list[Voted]) -> None:
        self.models: dict[str, list[str]] = {}
        self.hard: dict[str, Series] = {}
        self.apart: dict[str, Series] = {}
        for kind in VOTED:
            self.models[kind] = [model for model, routing in main.joint if routing == kind]
            for one in found:
                if _is(one, kind, main) and list(one.ballots[0].group.models) == self.models[kind]:
                    self.hard[kind] = one.rows[METHODS[0]].series
                    self.apart[kind] = _apart(one, main.matrix)

    def untestable(self, kind: str) -> str:
        """Why nothing can be said of this vote; "" where something can."""
        models = self.models[kind]
        if len(models) == LEAST - 1:
            return f"{TWO} ({kind}: {', '.join(models)})"
        if len(models) < LEAST or kind not in self.hard:
            return ONE.format(kind=kind, n=len(models), models=", ".join(models) or "none")
        return ""


def _is(one: Voted, kind: str, main: MainRows) -> bool:
    group = one.ballots[0].group
    return (group.kind, group.task_mix, group.variant) == (kind, JOINT, main.variant)


def _apart(one: Voted, matrix: Matrix) -> Series:
    """Mean disagreement of pairs of members, by seed."""
    groups = [found.group for found in one.ballots]
    shares = [disagreement(np.stack(group.answers)) for group in groups]
    draws = matrix.resample.means(shares, matrix.tested.asked([group.answers[0] for group in groups]))
    tasks = np.array([np.bincount(matrix.tested.task, share, 6) for share in shares]) / np.maximum(matrix.n, 1)
    tasks[:, matrix.n == 0] = np.nan
    values = np.column_stack([tasks, [share.mean() for share in shares], np.nanmean(tasks, axis=1)])
    return Series(f"disagreement of {groups[0].kind} members", [group.seed for group in groups], values, draws)
