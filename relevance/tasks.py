"""The words of the project as data: entity kinds, six tasks, three labels.

A row of a pairs table: task="query_item", left="usb c cable", right="Volt USB-C cable 2 m, black", label=2.
"""

from dataclasses import dataclass

LABELS = ("irrelevant", "partial", "relevant")
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Task:
    """Which two kinds of entity a pair holds."""

    name: str
    left: str
    right: str

    @property
    def symmetric(self) -> bool:
        return self.left == self.right

    @property
    def prefix(self) -> str:
        """The line that names the task in front of a text, "query item:".

        It ends in a line break: a word behind one has the ids it has at the start of a text, under every tokenizer.
        """
        return f"{self.left} {self.right}:\n"


TASKS = {
    name: Task(name, *name.split("_"))
    for name in "query_item query_query item_item query_type item_type type_type".split()
}
TASK_NAMES = tuple(TASKS)
TASK_INDEX = {name: index for index, name in enumerate(TASK_NAMES)}
