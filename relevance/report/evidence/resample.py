"""Right or wrong, row by row → the accuracies of resampled test rows, the same ones for every cell.

right [N] of a cell → accuracies [draws, 8] in the order of COLUMNS: two cells' differences are paired, draw by draw

Rows that share an entity are alike, so that entities are drawn, not rows: a row weighs what its left entity was drawn;
in a task of two entities of one kind, what both were, multiplied (the pigeonhole bootstrap, Owen 2007,
doi:10.1214/07-AOAS122: never too narrow on average, and up to 1.7 times too wide where entities do not matter).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from relevance.data.keys import KINDS
from relevance.report.evidence.held_out import HeldOut
from relevance.scores import COLUMNS
from relevance.tasks import TASK_NAMES, TASKS

DRAWS = 1_000
MANY = 2_000  # entities of a kind; more are dealt at random to POOLS groups, which are drawn instead
POOLS = 128
CHUNK = 8_192  # units weighed at a time
FEWEST = 10  # entities of a task, below which drawing them again says nothing of how sure a number is
KEPT = 40_000  # units of a task whose weights are worth the memory of keeping them
BATCH = 32  # answers weighed at a time
LEVEL = 95.0  # percent an interval holds


@dataclass(frozen=True)
class Units:
    """Rows of one task that always weigh the same: one unit for each left entity, or for each pair of entities."""

    rows: np.ndarray  # places of the task's rows, those of one unit together
    starts: np.ndarray  # of each unit among them [U]
    groups: np.ndarray  # [U, 1 or 2]: which drawn weights multiply

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Of the values of all rows [N], the sum of each unit [U]."""
        return np.add.reduceat(values[self.rows], self.starts, dtype=np.float32)


class Resample:
    """One set of draws over the entities of the test rows."""

    def __init__(self, tested: HeldOut, draws: int = DRAWS, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.tested, self.draws = tested, draws
        group = self.group = np.empty(len(tested.kind), np.int64)  # of each entity: which column of the weights is its
        drawn, first, self.pooled = [], 0, False
        for code in range(len(KINDS)):
            members = random.permutation(np.flatnonzero(tested.kind == code))
            pools = len(members) if len(members) <= MANY else POOLS
            self.pooled |= pools < len(members)
            if pools:
                group[members] = first + np.arange(len(members)) % pools
                drawn.append(random.multinomial(pools, np.full(pools, 1 / pools), size=draws))
                first += pools
        self.weights = np.concatenate(drawn, axis=1).astype(np.float32)  # [draws, groups]
        self.units = [
            _units(np.flatnonzero(tested.task == code), group[tested.left], group[tested.right], TASKS[name].symmetric)
            for code, name in enumerate(TASK_NAMES)
        ]
        entities = [len(np.unique(units.groups)) for units in self.units]
        self.thin = (np.array(entities) < FEWEST) & (tested.n > 0)  # tasks [6] too few entities for any interval
        self.kept: dict[tuple[int, int], np.ndarray] = {}
        one = np.ones(len(tested.row), np.float32)
        self.totals = np.stack([self._weighed(code, [one])[0] for code in range(len(TASK_NAMES))], axis=1)

    def accuracies(self, answers: Sequence[np.ndarray], asked: np.ndarray) -> np.ndarray:
        """Accuracies [K, draws, 8] of K sets of answers, each a label per row [N] or -1 where it was not asked.

        `asked` says of which tasks [K, 6]. NaN for a task that was not asked, one of fewer than FEWEST entities
        (and for macro, if it is among its tasks), and a draw that left it no row.
        """
        found = np.empty((len(answers), self.draws, len(COLUMNS)), np.float32)
        for start in range(0, len(answers), BATCH):
            here = slice(start, start + BATCH)
            found[here] = self.means([one == self.tested.label for one in answers[here]], asked[here])
        return found

    def means(self, right: Sequence[np.ndarray], asked: np.ndarray) -> np.ndarray:
        """The same of any value per row [N] instead of right or wrong; `asked` [K, 6] says for which tasks."""
        asked = asked & (self.tested.n > 0)
        hits = np.zeros((len(right), self.draws, len(TASK_NAMES)), np.float32)
        for code in range(len(TASK_NAMES)):
            wanted = np.flatnonzero(asked[:, code])
            if len(wanted) and self.tested.n[code]:
                hits[wanted, :, code] = self._weighed(code, [right[k] for k in wanted])
        totals = np.where(asked[:, None, :], self.totals, 0).astype(np.float32)
        with np.errstate(invalid="ignore"):
            tasks = np.where(totals > 0, hits / np.where(totals > 0, totals, 1), np.nan)
            tasks[:, :, self.thin] = np.nan
            micro = hits.sum(axis=2) / totals.sum(axis=2)
            macro = np.where(asked[:, None], tasks, 0).sum(axis=2) / asked.sum(axis=1)[:, None]
        return np.concatenate([tasks, micro[..., None], macro[..., None]], axis=2)

    def _weighed(self, code: int, values: Sequence[np.ndarray]) -> np.ndarray:
        """Values of all rows, K times [N] → their weighed totals over the rows of one task [K, draws]."""
        units = self.units[code]
        total = np.zeros((len(values), self.draws), np.float32)
        if not len(units.rows):
            return total
        sums = np.stack([units.sums(one) for one in values])
        for start, weights in self._weights(code):
            total += sums[:, start : start + CHUNK] @ weights.T
        return total

    def _weights(self, code: int) -> Iterator[tuple[int, np.ndarray]]:
        """Weights [draws, up to CHUNK] of the units of one task, from each start on."""
        units = self.units[code]
        for start in range(0, len(units.groups), CHUNK):
            if (code, start) not in self.kept:
                first, *second = units.groups[start : start + CHUNK].T
                weights = self.weights[:, first]
                for other in second:  # a row whose two entities, or their groups, are one weighs it once
                    weights *= np.where(other == first, 1, self.weights[:, other])
                if len(units.groups) > KEPT:
                    yield start, weights
                    continue
                self.kept[code, start] = weights
            yield start, self.kept[code, start]


def interval(draws: np.ndarray) -> tuple[float, float]:
    """The middle 95 % of the draws that are numbers; NaN where none is."""
    known = draws[~np.isnan(draws)]
    if not len(known):
        return np.nan, np.nan
    low, high = np.percentile(known, [50 - LEVEL / 2, 50 + LEVEL / 2])
    return float(low), float(high)


def _units(rows: np.ndarray, left: np.ndarray, right: np.ndarray, symmetric: bool) -> Units:
    if not symmetric:
        groups, unit = np.unique(left[rows], return_inverse=True)
        groups = groups[:, None]
    else:
        pair = np.sort(np.stack([left[rows], right[rows]]), axis=0)
        size = int(max(left.max(initial=0), right.max(initial=0))) + 1
        codes, unit = np.unique(pair[0] * size + pair[1], return_inverse=True)
        groups = np.stack([codes // size, codes % size], axis=1)
    order = np.argsort(unit, kind="stable")
    return Units(rows[order], np.searchsorted(unit[order], np.arange(len(groups))), groups)
