"""Every row beside the best one of each column → differences with intervals, McNemar's test within each seed.

macro: llm mhp (best) - llm mh: +2.0 [+0.6, +3.4]; seeds +1.8 +2.5 +1.6; McNemar (over all rows) p 0.03 0.01 0.20, Holm
"""

from dataclasses import dataclass
from itertools import groupby

import numpy as np

from relevance.report.evidence.contrast import Effect, contrast, versus
from relevance.report.evidence.mcnemar import McNemar, holm, mcnemar
from relevance.report.evidence.tested import Tested
from relevance.report.matrix import Matrix, Row
from relevance.scores import COLUMNS

MICRO, MACRO = COLUMNS.index("micro"), COLUMNS.index("macro")
FEW = 6  # names a line tells


@dataclass(frozen=True)
class Test:
    """McNemar's test of two cells of one seed on one column's rows."""

    seed: int
    only_best: int
    only_other: int
    exact: float
    mid: float
    holm: float  # the mid-p, corrected over all tests of the column


@dataclass(frozen=True)
class Comparison:
    """The best row of a column, minus another."""

    column: str
    best: Row
    other: Row
    effect: Effect | None  # None where the two share no seed
    tests: tuple[Test, ...]  # none for macro, a mean that no row has

    @property
    def apart(self) -> bool:
        """Whether the interval of the difference leaves out zero."""
        return self.effect is not None and (self.effect.low > 0 or self.effect.high < 0)


def comparisons(matrix: Matrix) -> list[Comparison]:
    """Of every column, the best row (the first of equals) with every other one that has the column."""
    rows = [row for row in matrix.rows if row.finished]
    best = matrix.best[[row.finished > 0 for row in matrix.rows]]
    found = []
    for at, column in enumerate(COLUMNS):
        if best[:, at].any():
            first = rows[int(best[:, at].argmax())]
            others = [row for row in rows if row is not first and _comparable(row, at, matrix)]
            found += _column(column, first, others, matrix)
    return found


def _comparable(row: Row, at: int, matrix: Matrix) -> bool:
    return not np.isnan(row.mean[at]) and (at < MICRO or not matrix.partial(row))


def _column(column: str, best: Row, others: list[Row], matrix: Matrix) -> list[Comparison]:
    tests = [_tests(column, best, other, matrix.tested) for other in others]
    corrected = iter(holm(np.array([test[4] for own in tests for test in own])))
    return [
        Comparison(
            column,
            best,
            other,
            contrast(versus(best.series, other.series, column), matrix.n),
            tuple(Test(*test, next(corrected)) for test in own),
        )
        for other, own in zip(others, tests, strict=True)
    ]


def _tests(column: str, best: Row, other: Row, tested: Tested) -> list[tuple[int, int, int, float, float]]:
    """Seed, rows only one of the two is right on, and both p."""
    if column == "macro":
        return []
    at = COLUMNS.index(column)
    theirs = {cell.seed: found for cell, found in other.done}
    pairs = [(cell.seed, found, theirs[cell.seed]) for cell, found in best.done if cell.seed in theirs]
    found = [(seed, asked(one, two, tested)) for seed, one, two in pairs]
    return [
        (seed, int(test.only_a[at]), int(test.only_b[at]), float(test.exact[at]), float(test.mid[at]))
        for seed, test in found
    ]


def asked(one: np.ndarray, two: np.ndarray, tested: Tested) -> McNemar:
    """McNemar's test of two sets of answers [N], on the rows both were asked."""
    both = (one >= 0) & (two >= 0)
    if both.all():
        return mcnemar(one == tested.label, two == tested.label, tested.task)
    label, task = tested.label[both], tested.task[both]
    return mcnemar(one[both] == label, two[both] == label, task)


def near(found: list[Comparison]) -> dict[Row, frozenset[int]]:
    """By row, the places of the columns in which it is not told apart from the best."""
    places: dict[Row, set[int]] = {}
    for one in found:
        if one.effect and not one.apart:
            places.setdefault(one.other, set()).add(COLUMNS.index(one.column))
    return {row: frozenset(own) for row, own in places.items()}


def told(found: list[Comparison]) -> list[str]:
    """For each column, its best row and how many of the others are not told apart from it."""
    lines = []
    for column, group in groupby(found, key=lambda one: one.column):
        own = list(group)
        alike = [one.other.name for one in own if not one.apart]
        which = f": {', '.join(alike[:FEW])}{', …' if len(alike) > FEW else ''}" if alike else ""
        lines.append(f"{column}: {own[0].best.name}; not told apart from it {len(alike)} of {len(own)}{which}")
    return lines
