"""A matrix → everything that is computed from it once, for the sections, the files and the figures to show."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from relevance.metrics import COLUMNS
from relevance.report.ensembles import METHODS
from relevance.report.matrix import MainRows, Matrix
from relevance.report.rows import Row
from relevance.report.sections.baselines import Gain, gains
from relevance.report.sections.calibration import Calibration, calibration
from relevance.report.sections.claims import Claim, claims
from relevance.report.sections.comparisons import Comparison, comparisons, seedwise
from relevance.report.sections.ensembles import MOST, Voted, Votes, voted
from relevance.report.stats.contrast import Right, mcnemar
from relevance.vote import DEFAULT, Ties

MICRO = COLUMNS.index("micro")


@dataclass(frozen=True, eq=False)
class Findings:
    """Of one table of pairs."""

    matrix: Matrix
    ties: Ties = DEFAULT

    @cached_property
    def main(self) -> MainRows:
        return MainRows(self.matrix)

    @cached_property
    def voted(self) -> list[Voted]:
        return voted(self.main, self.ties, MOST)

    @cached_property
    def votes(self) -> Votes:
        return Votes(self.main, self.voted)

    @cached_property
    def claims(self) -> list[Claim]:
        return claims(self.main, self.votes)

    @cached_property
    def gains(self) -> list[Gain]:
        return gains(self.main)

    @cached_property
    def comparisons(self) -> list[Comparison]:
        return comparisons(self.matrix)

    @cached_property
    def calibration(self) -> Calibration:
        return calibration(self.matrix)

    @cached_property
    def mcnemar(self) -> dict[str, str]:
        """By the letter of a claim about two rows: p of each seed, over all rows (mid-p, not corrected)."""
        votes = [one.rows[METHODS[0]] for one in self.voted]
        rows = {row.name: row for row in [*self.matrix.rows, *votes]}
        found = {}
        for claim in self.claims:
            names = claim.effect.cells if claim.effect else ()
            if len(names) == 2 and all(name in rows for name in names):
                found[claim.letter] = self._p(*(rows[name] for name in names))
        return found

    def _p(self, one: Row, other: Row) -> str:
        right = Right(self.matrix.tested)
        counts = [right.differing(answers, others, MICRO) for _, answers, others in seedwise(one, other)]
        return " ".join(f"{p:.2g}" for p in mcnemar(*np.array(counts).T).mid)
