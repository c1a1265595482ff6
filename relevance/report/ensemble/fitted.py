"""Validation predictions of the members → what may be fitted on them: weights, an order, the best subset.

Nothing here sees a test row.
"""

from itertools import combinations

import numpy as np
import pyarrow as pa

from relevance import predictions
from relevance.records import CellRecord
from relevance.scores import task_codes
from relevance.vote import LABELS

EXHAUSTIVE = 8  # members up to which every subset is tried; above, one member is added after the other


class Validation:
    """The members' validation rows: probabilities [M, V, 3], labels [V], tasks [V]."""

    def __init__(self, tables: list[pa.Table]) -> None:
        self.label = tables[0]["label"].to_numpy()
        self.task = task_codes(tables[0]["task"])
        self.p = np.stack([predictions.probabilities(table) for table in tables])
        self.labels = np.stack([table["predicted"].to_numpy() for table in tables])

    @classmethod
    def of(cls, members: tuple[CellRecord, ...]) -> "Validation | None":
        """None where a member's file is absent, empty, or of other rows than the first one's."""
        paths = [cell.folder / "validation.parquet" for cell in members]
        if not all(path.is_file() for path in paths):
            return None
        tables = [predictions.read(path) for path in paths]
        alike = all(table["row"].equals(tables[0]["row"]) for table in tables)
        return cls(tables) if alike and len(tables[0]) else None

    def macro(self, right: np.ndarray) -> np.ndarray:
        """Mean over tasks of the shares of right answers [..., V] → [...]."""
        return np.mean([right[..., self.task == task].mean(axis=-1) for task in np.unique(self.task)], axis=0)

    @property
    def order(self) -> list[int]:
        """The members by macro accuracy, the best first."""
        return np.argsort(-self.macro(self.labels == self.label), kind="stable").tolist()

    def weights(self) -> np.ndarray:
        """Shares [M] of the mean of probabilities whose log loss is lowest; they sum to 1 and none is below 0."""
        from scipy.optimize import minimize

        given = np.take_along_axis(self.p, self.label[None, :, None].astype(np.intp), axis=2)[..., 0]  # [M, V]
        given = np.maximum(given.astype(np.float64), 1e-9)

        def loss(shares: np.ndarray) -> tuple[float, np.ndarray]:
            mixed = shares @ given
            return -np.log(mixed).mean(), -(given / mixed).mean(axis=1)

        members = len(given)
        bounds, whole = [(1e-6, 1.0)] * members, {"type": "eq", "fun": lambda shares: shares.sum() - 1}
        start = np.full(members, 1 / members)
        found = minimize(loss, start, jac=True, method="SLSQP", bounds=bounds, constraints=[whole])
        return found.x / found.x.sum()

    def subset(self) -> list[int]:
        """Places of the members whose vote (ties to the higher label) is best; the fewest and first of equals."""
        votes = np.stack([self.labels == label for label in range(LABELS)], axis=1).astype(np.int16)  # [M, 3, V]
        members = range(len(votes))
        if len(votes) <= EXHAUSTIVE:
            tried = [list(some) for size in range(1, len(votes) + 1) for some in combinations(members, size)]
            return max(tried, key=lambda some: (self._voted(votes[some].sum(axis=0)), -len(some)))
        return self._grown(votes)

    def _grown(self, votes: np.ndarray) -> list[int]:
        """One member after the other, each the one that helps most, until none does (Caruana and others 2004)."""
        chosen, best = [], -1.0
        while len(chosen) < len(votes):
            counts = votes[chosen].sum(axis=0)
            gains = {one: self._voted(counts + votes[one]) for one in range(len(votes)) if one not in chosen}
            one = max(gains, key=gains.__getitem__)
            if gains[one] <= best:
                break
            chosen, best = [*chosen, one], gains[one]
        return sorted(chosen)

    def _voted(self, counts: np.ndarray) -> float:
        highest = LABELS - 1 - counts[::-1].argmax(axis=0)
        return float(self.macro(highest == self.label))
