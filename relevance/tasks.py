"""The words of the project as data: entity kinds, six tasks, three labels.

A row of a pairs table: task="query_item", left="usb c cable", right="Volt USB-C cable 2 m, black", label=2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ONE_LABEL = "one label only"  # how a warning of `single_labels` starts
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


def single_labels(rows: Mapping[str, Sequence[Sequence[int]]]) -> list[str]:
    """A warning where all pairs, or all of a task, have one label; `rows` [splits, 3] of each task, by label."""
    counts = {task: [sum(split) for split in zip(*splits, strict=True)] for task, splits in rows.items()}
    single = {task: labels for task, labels in counts.items() if sum(map(bool, labels)) == 1}
    whole = [sum(labels) for labels in zip(*counts.values(), strict=True)]
    remedy = "a model that always says it is 100 % right; add pairs of other labels"
    if sum(map(bool, whole)) == 1:
        return [f"{ONE_LABEL}: all {sum(whole):,} pairs have label {_label(whole)}: {remedy}"]
    return [
        f"{ONE_LABEL}: all {sum(labels):,} pairs of {task} have label {_label(labels)}: {remedy}"
        for task, labels in single.items()
    ]


def _label(counts: Sequence[int]) -> str:
    label = next(at for at, count in enumerate(counts) if count)
    return f"{label} ({LABELS[label]})"
