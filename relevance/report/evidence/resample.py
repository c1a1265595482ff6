"""Right or wrong, row by row → the accuracies of resampled test rows, the same ones for every cell.

right [N] of a cell → accuracies [draws, 8] in the order of COLUMNS: two cells' differences are paired, draw by draw

Rows that share an entity are alike, so that entities are drawn, not rows: a row weighs what its left entity was drawn;
in a task of two entities of one kind, what both were, multiplied (the pigeonhole bootstrap, Owen 2007,
doi:10.1214/07-AOAS122: never too narrow on average, and up to 1.7 times too wide where entities do not matter).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from relevance.report.evidence.tested import KINDS, Tested
from relevance.scores import COLUMNS
from relevance.tasks import TASK_NAMES, TASKS

DRAWS = 1_000
MANY = 4_000  # entities of a kind; more are dealt at random to POOLS groups, which are drawn instead
POOLS = 256
CHUNK = 8_192  # units weighed at a time
BATCH = 128  # answers weighed at a time
LEVEL = 95.0  # percent an interval holds


@dataclass(frozen=True)
class Units:
    """Rows of one task that always weigh the same: one unit for each left entity, or for each pair of entities."""

    rows: np.ndarray  # places of the task's rows
    unit: np.ndarray  # of each of them
    groups: np.ndarray  # [U, 1 or 2]: which drawn weights multiply

    @property
    def sizes(self) -> np.ndarray:
        return np.bincount(self.unit, minlength=len(self.groups))


class Resample:
    """One set of draws over the entities of the test rows."""

    def __init__(self, tested: Tested, draws: int = DRAWS, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.tested, self.draws = tested, draws
        left, right, kind = tested.entities
        group = np.empty(len(kind), np.int64)
        drawn, first = [], 0
        for code in range(len(KINDS)):
            members = random.permutation(np.flatnonzero(kind == code))
            pools = len(members) if len(members) <= MANY else POOLS
            if pools:
                group[members] = first + np.arange(len(members)) % pools
                drawn.append(random.multinomial(pools, np.full(pools, 1 / pools), size=draws))
                first += pools
        self.weights = np.concatenate(drawn, axis=1).astype(np.float32)  # [draws, groups]
        self.units = [
            _units(np.flatnonzero(tested.task == code), group[left], group[right], TASKS[name].symmetric)
            for code, name in enumerate(TASK_NAMES)
        ]
        self.totals = np.stack([self._weighed(units, units.sizes[:, None])[:, 0] for units in self.units], axis=1)

    def accuracies(self, answers: Sequence[np.ndarray]) -> np.ndarray:
        """Accuracies [K, draws, 8] of K sets of answers, each a label per row [N] or -1 where it was not asked.

        NaN for a task that was not asked, and for a draw that left it no row.
        """
        parts = [np.empty((0, self.draws, len(COLUMNS)), np.float32)]
        for start in range(0, len(answers), BATCH):
            batch = answers[start : start + BATCH]
            parts.append(self.means([one == self.tested.label for one in batch], self.tested.asked(batch)))
        return np.concatenate(parts)

    def means(self, right: Sequence[np.ndarray], asked: np.ndarray) -> np.ndarray:
        """The same of any value per row [N] instead of right or wrong; `asked` [K, 6] says for which tasks."""
        hits = np.zeros((len(right), self.draws, len(TASK_NAMES)), np.float32)
        for code, units in enumerate(self.units):
            wanted = np.flatnonzero(asked[:, code])
            if len(wanted) and len(units.rows):
                size = len(units.groups)
                sums = [np.bincount(units.unit, right[k][units.rows], size) for k in wanted]
                hits[wanted, :, code] = self._weighed(units, np.array(sums, np.float32).T).T
        present = asked & (self.tested.n > 0)
        totals = np.where(asked[:, None, :], self.totals, 0).astype(np.float32)
        with np.errstate(invalid="ignore"):
            tasks = np.where(totals > 0, hits / np.where(totals > 0, totals, 1), np.nan)
            micro = hits.sum(axis=2) / totals.sum(axis=2)
            macro = np.where(present[:, None], tasks, 0).sum(axis=2) / present.sum(axis=1)[:, None]
        return np.concatenate([tasks, micro[..., None], macro[..., None]], axis=2)

    def _weighed(self, units: Units, sums: np.ndarray) -> np.ndarray:
        """Sums of each unit [U, K] → their weighed totals [draws, K]."""
        total = np.zeros((self.draws, sums.shape[1]), np.float32)
        for start, weights in self._weights(units):
            total += weights @ sums[start : start + CHUNK].astype(np.float32)
        return total

    def _weights(self, units: Units) -> Iterator[tuple[int, np.ndarray]]:
        for start in range(0, len(units.groups), CHUNK):
            groups = units.groups[start : start + CHUNK]
            yield start, np.multiply.reduce([self.weights[:, column] for column in groups.T])


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
        return Units(rows, unit, groups[:, None])
    pair = np.sort(np.stack([left[rows], right[rows]]), axis=0)
    size = int(max(left.max(), right.max())) + 1
    codes, unit = np.unique(pair[0] * size + pair[1], return_inverse=True)
    return Units(rows, unit, np.stack([codes // size, codes % size], axis=1))
