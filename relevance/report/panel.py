"""One measure of many cells → sums by cluster of rows → effects with what they vary by.

right [N] of a cell → its mean by task [6], and sums by (task, left entity), (task, right entity), (task, pair)
effects  best | ce mh | ce prefix | accuracy | macro | 0.001 [-0.018, 0.019] | df 4.9 | se_rows 0.005 | se_seeds 0.005 |
         n_rows 3,331 | n_lefts 923 | seeds 3 | p 0.91 | ...: a line per contrast, columns as EFFECTS

How a report is made of it:

    clusters = Clusters(tested.task, tested.left, tested.right, tested.kind)
    accuracy = Panel("accuracy", clusters, np.stack([clusters.sums(right) for right in rights]), covered)
    lists = Lists.of(tested.task, tested.left, tested.right, tested.label)            # relevance.ranking
    by_left = Clusters(lists.task, lists.left, None, tested.kind).only(lists.relevant["ndcg_10"])
    ndcg = Panel("ndcg_10", by_left, sums, covered)
    contrasts = [difference("best ce", a, b, "macro", accuracy.weights("macro")), Contrast(...), ...]
    table = verdict.settled(effects(accuracy, contrasts, trained), ["best ce"])           # with p_holm and verdict

A row's own interval is a contrast of one term; a floor, fitted once, is a cell like others, a term that is not trained.

Variances are those that draws of entities have in the limit, without drawing: a mean over rows is theta = sum y / n,
the influence of a row (y - theta) / n, and the variance the sum over clusters of their squared influence, times
G / (G - 1) (Cameron and Miller 2015, doi:10.3368/jhr.50.2.317). Rows that share an entity are alike, on whichever side
it stands and in whichever task: the two-way variance is the sum over entities less the sum over pairs, whose two
entities were both counted (Cameron, Gelbach and Miller 2011, doi:10.1198/jbes.2010.07136; Aronow, Samii and Assenova
2015, doi:10.1093/pan/mpv018). It is used where it is above that of left entities alone. Where a kind has more than
POOLS entities, they are dealt at random to as many groups: the variance stays right on average, its own error is 6 %.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.special import stdtrit

from relevance.report.inference import ALPHA, Spread, rows_to_decide, seed_parts, seeds_to_decide, spread
from relevance.tasks import TASK_NAMES

POOLS = 512  # of each kind of entity; of pairs PAIRS
PAIRS = 1_024
FEWEST = 10  # left entities of a task, below which its rows say nothing of how sure a number is
ROUNDING = 1e-6  # of sums in single precision
CHUNK = 64  # cells looked at together
PARTS = 32  # of contrasts, remembered
TASKS = len(TASK_NAMES)
EFFECTS = (
    "family", "a", "b", "measure", "scope", "estimate", "low", "high", "df", "se_rows", "se_seeds", "n_rows", "n_lefts",
    "seeds", "p", "seeds_needed", "rows_needed", "trained_a", "trained_b", "reason",
)  # fmt: skip


@dataclass(frozen=True)
class Side:
    """The columns of sums by one way to cluster: one for each task and group that has rows."""

    index: np.ndarray  # of each unit its column, -1 for none [N]
    task: np.ndarray  # of each column [C]
    group: np.ndarray  # of each column, one numbering for all tasks [C]
    counts: np.ndarray  # units of each column [C]

    @classmethod
    def of(cls, task: np.ndarray, group: np.ndarray, there: np.ndarray) -> "Side":
        """Clusters of the units that are `there` [N]."""
        size = int(group.max(initial=0)) + 1
        keys, column = np.unique(task[there].astype(np.int64) * size + group[there], return_inverse=True)
        index = np.full(len(task), -1)
        index[there] = column
        return cls(index, keys // size, keys % size, np.bincount(column, minlength=len(keys)).astype(float))

    @cached_property
    def factor(self) -> np.ndarray:
        """Square root of G / (G - 1) of each column's task [C]; 0 for a task of one group."""
        groups = np.bincount(self.task, minlength=TASKS)[self.task].astype(float)
        return np.sqrt(np.divide(groups, groups - 1, out=np.zeros(len(groups)), where=groups > 1))

    @cached_property
    def grouped(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The columns in the order of their groups [C], the groups there are, and where each begins in that order."""
        order = np.argsort(self.group, kind="stable")
        return order, *np.unique(self.group[order], return_index=True)

    def effective(self, weights: np.ndarray, n: np.ndarray) -> float:
        """How many groups of one size would weigh as these do: 1 / the sum of squared shares (Kish 1965)."""
        share = np.bincount(self.group, np.abs(weights[self.task]) * self.counts / n[self.task])
        return float(share.sum() ** 2 / (share**2).sum()) if share.any() else 1.0


class Clusters:
    """Which of N units, rows or lists, share an entity, and so are alike; `right` is None of lists."""

    def __init__(
        self, task: np.ndarray, left: np.ndarray, right: np.ndarray | None, kind: np.ndarray, seed: int = 0
    ) -> None:
        self.task, self.left, self.right, self.kind, self.seed = task, left, right, kind, seed
        random = np.random.default_rng(seed)
        group, everyone = _pooled(kind, random), np.ones(len(task), bool)
        self.sides = [Side.of(task, group[left], everyone)]
        if right is not None:
            apart = left != right  # a pair of one entity is counted by its left side alone
            low, high = np.minimum(left, right).astype(np.int64), np.maximum(left, right)
            pairs, pair = np.unique(low * len(kind) + high, return_inverse=True)
            if len(pairs) > PAIRS:
                pair = random.permutation(np.arange(len(pairs)) % PAIRS)[pair]
            self.sides += [Side.of(task, group[right], apart), Side.of(task, pair, apart)]
        self.n = np.bincount(task, minlength=TASKS)
        seen = np.unique(task.astype(np.int64) * len(kind) + left)
        self.lefts = np.bincount(seen // len(kind), minlength=TASKS)

    def only(self, there: np.ndarray) -> "Clusters":
        """The clusters of the units at some places [M]: sums of values of those alone, in their order."""
        right = None if self.right is None else self.right[there]
        return Clusters(self.task[there], self.left[there], right, self.kind, self.seed)

    @cached_property
    def _matrix(self) -> csr_array:
        """Ones where a unit belongs to a column [C, N]."""
        places, first = [], 0
        for side in self.sides:
            units = np.flatnonzero(side.index >= 0)
            places.append(np.stack([side.index[units] + first, units]))
            first += len(side.task)
        row, unit = np.concatenate(places, axis=1)
        return csr_array((np.ones(len(row), np.float32), (row, unit)), shape=(first, len(self.task)))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Of the values of a cell [N], or of some [B, N], their sums by column of all sides [(B,) C] float32."""
        return (self._matrix @ values.T.astype(np.float32)).T

    @cached_property
    def ends(self) -> np.ndarray:
        """Where the columns of each side begin and end."""
        return np.cumsum([0, *(len(side.task) for side in self.sides)])


def _pooled(kind: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The group of each entity [E]: its own, or one of POOLS that its kind is dealt to."""
    group, first = np.empty(len(kind), np.int64), 0
    for code in np.unique(kind):
        members = random.permutation(np.flatnonzero(kind == code))
        pools = min(len(members), POOLS)
        group[members] = first + np.arange(len(members)) % pools
        first += pools
    return group


class Panel:
    """One measure of all cells on the same units."""

    def __init__(self, measure: str, clusters: Clusters, sums: np.ndarray, covered: np.ndarray) -> None:
        """`sums` [cells, C] are those of `clusters`; `covered` [cells, 6] says which tasks a cell was tested on."""
        self.measure, self.clusters, self.sums = measure, clusters, sums
        left, n = clusters.sides[0], clusters.n
        totals = sums[:, : len(left.task)] @ np.eye(TASKS, dtype=np.float32)[left.task]
        with np.errstate(invalid="ignore", divide="ignore"):
            self.means = np.where(covered & (n > 0), totals.astype(float) / n, np.nan)  # [cells, 6]
        self.part = lru_cache(PARTS)(self._part)  # one row stands in many contrasts

    def weights(self, scope: str) -> np.ndarray:
        """Of the tasks in a scope [6]: a task's name, "micro" or "macro"."""
        if scope == "macro":
            return (self.clusters.n > 0) / np.maximum(1, np.count_nonzero(self.clusters.n))
        if scope == "micro":
            return self.clusters.n / np.maximum(1, self.clusters.n.sum())
        return np.eye(TASKS)[TASK_NAMES.index(scope)]

    def values(self, cells: Sequence[int], weights: np.ndarray) -> np.ndarray:
        """Means of some cells over weighted tasks; NaN where one was not tested on any of these."""
        tasks = np.flatnonzero(weights)
        return self.means[np.asarray(cells)][:, tasks] @ weights[tasks]

    def influence(self, cells: Sequence[int], weights: np.ndarray) -> list[np.ndarray]:
        """Of each side the influences of some cells by column, their tasks weighted [cells, C of the side]."""
        scaled, means = [], np.where(weights != 0, self.means[np.asarray(cells)], 0)  # NaN of no task that counts
        for side, start, end in zip(self.clusters.sides, self.clusters.ends, self.clusters.ends[1:], strict=False):
            centred = self.sums[np.asarray(cells), start:end] - means[:, side.task] * side.counts
            scaled.append(centred * (side.factor * weights[side.task] / self.clusters.n[side.task]))
        return scaled

    def _part(self, cells: tuple[int, ...], weights: tuple[float, ...]) -> tuple[list[np.ndarray], tuple]:
        """Of cells that differ in seed the mean influence by column of each side [C], and `seed_parts`."""
        influence = self.influence(cells, np.array(weights))
        seeds = seed_parts(self.values(cells, np.array(weights)), self.by_group(influence[0]))
        return [side.mean(axis=0) for side in influence], seeds

    def by_group(self, influence: np.ndarray, at: int = 0) -> np.ndarray:
        """Influences by column of a side [..., C], its tasks added up by group of entities [..., G]."""
        order, present, starts = self.clusters.sides[at].grouped
        size = 1 + max(int(side.group.max(initial=0)) for side in self.clusters.sides[:2])
        sums = np.zeros((*influence.shape[:-1], size))
        if len(present):
            sums[..., present] = np.add.reduceat(influence[..., order], starts, axis=-1)
        return sums

    def rows_variance(self, influence: list[np.ndarray], weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Variances of estimates over entities, from their influences by column [..., C] of each side, and their df."""
        n, left = self.clusters.n, self.by_group(influence[0])
        one_way = (left**2).sum(axis=-1)
        df = np.maximum(self.clusters.sides[0].effective(weights, n) - 1, 1.0)
        if len(influence) == 1:
            return one_way, np.full(one_way.shape, df)
        both = left + self.by_group(influence[1], 1)
        more = np.maximum((both**2).sum(axis=-1) - (influence[2] ** 2).sum(axis=-1) - one_way, 0)
        df_right = np.maximum(self.clusters.sides[1].effective(weights, n) - 1, 1.0)
        known = one_way**2 / df + more**2 / df_right  # as Satterthwaite has it
        return one_way + more, np.divide((one_way + more) ** 2, known, out=np.full(one_way.shape, df), where=known > 0)

    def lows(self, reference: int) -> np.ndarray:
        """Lower ends of the intervals of every cell minus one of them, task by task, rows alone [cells, 6].

        A cell that is not above zero here against the majority floor tells no more than one answer to every row would.
        NaN for a task it was not tested on, or of fewer than FEWEST left entities.
        """
        low = np.full(self.means.shape, np.nan)
        for task in np.flatnonzero(self.clusters.lefts >= FEWEST):
            weights = np.eye(TASKS)[task]
            floor = self.influence([reference], weights)
            for start in range(0, len(low), CHUNK):
                cells = range(len(low))[start : start + CHUNK]
                apart = [side - other for side, other in zip(self.influence(cells, weights), floor, strict=True)]
                variance, df = self.rows_variance(apart, weights)
                estimate = self.means[cells, task] - self.means[reference, task]
                low[cells, task] = estimate - np.sqrt(variance) * stdtrit(df, 1 - ALPHA / 2)
        return low


@dataclass(frozen=True)
class Term:
    """A row of a table in a contrast."""

    cells: tuple[int, ...]  # its cells' numbers, one for each seed
    weights: np.ndarray  # of its tasks [6]; negative where it is taken away
    trained: bool = True  # False of a floor, which no seed changes


@dataclass(frozen=True)
class Contrast:
    """What is estimated: the sum of its terms, one of them trained; without any, `reason` says why it cannot be."""

    family: str  # the contrasts that are tested together
    a: str
    b: str
    scope: str
    terms: tuple[Term, ...]
    reason: str = ""


def difference(
    family: str, a: tuple[str, Sequence[int]], b: tuple[str, Sequence[int]], scope: str, weights: np.ndarray
) -> Contrast:
    """The first row minus the second, each with its name and its cells."""
    terms = (Term(tuple(a[1]), weights), Term(tuple(b[1]), -weights))
    return Contrast(family, a[0], b[0], scope, terms)


def means(panel: Panel, cells: Mapping[str, Sequence[int]], scopes: Sequence[str]) -> list[dict[str, Any]]:
    """The effects of rows by themselves, each with its name `a` and its cells; row by row, in each scope."""
    terms = [
        Contrast("mean", name, "", scope, (Term(tuple(of), panel.weights(scope)),))
        for name, of in cells.items()
        for scope in scopes
    ]
    return effects(panel, terms).to_dict("records")


def effects(
    panel: Panel, contrasts: Sequence[Contrast], trained: Mapping[str, float] = MappingProxyType({})
) -> pd.DataFrame:
    """A line per contrast, columns as EFFECTS: estimate and interval 0 to 1, `p` of zero, NaN at one seed.

    `trained` says how many weights each row trained, by name; a side that is no row has none. `seeds` is the fewest of
    its rows; `seeds_needed` (of each row) and `rows_needed` (test rows) say how many would set it apart from zero if it
    stayed as it is, NaN where none would. All NaN where there is no estimate, and but for the estimate where a task has
    fewer than FEWEST left entities.
    """
    lines = [_line(panel, contrast) for contrast in contrasts]
    frame = pd.DataFrame([line for line, _ in lines], columns=list(EFFECTS))
    names = [field.name for field in fields(Spread)]
    of = Spread(*(np.array([getattr(part, name) for _, part in lines], float) for name in names))
    estimate, k = frame["estimate"].to_numpy(float), frame["seeds"].to_numpy(float)
    half = of.half(ALPHA)
    return frame.assign(
        low=estimate - half, high=estimate + half, df=of.df, se_rows=np.sqrt(of.rows), se_seeds=np.sqrt(of.seeds),
        p=of.p(estimate), seeds_needed=seeds_to_decide(estimate, of, k),
        rows_needed=np.ceil(rows_to_decide(estimate, of) * frame["n_rows"].to_numpy(float)),
        trained_a=frame["a"].map(trained), trained_b=frame["b"].map(trained),
    )  # fmt: skip


def _line(panel: Panel, contrast: Contrast) -> tuple[dict[str, object], Spread]:
    """What can be said of a contrast without its interval, and what it varies by."""
    line: dict[str, object] = {"family": contrast.family, "a": contrast.a, "b": contrast.b, "scope": contrast.scope}
    line |= {"measure": panel.measure, "reason": contrast.reason}
    if not contrast.terms:
        return line, UNKNOWN
    clusters = panel.clusters
    values = [panel.values(term.cells, term.weights) for term in contrast.terms]
    estimate = sum(value.mean() for value in values)
    if abs(estimate) < ROUNDING:
        estimate = 0.0  # else rounding, of which there is no variance, would be decided
    there = np.any([term.weights != 0 for term in contrast.terms], axis=0)
    if not there.any():  # no row that the measure is of: lists of two right entities, in a small table
        estimate = np.nan
    line |= {"estimate": estimate, "n_rows": clusters.n[there].sum(), "n_lefts": clusters.lefts[there].sum()}
    line["seeds"] = min(len(term.cells) for term in contrast.terms if term.trained)
    if np.isnan(estimate) or clusters.lefts[there].min() < FEWEST:
        return line, UNKNOWN
    return line, _spread(panel, contrast.terms)


UNKNOWN = Spread(*[np.array(np.nan)] * 5)


def _spread(panel: Panel, terms: Sequence[Term]) -> Spread:
    parts = [panel.part(term.cells, tuple(term.weights)) for term in terms]
    total = [np.sum(side, axis=0) for side in zip(*(influence for influence, _ in parts), strict=True)]
    rows, df = panel.rows_variance(total, np.sum([np.abs(term.weights) for term in terms], axis=0))
    trained = [(len(term.cells), seeds) for term, (_, seeds) in zip(terms, parts, strict=True) if term.trained]
    k = np.array([number for number, _ in trained])
    scatter, noise = np.array([seeds for _, seeds in trained]).T / k
    return spread(rows, df, scatter, noise, k)
