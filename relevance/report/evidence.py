"""A matrix and its votes → every contrast that the page speaks of, as one frame of effects; a verdict for each family.

family        a              b              scope   estimate    low    high   verdict
best llm      mhp            prefix         macro      0.016   0.009   0.023  higher
prefix        llm mh joint   llm prefix ... macro     -0.073  -0.117  -0.037  lower
claims        b1             llm: prefix... macro      ...
column macro  llm mhp joint  ce mh joint    macro      ...

`family` names the contrasts that are corrected together (relevance.report.verdict). Under families that begin with BEST
or COLUMN stands the highest of them minus each other one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from relevance.metrics import COLUMNS
from relevance.report.causes import Cause, Causes
from relevance.report.claims import Asked, Claim, Gain
from relevance.report.matrix import LEXICAL, MainRows, Matrix, whole
from relevance.report.measures import ACCURACY
from relevance.report.panel import Contrast, Panel, Term, difference, effects, means
from relevance.report.rows import MICRO, Row
from relevance.report.verdict import WORD_OVERLAP, Candidate, Outcome, Verdict, contenders, family_verdict, settled
from relevance.report.votes import MOST, MainVotes, Voted, voted
from relevance.vote import DEFAULT, Ties

REFERENCE = "prefix"  # the plain way, which the others are measured by
BEST, COLUMN = "best ", "column "
PREFIX, BY_TASK = "prefix", "prefix by task"
DECIDED = (Outcome.higher, Outcome.lower)
Effect = dict[str, Any]  # a line of the frame


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
        return self.panel(self.measure)

    def panel(self, measure: str) -> Panel:
        return self.accuracy if measure == ACCURACY else self.matrix.panel(measure)

    @cached_property
    def asked(self) -> Asked:
        return Asked(self.main, MainVotes(self.main, self.votes), self.accuracy.weights("macro"))

    @cached_property
    def claims(self) -> list[Claim]:
        return [*self.asked.claims(), self.asked.apart(self._apart[1])]

    @cached_property
    def causes(self) -> list[Cause]:
        return Causes(self.main, self.ranked.weights("macro")).all()

    @cached_property
    def _apart(self) -> tuple[Panel | None, dict[str, tuple[int, ...]]]:
        return self.asked.votes.apart() if self.asked.votes.by_routing else (None, {})

    @cached_property
    def gains(self) -> list[tuple[Gain, Effect]]:
        return list(zip(self._gains, self.of("gains"), strict=True))

    @cached_property
    def _gains(self) -> list[Gain]:
        return self.asked.gains()

    @cached_property
    def trained(self) -> dict[str, float]:
        """Trained weights of every row by its name."""
        return {row.name: row.metric("params/trainable") for row in self.matrix.finished}

    def weights(self, names: Sequence[str]) -> list[float]:
        """Trained weights of these rows; NaN of what is none."""
        return [self.trained.get(name, np.nan) for name in names]

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
        *claims, members = (claim.contrast for claim in self.claims)
        gains, causes = ([each.contrast for each in some] for some in (self._gains, self.causes))
        frames = [
            effects(panel, contrasts, self.trained)
            for panel, contrasts in (
                (self.ranked, [*self._bests(), *self._prefix(), *self.asked.factors(), *causes]),
                (self.accuracy, [*claims, *self._columns(), *gains]),
                (self._apart[0] or self.accuracy, [members]),
            )
            if contrasts
        ]
        frame = pd.concat(frames, ignore_index=True)
        return settled(frame, {name for name in frame["family"] if name.startswith((BEST, COLUMN))})

    @cached_property
    def _families(self) -> dict[str, list[Effect]]:
        return {name: frame.to_dict("records") for name, frame in self.effects.groupby("family", sort=False)}

    def of(self, family: str) -> list[Effect]:
        """The effects of one family of contrasts."""
        return self._families.get(family, [])

    def effect(self, family: str, a: str, b: str) -> Effect | None:
        """One effect, or None."""
        return next((effect for effect in self.of(family) if (effect["a"], effect["b"]) == (a, b)), None)

    def means(self, rows: Sequence[Row], measure: str, scopes: Sequence[str]) -> list[Effect]:
        """The mean of each row in each scope, with its interval; row by row."""
        return means(self.panel(measure), {row.name: row.places for row in rows}, scopes)

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """By family of models."""
        frames = dict(list(self.effects.groupby("family")))
        none = self.effects.iloc[:0]
        return {
            family: family_verdict(candidates, frames.get(BEST + family, none))
            for family, candidates in self.candidates.items()
        }

    def _bests(self) -> Iterator[Contrast]:
        """Of each family the highest routing minus each other one, and minus word overlap."""
        macro = self.ranked.weights("macro")
        for family, candidates in self.candidates.items():
            if ranked := contenders(candidates):
                first, *others = ranked
                terms = self._terms(family, first.name, macro)
                floor = Term((self.matrix.floor(LEXICAL[1]),), -macro, trained=False)
                yield Contrast(BEST + family, first.name, WORD_OVERLAP, "macro", (*terms, floor))
                for other in others:
                    minus = self._terms(family, other.name, -macro)
                    yield Contrast(BEST + family, first.name, other.name, "macro", (*terms, *minus))

    def _terms(self, family: str, routing: str, weights: np.ndarray) -> tuple[Term, ...]:
        models = self.models(family)
        return tuple(Term(self.main.joint[model, routing].places, weights / len(models)) for model in models)

    def _prefix(self) -> Iterator[Contrast]:
        """Each row against its model's text prefix, over the tasks and on each."""
        for family, scopes in ((PREFIX, ["macro"]), (BY_TASK, self.matrix.tasks)):
            for (model, routing), row in self.main.joint.items():
                other = self.main.joint.get((model, REFERENCE))
                if other and routing != REFERENCE:
                    for scope in scopes:
                        yield _difference(family, self.ranked, row, other, scope)

    def _columns(self) -> Iterator[Contrast]:
        """Of every column the best row (the first of equals) minus every other one that has the column."""
        for at, (column, best) in enumerate(zip(COLUMNS, self.matrix.best.T, strict=True)):
            if best.any():
                first = self.matrix.rows[int(best.argmax())]
                for row in whole(self.matrix) if at >= MICRO else self.matrix.finished:
                    if row is not first and not np.isnan(row.mean[at]):
                        yield _difference(COLUMN + column, self.accuracy, first, row, column)

    @cached_property
    def beside_best(self) -> dict[str, dict[int, Outcome]]:
        """By row and place of a column the verdict where it is not shown to be below the highest."""
        verdicts: dict[str, dict[int, Outcome]] = {}
        for at, column in enumerate(COLUMNS):
            for effect in self.of(COLUMN + column):
                if effect["verdict"] != Outcome.higher:
                    verdicts.setdefault(effect["b"], {})[at] = effect["verdict"]
        return verdicts


def _difference(family: str, panel: Panel, row: Row, other: Row, scope: str) -> Contrast:
    return difference(family, (row.name, row.places), (other.name, other.places), scope, panel.weights(scope))
