"""A table of pairs → every number of its audit, as plain data with stable keys: what audit.json holds.

{"rows": {"sound": 19457, "set_aside": 0, ...}, "labels": {"query_item": {"train": {"rows": 3044, "labels":
[966, 983, 1095], ...}, ...}}, "copies": ..., "leaks": ..., "lengths": ..., "baseline": ..., "agreement": ...}
"""

from collections.abc import Callable, Mapping
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.audit.agreement import judged, ordered_by
from relevance.audit.leaks import leaks
from relevance.audit.opened import ALL, Match, Opened, match_pairs, split_up
from relevance.data.faults import LISTED, faulty_rows
from relevance.data.floors import Labelled, lexical_floor, majority_floor
from relevance.data.table import task_counts
from relevance.tasks import LABELS, SPLITS, TASK_NAMES

PERCENTILES = (5, 50, 95, 99, 100)
SOURCES_SHOWN = 40  # rules of a task with a line of their own
COPIES = ("pairs", "rows", "mirrored", "conflicting", "conflicting_rows")
BASELINE_SEED = 0  # of the rows of larger tables
BASELINE_ROWS = {"train": 20_000, "test": 10_000}  # of a task, at most


def audit_facts(pairs: Opened) -> dict:
    """The audit of a table; the same rows give the same numbers."""
    match = match_pairs(pairs.keys)
    return {
        "file": pairs.name,
        "rows": _rows(pairs),
        "split": {"given": not pairs.divided, "divided": pairs.divided or None},
        "labels": label_table(pairs),
        "sources": source_counts(pairs),
        "copies": copies(pairs, match),
        "shared_texts": shared_texts(pairs, match),
        "leaks": leaks(pairs.keys, pairs.where("train"), pairs.where("test"), match).shares(),
        "elsewhere": elsewhere(pairs, match),
        "lengths": {"percentiles": list(PERCENTILES), "tasks": text_lengths(pairs)},
        "baseline": {"most": BASELINE_ROWS, "seed": BASELINE_SEED, "tasks": baseline(pairs)},
        "agreement": {"order": ordered_by(pairs), "tasks": judged(pairs)},
    }


def _rows(pairs: Opened) -> dict:
    reasons = [
        {
            "problem": fault.problem,
            "remedy": fault.remedy,
            "rows": len(fault.rows),
            "first": fault.rows[:LISTED].tolist(),
        }
        for fault in pairs.faults
    ]
    aside, sound = len(faulty_rows(pairs.faults)), len(pairs.rows)
    counts = {"read": sound + aside, "sound": sound, "set_aside": aside}
    return counts | {"reasons": reasons, "counted": pairs.counted}


def label_table(pairs: Opened) -> dict[str, dict[str, dict]]:
    """By task (and of all) and split: rows, of each label [3], and their shares [3]."""
    cube = task_counts(pairs.table)
    tasks = {task: _by_split(splits) for task, splits in zip(TASK_NAMES, cube, strict=True) if splits.any()}
    return tasks | {ALL: _by_split(cube.sum(axis=0))}


def _by_split(splits: np.ndarray) -> dict[str, dict]:
    return {split: _shared(labels) for split, labels in zip(SPLITS, splits, strict=True)}


def _shared(labels: np.ndarray) -> dict:
    n = int(labels.sum())
    return {"rows": n, "labels": labels.tolist(), "shares": (labels / n).tolist() if n else None}


def source_counts(pairs: Opened) -> dict[str, list[dict]]:
    """The rules of each task, of most rows first, with their rows by label [3]; from the 41st on one counts them."""
    if pairs.table["source"].null_count == len(pairs.table):
        return {}
    columns = pairs.table.select(["task", "source", "label"])
    cells = columns.group_by(["task", "source", "label"]).aggregate([([], "count_all")])
    rows: dict[str, dict[str | None, list[int]]] = {}
    for cell in cells.to_pylist():
        rules = rows.setdefault(cell["task"], {})
        rules.setdefault(cell["source"], [0] * len(LABELS))[cell["label"]] = cell["count_all"]
    return {task: _largest(rows[task]) for task in TASK_NAMES if task in rows}


def _largest(rules: dict[str | None, list[int]]) -> list[dict]:
    ordered = sorted(rules, key=lambda rule: (-sum(rules[rule]), rule or ""))
    lines: list[dict] = [{"source": rule, "labels": rules[rule]} for rule in ordered[:SOURCES_SHOWN]]
    if others := ordered[SOURCES_SHOWN:]:
        lines.append({"others": len(others), "labels": np.sum([rules[rule] for rule in others], axis=0).tolist()})
    return lines


def copies(pairs: Opened, match: Match) -> dict[str, dict[str, dict[str, int]]]:
    """By task (and of all), by entities and by texts: repeated pairs, their rows beyond the first of each, how many
    of the pairs stand mirrored and how many under two labels, and the rows of the latter.

    By texts the same two texts of one task count, whatever the ids.
    """
    ways = {"entities": _repeats(match.entities, pairs, match), "texts": _repeats(match.task_texts, pairs, match)}
    return {
        name: {way: dict(zip(COPIES, counted(rows), strict=True)) for way, counted in ways.items()}
        for name, rows in pairs.parts().items()
    }


def _repeats(group: np.ndarray, pairs: Opened, match: Match) -> Callable[[np.ndarray], list[int]]:
    """A function from a mask of rows [N] to the counts of COPIES."""
    size = np.bincount(group)
    first = np.zeros(len(group), bool)
    first[np.unique(group, return_index=True)[1]] = True
    repeated = size[group] > 1
    conflicting = split_up(group, pairs.label)
    marks = (
        repeated & first,
        repeated & ~first,
        split_up(group, match.turned.astype(np.int8)) & first,
        conflicting & first,
        conflicting,
    )
    return lambda rows: [int((mark & rows).sum()) for mark in marks]


def shared_texts(pairs: Opened, match: Match) -> list[dict]:
    """For every two tasks that share pairs of texts: how many, and of how many the labels differ.

    A pair that has two labels in one of the tasks differs.
    """
    labels = np.zeros((len(TASK_NAMES), int(match.texts.max(initial=0)) + 1), np.int8)  # bits of the labels met
    for label in range(3):
        rows = pairs.label == label
        labels[pairs.keys.task[rows], match.texts[rows]] |= 1 << label
    lines = []
    for one, other in combinations(range(len(TASK_NAMES)), 2):
        both = (labels[one] > 0) & (labels[other] > 0)
        if both.any():
            apart = int((both & (labels[one] != labels[other])).sum())
            n = int(both.sum())
            tasks = [TASK_NAMES[one], TASK_NAMES[other]]
            lines.append({"tasks": tasks, "pairs": n, "differing": apart, "share": apart / n})
    return sorted(lines, key=lambda line: (-line["differing"], -line["pairs"], line["tasks"]))


def elsewhere(pairs: Opened, match: Match) -> dict[str, dict[str, int]]:
    """By task (and of all): rows whose pair stands in another split of its task, by entities and by texts, and rows
    whose two texts stand under another task."""
    marks = {
        "other_split_entities": split_up(match.entities, pairs.split),
        "other_split_texts": split_up(match.task_texts, pairs.split),
        "other_task_texts": split_up(match.texts, pairs.keys.task),
    }
    return {name: {mark: int((on & rows).sum()) for mark, on in marks.items()} for name, rows in pairs.parts().items()}


def text_lengths(pairs: Opened) -> dict[str, dict[str, dict[str, list[int]]]]:
    """By task (and of all), side and unit the PERCENTILES [5], each a length that occurs; words end at white space."""
    sizes = {side: _sizes(pairs.table[side]) for side in ("left", "right")}
    return {
        name: {side: {unit: _percentiles(size[rows]) for unit, size in units.items()} for side, units in sizes.items()}
        for name, rows in pairs.parts().items()
    }


def _sizes(texts: pa.ChunkedArray) -> Mapping[str, np.ndarray]:
    return {
        "characters": pc.utf8_length(texts).to_numpy(),
        "words": pc.count_substring_regex(texts, r"\S+").to_numpy(),
    }


def _percentiles(size: np.ndarray) -> list[int]:
    return [int(value) for value in np.percentile(size, PERCENTILES, method="inverted_cdf")]


def baseline(pairs: Opened) -> dict[str, dict]:
    """By task of test rows (and of all of them): the rows looked at and the accuracy of both floors on them.

    item_type: 20,000 of 311,012 training rows, 10,000 of 43,001 test rows → majority 36.9 %, lexical 91.2 %.

    At most BASELINE_ROWS of a task and split are taken, drawn by BASELINE_SEED; where no more exist the numbers are
    those of the report's floors. A task is absent where it has no test rows, its accuracy None where none of its rows
    are training.
    """
    chosen, train = _baseline_rows(pairs)
    if not (~train).any() or not train.any():
        return {}
    table = pairs.table.select(["left", "right"]).take(pa.array(chosen))
    task, label = pairs.keys.task[chosen], pairs.label[chosen]
    rows = Labelled(task, table["left"], table["right"], label, train)
    hits = {
        name: floor(rows).argmax(axis=1) == label[~train]
        for name, floor in (("majority", majority_floor), ("lexical", lexical_floor))
    }
    tasks = {}
    for code in np.unique(task[~train]):
        tasks[TASK_NAMES[code]] = _accuracies(task[train] == code, task[~train] == code, hits)
    return tasks | {ALL: _accuracies(np.ones(train.sum(), bool), np.ones((~train).sum(), bool), hits)}


def _baseline_rows(pairs: Opened) -> tuple[np.ndarray, np.ndarray]:
    """Places [n] of the rows looked at, ascending, and which of them [n] are training."""
    rng = np.random.default_rng(BASELINE_SEED)
    train, rows = pairs.where("train"), []
    for task in range(len(TASK_NAMES)):
        for split, most in BASELINE_ROWS.items():
            at = np.flatnonzero((pairs.keys.task == task) & pairs.where(split))
            rows.append(at if len(at) <= most else rng.choice(at, most, replace=False))
    chosen = np.sort(np.concatenate(rows))
    return chosen, train[chosen]


def _accuracies(fit: np.ndarray, test: np.ndarray, hits: dict[str, np.ndarray]) -> dict:
    line: dict = {"train": int(fit.sum()), "test": int(test.sum())}
    line |= {name: float(right[test].mean()) if fit.any() else None for name, right in hits.items()}
    return line | {"gain": line["lexical"] - line["majority"] if fit.any() else None}
