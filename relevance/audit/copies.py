"""Pairs that stand in several rows of a task, or, by their texts, under several tasks.

query_query q1 | q2 label 2 and q2 | q1 label 0 → one repeated pair, one row too many, mirrored, conflicting
"""

from itertools import combinations

import numpy as np

from relevance.audit.match import Match, split_up
from relevance.audit.opened import Opened
from relevance.tasks import TASK_NAMES

COUNTS = ("pairs", "rows", "mirrored", "conflicting", "conflicting_rows")


def copies(found: Opened, match: Match) -> dict[str, dict[str, dict[str, int]]]:
    """By task (and of all), by entities and by texts: repeated pairs, their rows beyond the first of each, how many
    of the pairs stand mirrored and how many under two labels, and the rows of the latter.

    By texts the same two texts of one task count, whatever the ids.
    """
    ways = {"entities": _repeats(match.entities, found, match), "texts": _repeats(match.task_texts, found, match)}
    return {
        name: {way: dict(zip(COUNTS, counted(rows), strict=True)) for way, counted in ways.items()}
        for name, rows in found.parts().items()
    }


def _repeats(group: np.ndarray, found: Opened, match: Match):
    """A function from a mask of rows [N] to COUNTS."""
    size = np.bincount(group)
    first = np.zeros(len(group), bool)
    first[np.unique(group, return_index=True)[1]] = True
    repeated = size[group] > 1
    conflicting = split_up(group, found.label)
    marks = (
        repeated & first,
        repeated & ~first,
        _mirrored(group, found, match) & first,
        conflicting & first,
        conflicting,
    )
    return lambda rows: [int((mark & rows).sum()) for mark in marks]


def _mirrored(group: np.ndarray, found: Opened, match: Match) -> np.ndarray:
    return split_up(group, match.turned.astype(np.int8))


def elsewhere(found: Opened, match: Match) -> dict[str, dict[str, int]]:
    """By task (and of all): rows whose pair stands in another split of its task, by entities and by texts, and rows
    whose two texts stand under another task."""
    marks = {
        "other_split_entities": split_up(match.entities, found.split),
        "other_split_texts": split_up(match.task_texts, found.split),
        "other_task_texts": split_up(match.texts, found.keys.task),
    }
    return {name: {mark: int((on & rows).sum()) for mark, on in marks.items()} for name, rows in found.parts().items()}


def shared_texts(found: Opened, match: Match) -> list[dict]:
    """For every two tasks that share pairs of texts: how many, and of how many the labels differ.

    A pair that has two labels in one of the tasks differs.
    """
    told = np.zeros((len(TASK_NAMES), int(match.texts.max(initial=0)) + 1), np.int8)  # bits of the labels met
    for label in range(3):
        rows = found.label == label
        told[found.keys.task[rows], match.texts[rows]] |= 1 << label
    lines = []
    for one, other in combinations(range(len(TASK_NAMES)), 2):
        both = (told[one] > 0) & (told[other] > 0)
        if both.any():
            apart = int((both & (told[one] != told[other])).sum())
            n = int(both.sum())
            tasks = [TASK_NAMES[one], TASK_NAMES[other]]
            lines.append({"tasks": tasks, "pairs": n, "differing": apart, "share": apart / n})
    return sorted(lines, key=lambda line: (-line["differing"], -line["pairs"], line["tasks"]))
