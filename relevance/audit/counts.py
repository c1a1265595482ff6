"""Rows of each task by split, label and rule, and how long their texts are.

query_item: train 3,044 rows, labels [966, 983, 1,095]; source "esci" [61, 42, 97]; lengths of left

Pairs that stand in several rows of a task, or, by their texts, under several tasks.

query_query q1 | q2 label 2 and q2 | q1 label 0 → one repeated pair, one row too many, mirrored, conflicting

Pairs with several judgements → how far annotators agree.

query_item q1 | i4: label 2 by "ann", 1 by "bob", 2 by "eve" → (2, 1) and (1, 2)

How far the surface of the texts gets on the test rows: the floors of a report, on a sample of large tables.

item_type: 20,000 of 311,012 training rows, 10,000 of 43,001 test rows → majority 36.9 %, lexical 91.2 %
"""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.audit.agreement import agreement, couples
from relevance.audit.opened import ALL, Match, Opened, split_up
from relevance.data.floors import Labelled, lexical_floor, majority_floor
from relevance.data.notes import task_counts
from relevance.tasks import LABELS, SPLITS, TASK_NAMES

PERCENTILES = (5, 50, 95, 99, 100)
SOURCES_SHOWN = 40  # rules of a task with a line of their own


def label_table(found: Opened) -> dict[str, dict[str, dict]]:
    """By task (and of all) and split: rows, of each label [3], and their shares [3]."""
    cube = task_counts(found.table)
    told = {task: _by_split(splits) for task, splits in zip(TASK_NAMES, cube, strict=True) if splits.any()}
    return told | {ALL: _by_split(cube.sum(axis=0))}


def _by_split(splits: np.ndarray) -> dict[str, dict]:
    return {split: _shared(labels) for split, labels in zip(SPLITS, splits, strict=True)}


def _shared(labels: np.ndarray) -> dict:
    n = int(labels.sum())
    return {"rows": n, "labels": labels.tolist(), "shares": (labels / n).tolist() if n else None}


def source_counts(found: Opened) -> dict[str, list[dict]]:
    """The rules of each task, of most rows first, with their rows by label [3]; from the 41st on one counts them."""
    if found.table["source"].null_count == len(found.table):
        return {}
    columns = found.table.select(["task", "source", "label"])
    cells = columns.group_by(["task", "source", "label"]).aggregate([([], "count_all")])
    told: dict[str, dict[str | None, list[int]]] = {}
    for cell in cells.to_pylist():
        rules = told.setdefault(cell["task"], {})
        rules.setdefault(cell["source"], [0] * len(LABELS))[cell["label"]] = cell["count_all"]
    return {task: _largest(told[task]) for task in TASK_NAMES if task in told}


def _largest(rules: dict[str | None, list[int]]) -> list[dict]:
    ordered = sorted(rules, key=lambda rule: (-sum(rules[rule]), rule or ""))
    told = [{"source": rule, "labels": rules[rule]} for rule in ordered[:SOURCES_SHOWN]]
    if others := ordered[SOURCES_SHOWN:]:
        told.append({"others": len(others), "labels": np.sum([rules[rule] for rule in others], axis=0).tolist()})
    return told


def text_lengths(found: Opened) -> dict[str, dict[str, dict[str, list[int]]]]:
    """By task (and of all), side and unit the PERCENTILES [5], each a length that occurs; words end at white space."""
    sizes = {side: _sizes(found.table[side]) for side in ("left", "right")}
    return {
        name: {side: {unit: _percentiles(size[rows]) for unit, size in units.items()} for side, units in sizes.items()}
        for name, rows in found.parts().items()
    }


def _sizes(texts: pa.ChunkedArray) -> Mapping[str, np.ndarray]:
    return {
        "characters": pc.utf8_length(texts).to_numpy(),
        "words": pc.count_substring_regex(texts, r"\S+").to_numpy(),
    }


def _percentiles(size: np.ndarray) -> list[int]:
    return [int(value) for value in np.percentile(size, PERCENTILES, method="inverted_cdf")]


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


ANNOTATOR = "annotator"


def judged(found: Opened) -> dict[str, dict]:
    """Agreement by task (and of all) over rows of one task with the same left and right entity.

    They are taken in the order of the column `annotator`, else of the file: the first beside the second, the second
    beside the third, and so on.
    """
    order = _order(found)
    pair = found.keys.pair[order]
    order = order[np.argsort(pair, kind="stable")]
    pair, label = found.keys.pair[order], found.label[order]
    next_to = np.flatnonzero(pair[1:] == pair[:-1])
    told = {}
    for name, rows in found.parts().items():
        at = next_to[rows[order[next_to]]]
        told[name] = agreement(couples(pair[at], label[at], label[at + 1]))
    return told


def ordered_by(found: Opened) -> str:
    """What puts the judgements of a pair in order."""
    return f"column {ANNOTATOR}" if ANNOTATOR in found.table.column_names else "rows in the file"


def _order(found: Opened) -> np.ndarray:
    """Places of the rows by annotator, those without one last."""
    if ANNOTATOR not in found.table.column_names:
        return np.arange(len(found.rows))
    by = found.table.select([ANNOTATOR])
    return pc.sort_indices(by, sort_keys=[(ANNOTATOR, "ascending")]).to_numpy()


SEED = 0
ROWS = {"train": 20_000, "test": 10_000}  # rows of a task that are looked at


def baseline(found: Opened) -> dict[str, dict]:
    """By task of test rows (and of all of them): the rows looked at and the accuracy of both baselines on them.

    At most MOST rows of a task and split are taken, drawn by SEED; where no more exist the numbers are those of the
    report's floors. A task is absent where it has no test rows, its accuracy None where none of its rows are training.
    """
    chosen, train = _chosen(found)
    if not (~train).any() or not train.any():
        return {}
    table = found.table.select(["left", "right"]).take(pa.array(chosen))
    task, label = found.keys.task[chosen], found.label[chosen]
    rows = Labelled(task, table["left"], table["right"], label, train)
    hits = {
        name: said(rows).argmax(axis=1) == label[~train]
        for name, said in (("majority", majority_floor), ("lexical", lexical_floor))
    }
    told = {}
    for code in np.unique(task[~train]):
        told[TASK_NAMES[code]] = _line(task[train] == code, task[~train] == code, hits)
    return told | {ALL: _line(np.ones(train.sum(), bool), np.ones((~train).sum(), bool), hits)}


def _line(fit: np.ndarray, asked: np.ndarray, hits: dict[str, np.ndarray]) -> dict:
    told: dict = {"train": int(fit.sum()), "test": int(asked.sum())}
    told |= {name: float(right[asked].mean()) if fit.any() else None for name, right in hits.items()}
    return told | {"gain": told["lexical"] - told["majority"] if fit.any() else None}


def _chosen(found: Opened) -> tuple[np.ndarray, np.ndarray]:
    """Places [n] of the rows looked at, ascending, and which of them [n] are training."""
    rng = np.random.default_rng(SEED)
    train, kept = found.where("train"), []
    for task in range(len(TASK_NAMES)):
        for split, most in ROWS.items():
            at = np.flatnonzero((found.keys.task == task) & found.where(split))
            kept.append(at if len(at) <= most else rng.choice(at, most, replace=False))
    chosen = np.sort(np.concatenate(kept))
    return chosen, train[chosen]
