"""A checked table → the sentences a person should read before trusting a number made from it.

"query_item: 3,044 train, 422 validation, 402 test; entities of test rows seen in training: left 0 %, ..."
"""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.data.contract import differs, repeated
from relevance.data.digest import utf8_bytes
from relevance.data.entities import KINDS, LEFT_KIND, RIGHT_KIND, Keys, combined, seen_in_any_task
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
            own = test & (keys.task == task)
            notes.append(_task(TASK_NAMES[task], rows, [side[own] for side in sides]))
    notes += [*_any_task(table, test, keys), *_line_breaks(table), *_ids(table)]
    return (*notes, *_texts_and_ids(keys), *_across_tasks(table, keys))


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


def _any_task(table: pa.Table, test: np.ndarray, keys: Keys) -> list[str]:
    """Split task by task, a query of one task's test rows may be trained on under another."""
    if not test.any():
        return []
    training = pc.equal(table["split"], "train").to_numpy()
    left, right = (side[test] for side in seen_in_any_task(keys, training))
    shares = ", ".join(
        f"{name} {100 * side.mean():.0f} %"
        for name, side in (("left", left), ("right", right), ("either", left | right))
    )
    return [f"all tasks: entities of test rows seen in training of any task: {shares}"]


def _line_breaks(table: pa.Table) -> list[str]:
    """Stray quotes in a csv make one text of many rows: nothing but its line breaks shows it."""
    broken = [_broken(table[side]) for side in ("left", "right")]
    return [f"texts with line breaks: left {broken[0]:,}, right {broken[1]:,}"] if any(broken) else []


def _broken(texts: pa.ChunkedArray) -> int:
    if not any(
        re.search(b"\n", utf8_bytes(chunk)) for chunk in texts.chunks
    ):  # the common case, at a tenth of the price
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
    """Within one kind of entity: a query and a type may share a text."""
    kind = np.concatenate([LEFT_KIND[keys.task], RIGHT_KIND[keys.task]])
    text = np.concatenate([keys.left_text, keys.right_text]) * len(KINDS) + kind
    entity = np.concatenate([keys.left, keys.right]) * len(KINDS) + kind
    notes = []
    for one, many, words in (
        (text, entity, "equal texts under different ids"),
        (entity, text, "ids with different texts"),
    ):
        names, entities = _ambiguous(one, many)
        if names:
            notes.append(f"{words}: {names:,}, in all {entities:,} entities")
    return notes


def _ambiguous(one: np.ndarray, many: np.ndarray) -> tuple[int, int]:
    """How many values of `one` [N] stand with several of `many` [N], and with how many in all."""
    # equal numbers overwrite one another here, so any that differ show without a sort
    last = np.zeros(one.max() + 1, np.int64)
    last[one] = many
    several = np.zeros(len(last), bool)
    several[one[last[one] != many]] = True
    rows = several[one]
    return int(several.sum()), len(np.unique(combined(one[rows], many[rows])))


def _across_tasks(table: pa.Table, keys: Keys) -> list[str]:
    """Does the same pair of texts mean something else under another task?"""
    at, group = repeated(keys.texts)
    if not len(at):
        return []
    tasks = differs(keys.task[at], group)
    labels = differs(table["label"].to_numpy()[at], group)
    several, conflicting = (np.count_nonzero(np.bincount(group[rows])) for rows in (tasks, tasks & labels))
    if not several:
        return []
    return [f"equal pairs of texts under several tasks: {several:,}, with different labels: {conflicting:,}"]
