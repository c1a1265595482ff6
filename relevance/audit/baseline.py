"""How far the surface of the texts gets on the test rows: the floors of a report, on a sample of large tables.

item_type: 20,000 of 311,012 training rows, 10,000 of 43,001 test rows → majority 36.9 %, lexical 91.2 %
"""

import numpy as np
import pyarrow as pa

from relevance.audit.opened import ALL, Opened
from relevance.lexical import Labelled, lexical, majority
from relevance.tasks import TASK_NAMES

SEED = 0
MOST = {"train": 20_000, "test": 10_000}  # rows of a task that are looked at


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
        for name, said in (("majority", majority), ("lexical", lexical))
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
        for split, most in MOST.items():
            at = np.flatnonzero((found.keys.task == task) & found.where(split))
            kept.append(at if len(at) <= most else rng.choice(at, most, replace=False))
    chosen = np.sort(np.concatenate(kept))
    return chosen, train[chosen]
