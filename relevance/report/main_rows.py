"""The rows that claims are about: joint, and of the variant that most of a sweep's joint rows have.

(llm, mhp) → the row llm mhp joint [data.rows=10000,match=steps]; with it the families, their models, their baselines
"""

from collections import Counter
from functools import cached_property

import numpy as np

from relevance.report.leaders import whole
from relevance.report.matrix import JOINT, SINGLE, Matrix
from relevance.report.row import Row
from relevance.report.variants import MATCH, parts, without
from relevance.scores import COLUMNS
from relevance.tasks import TASK_NAMES

SHARED = "mhp_shared"
PLAIN = ("mh", "none", "prefix")  # whose single-task cells stand in where a routing has none of its own


class MainRows:
    """Lookups among the finished rows of one matrix."""

    def __init__(self, matrix: Matrix) -> None:
        self.matrix = matrix
        self.finished = [row for row in matrix.rows if row.finished]
        joint = [row for row in whole(matrix) if row.labels[2] == JOINT]
        counts = Counter(row.labels[3] for row in joint)
        self.variant = min(counts, key=lambda text: (-counts[text], len(text), text)) if counts else ""
        self.joint = {row.labels[:2]: row for row in joint if row.labels[3] == self.variant}

    @cached_property
    def families(self) -> dict[str, list[str]]:
        """Models by family, in the order of the table; a model whose runs name no family is one by itself."""
        found: dict[str, list[str]] = {}
        for (model, _), row in self.joint.items():
            if model not in found.setdefault(row.family, []):
                found[row.family].append(model)
        return found

    def routings(self, model: str) -> list[str]:
        """The routings a model was trained with, in the order of the table."""
        return [routing for one, routing in self.joint if one == model]

    def having(self, family: str, *routings: str) -> list[str]:
        """The models of a family that were trained with all of these routings."""
        return [model for model in self.families.get(family, []) if set(routings) <= set(self.routings(model))]

    def singles(self, row: Row) -> dict[str, dict[str, Row]]:
        """Baselines of a row of several tasks: by budget ("steps", "examples" or ""), by task.

        They are of the same model and variant, under a matched budget where the row is; of the routing that has most
        tasks, of equals the row's own, else the plainest.
        """
        model, routing, _, variant = row.labels
        found: dict[str, dict[str, dict[str, Row]]] = {}
        for one in self.finished:
            alike = one.labels[0] == model and without(one.labels[3], MATCH) == without(variant, MATCH)
            budget = self._budget(one)
            if alike and one.labels[2].startswith(SINGLE) and bool(budget) == bool(self._budget(row)):
                task = one.labels[2].removeprefix(SINGLE)
                found.setdefault(budget, {}).setdefault(one.labels[1], {})[task] = one
        order = [routing, *PLAIN]

        def preferred(pair: tuple[str, dict[str, Row]]) -> tuple[int, int]:
            return -len(pair[1]), order.index(pair[0]) if pair[0] in order else len(order)

        return {budget: min(by_routing.items(), key=preferred)[1] for budget, by_routing in found.items()}

    def _budget(self, row: Row) -> str:
        return (self.matrix.common | parts(row.labels[3])).get(MATCH, "")

    @cached_property
    def low(self) -> np.ndarray:
        """Weights over COLUMNS [8] that average the half of the tested tasks that has the fewest training rows."""
        tested = np.flatnonzero(self.matrix.n)
        few = tested[np.argsort(self.matrix.train[tested], kind="stable")][: max(1, len(tested) // 2)]
        weights = np.zeros(len(COLUMNS))
        weights[few] = 1 / len(few)
        return weights

    @property
    def low_tasks(self) -> list[str]:
        return [TASK_NAMES[task] for task in np.flatnonzero(self.low)]
