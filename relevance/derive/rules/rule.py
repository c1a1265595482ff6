"""A rule: a name, the task it makes rows of, and a query over the tables of relevance.derive.world.

Rule("own type", "item_type", "SELECT n AS l, t AS r, 2 AS label, 1 AS votes FROM item WHERE ...")
"""

from dataclasses import dataclass

from relevance.tasks import TASKS, Task


@dataclass(frozen=True)
class Rule:
    """`query` finds l, r (numbers of the left and the right entity), label and votes (how often that was seen).

    A pair of a symmetric task may come in either order. $name in the query is a setting of derive's rules and caps, or
    its seed; `needs` are inputs without which the rule finds nothing.
    """

    name: str
    task: str
    query: str
    needs: tuple[str, ...]

    @property
    def kinds(self) -> Task:
        return TASKS[self.task]
