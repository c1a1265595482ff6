"""What a decoder loses without the prefix, taken apart: family, tuning, mask and routing crossed, an effect for each.

loss of a model and tuning   prefix - mh
family   llm - ce of that, mean over the tunings that both have      tuning   lora - full, mean over families
paper    llm lora - ce full: what the paper compares, family and tuning at once, = family + tuning

Then what each of them, and each part of a routing, does to accuracy itself. A factor is in the frame where both of its
sides were trained; what no cell was trained for is a contrast without terms, which says what would train it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from relevance.config import Family, Tuning
from relevance.rates import USUAL
from relevance.report.matrix import MainRows
from relevance.report.panel import Contrast, Term
from relevance.report.rows import Row

CAUSES = "causes"  # of which the intervals hold together
LOSS = {"prefix": 1.0, "mh": -1.0}
PAPER = "llm lora - ce full, as the paper compares them"
FAMILY, TUNING, MASK = "family: llm - ce", "tuning: lora - full", "mask: causal - bidirectional"
BOTH = "family × tuning"
ROUTINGS = ("none", "prefix", "mh", "mhp")
PARTS = {"prefix": {"prefix": 1.0, "none": -1.0}, "heads": {"mh": 1.0, "none": -1.0},
         "private layers": {"mhp": 1.0, "mh": -1.0}}  # fmt: skip
BIDIRECTIONAL, POOLED = "attention=bidirectional", "pooling="
Kind = tuple[Family, Tuning]
Models = dict[Kind, list[str]]  # by family and tuning
Factors = dict[Kind, float]  # of each kind of model in a sum of losses


def kind_of(row: Row) -> Kind:
    """Family and tuning of a row."""
    family = Family(row.family)
    named = [part.split("=")[1] for part in row.kind.split() if part.startswith("tuning=")]
    return family, Tuning(named[0]) if named else USUAL[family]


@dataclass(frozen=True, eq=False)
class Cause:
    """An effect, and the weights that its two sides train, means over their rows of mh or of the routings compared."""

    contrast: Contrast
    trained: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Causes:
    """The crossed rows of a matrix; `macro` [6] weighs the tasks alike."""

    main: MainRows
    macro: np.ndarray

    @cached_property
    def usual(self) -> Models:
        """By family and tuning the models whose mask and pooling are their family's own, with a prefix and with mh."""
        return self._models(lambda kind: BIDIRECTIONAL not in kind and POOLED not in kind)

    @cached_property
    def unmasked(self) -> Models:
        """Likewise decoders whose tokens see all others."""
        return self._models(lambda kind: BIDIRECTIONAL in kind and POOLED not in kind)

    def _models(self, wanted) -> Models:
        kinds: Models = {}
        for (model, routing), row in self.main.joint.items():
            if (
                routing == "mh"
                and row.family in list(Family)
                and wanted(row.kind)
                and (model, "prefix") in self.main.joint
            ):
                kinds.setdefault(kind_of(row), []).append(model)
        return kinds

    def all(self) -> list[Cause]:
        """Every effect that can be asked; none where one family and one tuning are all there is."""
        if len({family for family, _ in self.usual}) < 2 or not (len(self.usual) > 2 or self.unmasked):
            return []
        return [*self._losses(), *self._mask(), *self._main_effects()]

    def _losses(self) -> Iterator[Cause]:
        """Of what mh loses against the prefix."""
        llm, ce, full, lora = Family.llm, Family.ce, Tuning.full, Tuning.lora
        yield self._loss(PAPER, {(llm, lora): 1, (ce, full): -1})
        shared = [tuning for tuning in Tuning if {(llm, tuning), (ce, tuning)} <= self.usual.keys()]
        for tuning in shared:
            yield self._loss(f"{FAMILY}, {tuning}", {(llm, tuning): 1, (ce, tuning): -1})
        yield self._loss(FAMILY, self._mean([{(llm, t): 1, (ce, t): -1} for t in shared]))
        both = [family for family in Family if {(family, full), (family, lora)} <= self.usual.keys()]
        for family in both:
            yield self._loss(f"{TUNING}, {family}", {(family, lora): 1, (family, full): -1})
        yield self._loss(TUNING, self._mean([{(f, lora): 1, (f, full): -1} for f in both]))
        if len(both) == 2:
            yield self._loss(BOTH, {(llm, lora): 1, (llm, full): -1, (ce, lora): -1, (ce, full): 1})

    def _mean(self, of: list[Factors]) -> Factors:
        factors: Factors = {}
        for each in of:
            for kind, factor in each.items():
                factors[kind] = factors.get(kind, 0.0) + factor / len(of)
        return factors

    def _loss(self, name: str, factors: Factors) -> Cause:
        parts = [(factor, self.usual.get(kind, []), LOSS) for kind, factor in factors.items()]
        return self._cause(name, "prefix - mh", parts)

    def _mask(self) -> Iterator[Cause]:
        """Causal minus bidirectional, over the tunings that have both."""
        yield from self._masks("prefix - mh", LOSS, self.usual, self.unmasked)

    def _masks(self, of: str, routings: dict[str, float], masked: Models, unmasked: Models) -> Iterator[Cause]:
        if both := [kind for kind in unmasked if kind in masked]:
            parts = [(sign / len(both), models[kind], routings)
                     for sign, models in ((1, masked), (-1, unmasked)) for kind in both]  # fmt: skip
            yield self._cause(MASK, of, parts)

    def _main_effects(self) -> Iterator[Cause]:
        """On accuracy: each factor over all cells of the design that have both of its sides."""
        for name, routings in PARTS.items():
            if having := self._with(self.usual, routings):
                parts = [(1 / len(having), models, routings) for models in having.values()]
                yield self._cause(name, "accuracy", parts)
        mean = dict.fromkeys(ROUTINGS, 1 / len(ROUTINGS))
        whole, unmasked = self._with(self.usual, mean), self._with(self.unmasked, mean)
        yield from self._masks("accuracy", mean, whole, unmasked)
        if len(whole) == 4:
            for name, at, high in ((FAMILY, 0, Family.llm), (TUNING, 1, Tuning.lora)):
                yield self._cause(
                    name, "accuracy", [(0.5 if kind[at] == high else -0.5, whole[kind], mean) for kind in whole]
                )

    def _with(self, models: Models, routings: dict[str, float]) -> Models:
        """Of these models those that have every one of the routings; without kinds of which none has."""
        having = {kind: [model for model in names if all((model, name) in self.main.joint for name in routings)]
                  for kind, names in models.items()}  # fmt: skip
        return {kind: names for kind, names in having.items() if names}

    def _cause(self, name: str, of: str, parts: list[tuple[float, list[str], dict[str, float]]]) -> Cause:
        """The sum of factor × mean over models of the weighted routings; without a model of some part, not testable."""
        if not parts or not all(models for _, models, _ in parts):
            reason = "it has no cells on one side; +sweep=crossed trains them"
            return Cause(Contrast(CAUSES, name, of, "macro", (), reason), (np.nan, np.nan))
        terms: list[Term] = []
        sides: tuple[list[float], list[float]] = ([], [])
        several = len({factor > 0 for factor, _, _ in parts}) > 1
        for factor, models, routings in parts:
            for model in models:
                for routing, weight in routings.items():
                    row, share = self.main.joint[model, routing], factor * weight / len(models)
                    terms.append(Term(row.places, share * self.macro))
                    sides[(factor if several else share) < 0].append(row.metric("params/trainable"))
        first, second = (float(np.mean(side)) if side else np.nan for side in sides)
        return Cause(Contrast(CAUSES, name, of, "macro", tuple(terms)), (first, second))
