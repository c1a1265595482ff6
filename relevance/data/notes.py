"""A checked table → the sentences a person should read before trusting a number made from it.

"query_item: 3,044 train, 422 validation, 402 test; entities of test rows seen in training: left 0 %, ..."
"""

import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.data.contract import utf8_bytes
from relevance.data.entities import Keys, combined, differs, repeated, seen_in_any_task, side_entities
from relevance.tasks import SPLITS, TASK_NAMES


def task_counts(table: pa.Table) -> np.ndarray:
    """Rows [6, 3, 3]: of each task, split and label."""
    task = pc.index_in(table["task"], pa.array(TASK_NAMES)).to_numpy()
    split = pc.index_in(table["split"], pa.array(SPLITS)).to_numpy()
    cell = (task * 3 + split) * 3 + table["label"].to_numpy()
    return np.bincount(cell, minlength=len(TASK_NAMES) * 9).reshape(len(TASK_NAMES), 3, 3)


def notes_of(table: pa.Table, keys: Keys) -> tuple[str, ...]:
    """Rows per task and split, gaps, entities seen in training, equal texts and where they disagree."""
    test = pc.equal(table["split"], "test").to_numpy()
    sides = [table[name].to_numpy() for name in ("left_seen", "right_seen")]
    notes = []
    for task, rows in enumerate(task_counts(table).sum(axis=2)):
        if rows.any():
            tested = test & (keys.task == task)
            notes.append(_task(TASK_NAMES[task], rows, [side[tested] for side in sides]))
    if test.any():
        notes.append(_any_task(table, test, keys))
    return (*notes, *_line_breaks(table), *_ids(table), *_texts_and_ids(keys), *_across_tasks(table, keys))


def _task(name: str, rows: np.ndarray, seen: list[np.ndarray]) -> str:
    """`rows` [3] of a task by split; `seen`: whether training has the left and right sides of its test rows."""
    note = f"{name}: " + ", ".join(f"{n:,} {split}" for n, split in zip(rows, SPLITS, strict=True))
    absent = [split for n, split in zip(rows, SPLITS, strict=True) if not n]
    if absent:
        note += f" (it has no {' and no '.join(absent)} rows)"
    if "test" in absent:
        return note
    left, right = (f"{100 * side.mean():.0f} %" for side in seen)
    return f"{note}; entities of test rows seen in training: left {left}, right {right}"


def _any_task(table: pa.Table, test: np.ndarray, keys: Keys) -> str:
    """Split task by task, a query of one task's test rows may be trained on under another."""
    training = pc.equal(table["split"], "train").to_numpy()
    left, right = (side[test] for side in seen_in_any_task(keys, training))
    sides = {"left": left, "right": right, "either": left | right}
    shares = ", ".join(f"{name} {100 * side.mean():.0f} %" for name, side in sides.items())
    return f"all tasks: entities of test rows seen in training of any task: {shares}"


def _line_breaks(table: pa.Table) -> list[str]:
    """Stray quotes in a csv make one text of many rows: nothing but its line breaks shows it."""
    left, right = (_count_broken(table[side]) for side in ("left", "right"))
    return [f"texts with line breaks: left {left:,}, right {right:,}"] if left or right else []


def _count_broken(texts: pa.ChunkedArray) -> int:
    if not any(re.search(b"\n", utf8_bytes(chunk)) for chunk in texts.chunks):  # at a tenth of the price
        return 0
    return pc.sum(pc.match_substring(texts, "\n")).as_py()


def _ids(table: pa.Table) -> list[str]:
    sides = [table["left_id"], table["right_id"]]
    absent = [side.null_count for side in sides]
    floats = [pc.sum(pc.match_substring_regex(side, r"^[0-9]+\.0$")).as_py() or 0 for side in sides]
    notes = []
    if any(absent):
        notes.append(f"ids: absent on {absent[0]:,} left and {absent[1]:,} right sides; their texts stand in")
    if any(floats):
        notes.append(f"ids such as 17.0: left {floats[0]:,}, right {floats[1]:,}; they do not meet 17: write 17")
    return notes


def _texts_and_ids(keys: Keys) -> list[str]:
    """Within each kind of entity: a query and a type may share a text."""
    entity = np.concatenate(side_entities(keys))
    text = np.concatenate(side_entities(replace(keys, left=keys.left_text, right=keys.right_text)))
    counts = {
        "equal texts under different ids": _ambiguous(text, entity),
        "ids with different texts": _ambiguous(entity, text),
    }
    return [f"{words}: {names:,}, in all {entities:,} entities" for words, (names, entities) in counts.items() if names]


def _ambiguous(names: np.ndarray, values: np.ndarray) -> tuple[int, int]:
    """How many of `names` [N] stand with several of `values` [N], and with how many in all."""
    # equal numbers overwrite one another here, so any that differ show without a sort
    last = np.zeros(names.max() + 1, np.int64)
    last[names] = values
    several = np.zeros(len(last), bool)
    several[names[last[names] != values]] = True
    rows = several[names]
    return int(several.sum()), len(np.unique(combined(names[rows], values[rows])))


def _across_tasks(table: pa.Table, keys: Keys) -> list[str]:
    """Whether the same pair of texts means something else under another task."""
    at, group = repeated(keys.texts)
    tasks = differs(keys.task[at], group)
    labels = differs(table["label"].to_numpy()[at], group)
    several, conflicting = (len(np.unique(group[rows])) for rows in (tasks, tasks & labels))
    if not several:
        return []
    return [f"equal pairs of texts under several tasks: {several:,}, with different labels: {conflicting:,}"]
