"""Rows of each task by split, label and rule, and how long their texts are.

query_item: train 3,044 rows, labels [966, 983, 1,095]; source "esci" [61, 42, 97]; lengths of left
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.audit.opened import ALL, Opened
from relevance.data.notes import counts
from relevance.tasks import LABELS, SPLITS, TASK_NAMES

PERCENTILES = (5, 50, 95, 99, 100)
MOST = 40  # rules of a task with a line of their own


def labels(found: Opened) -> dict[str, dict[str, dict]]:
    """By task (and of all) and split: rows, of each label [3], and their shares [3]."""
    cube = counts(found.table)
    told = {task: _by_split(splits) for task, splits in zip(TASK_NAMES, cube, strict=True) if splits.any()}
    return told | {ALL: _by_split(cube.sum(axis=0))}


def _by_split(splits: np.ndarray) -> dict[str, dict]:
    return {split: _shared(labels) for split, labels in zip(SPLITS, splits, strict=True)}


def _shared(labels: np.ndarray) -> dict:
    n = int(labels.sum())
    return {"rows": n, "labels": labels.tolist(), "shares": (labels / n).tolist() if n else None}


def sources(found: Opened) -> dict[str, list[dict]]:
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
    told = [{"source": rule, "labels": rules[rule]} for rule in ordered[:MOST]]
    if others := ordered[MOST:]:
        told.append({"others": len(others), "labels": np.sum([rules[rule] for rule in others], axis=0).tolist()})
    return told


def lengths(found: Opened) -> dict[str, dict[str, dict[str, list[int]]]]:
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
