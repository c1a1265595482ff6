"""Pairs that stand in several rows: two labels, two splits, plain copies.

rows 3 and 17 hold query_item q1 | i4 with labels 0 and 2 → Fault("a pair has two labels", ..., rows=[3, 17])
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.data.faults import Fault, shorten
from relevance.data.keys import Keys
from relevance.tasks import SPLITS

TOGETHER = 8  # rows of one pair that a message names


def faults(table: pa.Table, rows: np.ndarray, keys: Keys) -> Iterator[Fault]:
    """Every row of a pair that disagrees with itself, and every copy after the first of one that does not.

    `rows` [N] are the numbers of the table's rows in the file.
    """
    at, group = repeated(keys.pair)
    if not len(at):
        return
    again = table.take(pa.array(at))
    labels, splits = differs(again["label"].to_numpy(), group), differs(_splits(again), group)
    copies = np.ones(len(at), bool)
    copies[np.unique(group, return_index=True)[1]] = False
    for bad, problem, remedy in (
        (labels, "a pair has two labels", "keep the row that is right"),
        (splits & ~labels, "a pair stands in two splits", "keep it in one split"),
        (copies & ~labels & ~splits, "a pair is repeated", "remove the copy"),
    ):
        if bad.any():
            yield Fault(problem, remedy, rows[at[bad]], _rendered(again, rows[at], group, bad))


def repeated(pair: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions [M], ascending, of rows whose pair [N] occurs more than once, and the group [M] of each."""
    ordered = np.sort(pair)
    if not (ordered[1:] == ordered[:-1]).any():  # the common case, at a quarter of the price
        return np.empty(0, np.int64), np.empty(0, np.int64)
    order = np.argsort(pair)
    equal = pair[order][1:] == pair[order][:-1]
    again = np.concatenate([[False], equal])
    several = again | np.concatenate([equal, [False]])
    number = np.cumsum(several & ~again)[several] - 1
    rows = order[several]
    ascending = np.argsort(rows)
    return rows[ascending], number[ascending]


def _splits(again: pa.Table) -> np.ndarray:
    if "split" not in again.column_names:
        return np.zeros(len(again), np.int64)
    return pc.index_in(again["split"], pa.array(SPLITS)).to_numpy()


def differs(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """[M], whether the row's group holds more than one value."""
    low, high = np.full(len(group), 127), np.full(len(group), -1)
    np.minimum.at(low, group, values)
    np.maximum.at(high, group, values)
    return (low < high)[group]


def _rendered(again: pa.Table, rows: np.ndarray, group: np.ndarray, bad: np.ndarray) -> list[str]:
    """What a person needs to see of each bad row: the pair, what it says, the rows it stands in."""
    order = np.argsort(group, kind="stable")
    together = np.split(rows[order], np.flatnonzero(np.diff(group[order])) + 1)
    named = [", ".join(map(str, same[:TOGETHER])) + (", …" if len(same) > TOGETHER else "") for same in together]
    cells = again.filter(pa.array(bad)).to_pylist()
    return [f"{_pair(cell)}; rows {named[g]}" for cell, g in zip(cells, group[bad], strict=True)]


def _pair(cell: dict) -> str:
    left, right = (shorten(cell[f"{side}_id"] or cell[side]) for side in ("left", "right"))
    where = f", {cell['split']}" if "split" in cell else ""
    return f"{cell['task']} {left} | {right} label {cell['label']}{where}"
