"""A matrix and its votes → every contrast that the page speaks of, as one frame of effects; a verdict for each family.

family        a              b              scope   estimate    low    high   verdict
best llm      mhp            prefix         macro      0.016   0.009   0.023  higher
prefix        llm mh joint   llm prefix ... macro     -0.073  -0.117  -0.037  lower
claims        b1             llm: prefix... macro      ...
column macro  llm mhp joint  ce mh joint    macro      ...

`family` names the contrasts that are corrected together (relevance.report.verdict). Under families that begin with BEST
or COLUMN stands the highest of them minus each other one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from relevance.metrics import COLUMNS
from relevance.report.claims import Asked, Claim, Gain
from relevance.report.matrix import MainRows, Matrix, whole
from relevance.report.measures import ACCURACY
from relevance.report.panel import Contrast, Panel, Term, difference, effects
from relevance.report.rows import MICRO, Row
from relevance.report.verdict import WORD_OVERLAP, Candidate, Outcome, Verdict, contenders, family_verdict, settled
from relevance.report.votes import MOST, MainVotes, Voted, voted
from relevance.tasks import TASK_NAMES
from relevance.vote import DEFAULT, Ties

REFERENCE = "prefix"  # the plain way, which the others are measured by
BEST, COLUMN = "best ", "column "
PREFIX, BY_TASK = "prefix", "prefix by task"
KEY = ["family", "a", "b", "scope"]


@dataclass(frozen=True, eq=False)
class Evidence:
    """Of one matrix."""

    matrix: Matrix
    ties: Ties = DEFAULT
    measure: str = ACCURACY  # what the page ranks by

    @cached_property
    def main(self) -> MainRows:
        return MainRows(self.matrix)

    @cached_property
    def votes(self) -> list[Voted]:
        return voted(self.main, self.ties, MOST)

    @cached_property
    def accuracy(self) -> Panel:
        """Votes stand behind the cells and the floors."""
        return self.matrix.panel(ACCURACY, [each for vote in self.votes for each in vote.measured])

    @cached_property
    def ranked(self) -> Panel:
        """What the page ranks by."""
        return self.accuracy if self.measure == ACCURACY else self.matrix.panel(self.measure)

    @cached_property
    def asked(self) -> Asked:
        return Asked(self.main, MainVotes(self.main, self.votes), self.accuracy.weights("macro"))

    @cached_property
    def claims(self) -> list[Claim]:
        return [*self.asked.claims(), self.asked.apart(self._apart[1])]

    @cached_property
    def _apart(self) -> tuple[Panel | None, dict[str, tuple[int, ...]]]:
        return self.asked.votes.apart() if self.asked.votes.by_routing else (None, {})

    @cached_property
    def gains(self) -> list[Gain]:
        return [gain for gain, _ in self._gains]

    @cached_property
    def _gains(self) -> list[tuple[Gain, Contrast]]:
        return self.asked.gains()

    def macro(self, row: Row) -> np.ndarray:
        """The macro of what the page ranks by of each finished seed."""
        return self.ranked.values(row.places, self.ranked.weights("macro"))

    @cached_property
    def candidates(self) -> dict[str, list[Candidate]]:
        """By family of models its routings, each the mean over `models`."""
        candidates = {}
        for family in self.main.families:
            models = self.models(family)
            shared = [
                name for name in self.main.routings(models[0]) if set(models) <= set(self.main.having(family, name))
            ]
            rows = {name: [self.main.joint[model, name] for model in models] for name in shared}
            candidates[family] = [self._candidate(name, of) for name, of in rows.items()]
        return candidates

    def models(self, family: str) -> list[str]:
        """The models of a family that were trained with the most routings."""
        models = self.main.families[family]
        most = max(len(self.main.routings(model)) for model in models)
        return [model for model in models if len(self.main.routings(model)) == most]

    def _candidate(self, routing: str, rows: list[Row]) -> Candidate:
        seeds = sorted(set.intersection(*(set(row.seeds) for row in rows)))
        value = float(np.mean([self.macro(row).mean() for row in rows]))
        return Candidate(routing, value, tuple(seeds), any(row.learnt for row in rows))

    @cached_property
    def effects(self) -> pd.DataFrame:
        """All of them, settled: `p_holm` and `verdict` beside each."""
        claims = [claim.contrast for claim in self.claims]
        apart, _ = self._apart
        frames = [
            effects(self.ranked, [*self._bests(), *self._prefix(), *self._by_task(), *self.asked.factors()]),
            effects(self.accuracy, [*claims[:-1], *self._columns(), *(contrast for _, contrast in self._gains)]),
            effects(apart or self.accuracy, claims[-1:]),
        ]
        frame = pd.concat([frame for frame in frames if len(frame)], ignore_index=True)
        best = {name for name in frame["family"] if name.startswith((BEST, COLUMN))}
        return settled(frame, best)

    def of(self, family: str) -> pd.DataFrame:
        """The effects of one family of contrasts."""
        return self.effects[self.effects["family"] == family]

    def gain(self, gain: Gain) -> pd.Series:
        """The effect of a gain."""
        effect = self.effect("gains", gain.row.name, gain.other.name, gain.task)
        assert effect is not None
        return effect

    def effect(self, family: str, a: str, b: str, scope: str = "macro") -> pd.Series | None:
        """One effect, or None."""
        place = self._places.get((family, a, b, scope))
        return None if place is None else self.effects.iloc[place]

    @cached_property
    def _places(self) -> dict[tuple[str, ...], int]:
        return {key: at for at, key in enumerate(zip(*(self.effects[name] for name in KEY), strict=True))}

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """By family of models."""
        return {
            family: family_verdict(candidates, self.of(BEST + family)) for family, candidates in self.candidates.items()
        }

    def _bests(self) -> Iterator[Contrast]:
        """Of each family the highest routing minus each other one, and minus word overlap."""
        macro = self.ranked.weights("macro")
        for family, candidates in self.candidates.items():
            first, *others = contenders(candidates) or [None]
            if first:
                terms = self._terms(family, first.name, macro)
                floor = Term((self.matrix.floor,), -macro, trained=False)
                yield Contrast(BEST + family, first.name, WORD_OVERLAP, "macro", (*terms, floor))
                for other in others:
                    minus = self._terms(family, other.name, -macro)
                    yield Contrast(BEST + family, first.name, other.name, "macro", (*terms, *minus))

    def _terms(self, family: str, routing: str, weights: np.ndarray) -> tuple[Term, ...]:
        models = self.models(family)
        return tuple(Term(self.main.joint[model, routing].places, weights / len(models)) for model in models)

    def _pairs(self) -> Iterator[tuple[Row, Row]]:
        for (model, routing), row in self.main.joint.items():
            other = self.main.joint.get((model, REFERENCE))
            if other and routing != REFERENCE:
                yield row, other

    def _prefix(self) -> Iterator[Contrast]:
        """Each row against its model's text prefix."""
        return (self._difference(PREFIX, row, other, "macro") for row, other in self._pairs())

    def _by_task(self) -> Iterator[Contrast]:
        return (self._difference(BY_TASK, *pair, task) for pair in self._pairs() for task in self.matrix.tasks)

    def _difference(self, family: str, row: Row, other: Row, scope: str) -> Contrast:
        weights = self.ranked.weights(scope)
        return difference(family, (row.name, row.places), (other.name, other.places), scope, weights)

    def _columns(self) -> Iterator[Contrast]:
        """Of every column the best row (the first of equals) minus every other one that has the column."""
        for at, (column, best) in enumerate(zip(COLUMNS, self.matrix.best.T, strict=True)):
            if best.any():
                first = self.matrix.rows[int(best.argmax())]
                rows = whole(self.matrix) if at >= MICRO else self.matrix.finished
                weights = self.accuracy.weights(column)
                for row in rows:
                    if row is not first and not np.isnan(row.mean[at]):
                        names = (first.name, first.places), (row.name, row.places)
                        yield difference(COLUMN + column, *names, column, weights)

    @cached_property
    def beside_best(self) -> dict[str, dict[int, Outcome]]:
        """By row and place of a column the verdict where it is not shown to be below the highest."""
        columns = self.effects[self.effects["family"].str.startswith(COLUMN)]
        verdicts: dict[str, dict[int, Outcome]] = {}
        for name, scope, verdict in zip(columns["b"], columns["scope"], columns["verdict"], strict=True):
            if verdict != Outcome.higher:
                verdicts.setdefault(name, {})[COLUMNS.index(scope)] = verdict
        return verdicts


def few_lefts(matrix: Matrix, fewest: int) -> list[str]:
    """Tasks with fewer left entities than say how sure a number is."""
    lefts = matrix.measurer.rows.lefts
    return [TASK_NAMES[at] for at in np.flatnonzero((matrix.n > 0) & (lefts < fewest))]
