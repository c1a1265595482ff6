"""Every row beside the best one of each column → differences with intervals, McNemar's test within each seed.

macro: llm mhp (best) - llm mh: +2.0 [+0.6, +3.4]; seeds +1.8 +2.5 +1.6; McNemar (over all rows) p 0.03 0.01 0.20, Holm
"""

from dataclasses import dataclass
from itertools import groupby

import numpy as np

from relevance.metrics import COLUMNS
from relevance.pages.blocks import IDENTITY, NONE, Table, signed
from relevance.report.matrix import Matrix
from relevance.report.rows import Row
from relevance.report.stats.contrast import Effect, Right, contrast, effect_text, holm, mcnemar, versus

MICRO, MACRO = COLUMNS.index("micro"), COLUMNS.index("macro")
FEW = 6  # names a line tells


@dataclass(frozen=True)
class Paired:
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
    tests: tuple[Paired, ...]  # none for macro, a mean that no row has

    @property
    def apart(self) -> bool:
        """Whether the interval of the difference lies above zero."""
        return self.effect is not None and self.effect.low > 0


def comparisons(matrix: Matrix) -> list[Comparison]:
    """Of every column, the best row (the first of equals) with every other one that has the column."""
    rows = [row for row in matrix.rows if row.finished]
    best = matrix.best[[row.finished > 0 for row in matrix.rows]]
    right, found = Right(matrix.tested), []
    for at, column in enumerate(COLUMNS):
        if best[:, at].any():
            first = rows[int(best[:, at].argmax())]
            others = [row for row in rows if row is not first and _comparable(row, at, matrix)]
            found += _column(column, first, others, matrix, right)
    return found


def _comparable(row: Row, at: int, matrix: Matrix) -> bool:
    return not np.isnan(row.mean[at]) and (at < MICRO or not matrix.partial(row))


def _column(column: str, best: Row, others: list[Row], matrix: Matrix, right: Right) -> list[Comparison]:
    tests = _tests(column, best, others, right)
    return [
        Comparison(column, best, other, contrast(versus(best.series, other.series, column), matrix.n), tests[other])
        for other in others
    ]


def _tests(column: str, best: Row, others: list[Row], right: Right) -> dict[Row, tuple[Paired, ...]]:
    """McNemar's tests of each row with the best one, by seed; none for macro, a mean that no row has."""
    if column == "macro":
        return dict.fromkeys(others, ())
    at = COLUMNS.index(column)
    pairs = [(other, seed, one, two) for other in others for seed, one, two in seedwise(best, other)]
    counts = [right.differing(one, two, at) for _, _, one, two in pairs]
    only_best, only_other = np.array(counts, int).reshape(-1, 2).T
    p = mcnemar(only_best, only_other)
    corrected = holm(p.mid)
    found: dict[Row, list[Paired]] = {other: [] for other in others}
    for (other, seed, *_), *told in zip(pairs, only_best, only_other, p.exact, p.mid, corrected, strict=True):
        found[other].append(Paired(seed, *(value.item() for value in told)))
    return {other: tuple(own) for other, own in found.items()}


def seedwise(one: Row, other: Row) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """The seeds that both rows finished, with the answers of each [N]."""
    theirs = {cell.seed: found for cell, found in other.done}
    return [(cell.seed, found, theirs[cell.seed]) for cell, found in one.done if cell.seed in theirs]


def near(found: list[Comparison]) -> dict[Row, frozenset[int]]:
    """By row, the places of the columns in which it is not told apart from the best."""
    places: dict[Row, set[int]] = {}
    for one in found:
        if one.effect and not one.apart:
            places.setdefault(one.other, set()).add(COLUMNS.index(one.column))
    return {row: frozenset(own) for row, own in places.items()}


def beside_table(found: list[Comparison], matrix: Matrix) -> Table:
    """Every row beside the highest of macro accuracy, and of micro with McNemar's test of each seed."""
    by_column = {name: {one.other: one for one in found if one.column == name} for name in ("macro", "micro")}
    rows = [row for row in matrix.rows if any(row in own for own in by_column.values())]
    body = [[*row.labels, *_macro(by_column["macro"].get(row)), *_micro(by_column["micro"].get(row))] for row in rows]
    n = f"n={matrix.n.sum():,}"
    header = [f"highest macro minus it {n}", "by seed", f"highest micro minus it {n}", "McNemar, Holm, by seed"]
    return Table([*IDENTITY, *header], body, left=len(IDENTITY))


def _macro(one: Comparison | None) -> list[str]:
    if one is None or one.effect is None:
        return [NONE, NONE]
    return [effect_text(one.effect), " ".join(map(signed, one.effect.seeds))]


def _micro(one: Comparison | None) -> list[str]:
    if one is None or one.effect is None:
        return [NONE, NONE]
    return [effect_text(one.effect), " ".join(f"{test.holm:.2g}" for test in one.tests)]


def told(found: list[Comparison]) -> list[str]:
    """For each column, its best row, and how many of those that share seeds with it are not told apart from it."""
    lines = []
    for column, group in groupby(found, key=lambda one: one.column):
        own = list(group)
        asked = [one for one in own if one.effect]
        alike = [one.other.name for one in asked if not one.apart]
        which = f": {', '.join(alike[:FEW])}{', …' if len(alike) > FEW else ''}" if alike else ""
        unasked = f"; {len(own) - len(asked)} share no seed with it" if len(asked) < len(own) else ""
        best = f"{column}: {own[0].best.name}; not told apart from it {len(alike)} of {len(asked)}"
        lines.append(f"{best}{which}{unasked}")
    return lines
