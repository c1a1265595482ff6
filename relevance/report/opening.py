"""The evidence → three sentences: which routing for which family, by how much, how sure.

"Which: for llm mhp is highest (84.9 % macro accuracy), undecided against mh; ..." made by rule, from numbers alone;
decided is what the rule of the claims calls supported
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relevance.report.claims import Claim, mean
from relevance.report.evidence.contrast import Effect, Verdict, contrast
from relevance.report.main_rows import MainRows
from relevance.report.matrix import Matrix
from relevance.report.row import Row
from relevance.report.tables import effect, percent
from relevance.scores import COLUMNS

MACRO = COLUMNS.index("macro")
REFERENCE = "prefix"  # the plain way, which the others are measured by


@dataclass(frozen=True)
class Best:
    """The best routing of one family, over its models that were trained with the most routings."""

    family: str
    models: list[str]
    routing: str
    macro: float
    others: dict[str, Effect | None]  # the best minus each other routing


def bests(main: MainRows) -> list[Best]:
    """One for each family, in the order of the table."""
    found = []
    for family, models in main.families.items():
        most = max(len(main.routings(model)) for model in models)
        full = [model for model in models if len(main.routings(model)) == most]
        routings = [one for one in main.routings(full[0]) if set(full) <= set(main.having(family, one))]
        seeds = set.intersection(*(set(main.joint[model, one].seeds) for model in full for one in routings))
        means = {one: np.mean([_mean_over(main.joint[model, one], seeds) for model in full]) for one in routings}
        best = max(means, key=means.__getitem__)
        others = {one: contrast(mean(main, full, best, one), main.matrix.n) for one in routings if one != best}
        found.append(Best(family, full, best, float(means[best]), others))
    return found


def _mean_over(row: Row, seeds: set[int]) -> float:
    """Macro accuracy over the seeds that all rows have, so that no row is best by its seeds; over its own if none."""
    at = [row.seeds.index(seed) for seed in sorted(seeds)] or slice(None)
    return float(row.values[at, MACRO].mean())


def opening(main: MainRows, found: list[Claim]) -> list[str]:
    """Three sentences; one that says so where no joint cell finished."""
    families = bests(main)
    if not families:
        return ["No cell of all tasks finished: nothing can be said yet."]
    return [
        f"Which: {'; '.join(map(_which, families))}.",
        f"By how much: {'; '.join(map(_how_much, families))}.",
        f"How sure: {_how_sure(main, found)}.",
    ]


def _which(best: Best) -> str:
    near = [routing for routing, value in best.others.items() if not _decided(value)]
    score = f"{percent(best.macro)} % macro accuracy"
    if not best.others:
        return f"for {best.family} only {best.routing} finished ({score})"
    if not near:
        return f"for {best.family} it is {best.routing} ({score}), decided against all {len(best.others)} others"
    if len(near) == len(best.others):
        return f"for {best.family} no routing is decided: {best.routing} is highest ({score})"
    return f"for {best.family} {best.routing} is highest ({score}), undecided against {_and(near)}"


def _how_much(best: Best) -> str:
    gaps = [(name, value) for name, value in best.others.items() if value]
    if not gaps:
        return f"for {best.family} there is nothing to compare {best.routing} with"
    against = best.others.get(REFERENCE)
    if against:
        return f"for {best.family} {best.routing} gains {effect(against)} points over the text prefix"
    name, value = min(gaps, key=lambda pair: pair[1].value)
    return f"for {best.family} {best.routing} gains {effect(value)} points over {name}, the next"


def _how_sure(main: MainRows, found: list[Claim]) -> str:
    matrix = main.matrix
    seeds = sorted({len(row.seeds) for row in main.joint.values()})
    words = [
        f"{matrix.n.sum():,} test rows, {_and([str(n) for n in seeds])} {'seed' if seeds == [1] else 'seeds'} a cell"
    ]
    words.append("95 % intervals over resampled entities")
    verdicts = [claim.verdict for claim in found]
    counts = ", ".join(f"{verdicts.count(one)} {one}" for one in Verdict if one in verdicts)
    words.append(f"of the paper's {len(found)} claims {counts}")
    return "; ".join([*words, *_floors(main, matrix)])


def _floors(main: MainRows, matrix: Matrix) -> list[str]:
    """What takes the ground from under any comparison: cells that are no better than what needs no model."""
    lexical = matrix.references["floor", "lexical"].macro
    below = [row for row in main.joint.values() if row.mean[MACRO] <= lexical]
    if not below:
        return []
    return [f"but {len(below)} of {len(main.joint)} rows do not beat the lexical floor ({percent(lexical)} %)"]


def _decided(value: Effect | None) -> bool:
    return value is not None and value.verdict is Verdict.supported


def _and(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
