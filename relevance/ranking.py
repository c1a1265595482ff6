"""How well rows are ordered: probabilities → NDCG@10, MRR and average precision of each left entity's list.

query "usb cable" (query_item), expected grades 1.9 0.2 1.1 → its rows in the order 0 2 1, labels 2 0 1
gains 3 0 1 → DCG 3 / log2(2) + 1 / log2(4) = 3.5 of at most 3.63: NDCG 0.964; first label 2 at rank 1: MRR 1

A list is one left entity's rows of one task, of two or more right entities (in symmetric tasks by the left side). Rows
stand by expected grade, p_partial + 2 p_relevant; equal grades in an order drawn once for a table, blind to labels and
the same for every cell, so that a constant answer is worth what a random order is. NDCG has the gain 2^label - 1 and
the discount 1 / log2(rank + 1) (Burges et al. 2005, doi:10.1145/1102351.1102363), as scikit-learn's ndcg_score; average
precision is scikit-learn's. A list without any row that is relevant to a measure is no list of that measure.
scikit-learn scores a list a call: 1,000 cells of 100,000 lists would take hours.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from relevance.tasks import LABELS, TASK_NAMES

MEASURES = {  # by name, as in csv files and MLflow: the least label that counts as relevant
    "ndcg_10": 1,
    "mrr": 2,
    "average_precision": 1,
    "average_precision_relevant": 2,
}
DEPTH = 10
LEAST = 2  # right entities of a list
GRADE_BITS = 31  # of a float32 from 0 to 2, whose bits order it
LABEL_BITS = 2
TIE_BITS = 64 - GRADE_BITS - LABEL_BITS
SHORT = 8  # rows: 6,561 orders of three labels
WIDER = 1.25  # widths of blocks of lists grow by this


def expected_grade(p: np.ndarray) -> np.ndarray:
    """Of probabilities [N, 3] the mean label [N] float32, 0 to 2."""
    return (p[:, 1] + 2 * p[:, 2]).astype(np.float32)


@dataclass(frozen=True)
class Lists:
    """The lists of a table: its N rows in U lists."""

    rows: np.ndarray  # [M] places among the N of the rows that stand in a list, those of one list together, short first
    starts: np.ndarray  # [U] of each list among them
    task: np.ndarray  # [U] places in TASK_NAMES
    left: np.ndarray  # [U] entities
    label: np.ndarray  # [M]

    @classmethod
    def of(cls, task: np.ndarray, left: np.ndarray, right: np.ndarray, label: np.ndarray) -> "Lists":
        """The lists among rows of these tasks, entities and labels, all [N] whole numbers; perhaps none."""
        size = int(left.max(initial=0)) + 1
        keys, member = np.unique(task.astype(np.int64) * size + left, return_inverse=True)
        width = int(right.max(initial=0)) + 1
        several = np.bincount(np.unique(member * width + right) // width, minlength=len(keys)) >= LEAST
        rows = np.flatnonzero(several[member])
        length = np.bincount(member)[member[rows]]
        rows = rows[np.lexsort((member[rows], length))]
        starts = np.flatnonzero(np.diff(member[rows], prepend=-1))
        lists = keys[member[rows[starts]]]
        return cls(rows, starts, lists // size, lists % size, label[rows].astype(np.int64))

    @cached_property
    def relevant(self) -> dict[str, np.ndarray]:
        """By measure, which lists have a row that is relevant to it [U]."""
        highest = np.maximum.reduceat(self.label, self.starts) if len(self.starts) else self.starts
        return {name: highest >= least for name, least in MEASURES.items()}

    def left_out(self, measure: str) -> np.ndarray:
        """Lists of each task that have no row that is relevant to a measure [6]."""
        return np.bincount(self.task[~self.relevant[measure]], minlength=len(TASK_NAMES))

    def scores(self, grade: np.ndarray) -> np.ndarray:
        """The MEASURES of all lists, 0 to 1 [4, U] float32, from the grades of all rows [N], 0 to 2; 0 of no list."""
        values = self._of_labels(self._keys(np.ascontiguousarray(grade[self.rows], np.float32)))
        values[0] *= self._ideal
        return values

    def _of_labels(self, keys: np.ndarray) -> np.ndarray:
        """The measures of all lists [4, U], of NDCG its DCG."""
        values = np.zeros((len(MEASURES), len(self.starts)), np.float32)
        for lists, places in self._blocks:
            ordered = _ordered(keys[places]).astype(np.uint8) & np.uint8((1 << LABEL_BITS) - 1)
            values[:, lists] = _measures(ordered)
        return values

    def _keys(self, grade: np.ndarray) -> np.ndarray:
        """Whole numbers that sort rows [M] as the measures want them and carry their label; last one of no row."""
        keys = np.full(len(self.rows) + 1, ~np.uint64((1 << LABEL_BITS) - 1))
        falling = np.uint64((1 << GRADE_BITS) - 1) - grade.view(np.uint32)
        keys[:-1] = (falling << np.uint64(64 - GRADE_BITS)) + self._behind
        return keys

    @cached_property
    def _behind(self) -> np.ndarray:
        """What stands behind the grade in each row's key: its place among equals, drawn once, and its label."""
        ties = np.random.default_rng(0).integers(0, 1 << TIE_BITS, len(self.rows), dtype=np.uint64)
        return (ties << np.uint64(LABEL_BITS)) + self.label.astype(np.uint64)

    @cached_property
    def _blocks(self) -> list[tuple[slice, np.ndarray]]:
        """Lists of about one length, which are sorted at once: which [u], and the places of their keys [width, u].

        Shorter ones are filled up with the key of no row, which sorts last and is irrelevant.
        """
        sizes = np.diff(self.starts, append=len(self.rows))
        widths, blocks, first = np.unique(np.ceil(WIDER ** np.arange(64)).astype(int)), [], 0
        for width in widths:
            lists = slice(first, first := int(np.searchsorted(sizes, width, side="right")))
            if lists.start < lists.stop:
                column = np.arange(width)[:, None]
                places = np.where(column < sizes[lists], self.starts[lists] + column, len(self.rows))
                blocks.append((lists, places))
        return blocks

    @cached_property
    def _ideal(self) -> np.ndarray:
        """1 / the DCG of the best order [U], 0 where it is 0."""
        best = self._of_labels(self._keys(self.label.astype(np.float32)))[0]
        return np.divide(1, best, out=np.zeros_like(best), where=best > 0)


def _ordered(keys: np.ndarray) -> np.ndarray:
    """Keys [width, u] sorted along their first axis; of short lists by swaps of neighbours, all lists at once."""
    width = len(keys)
    if width > SHORT:
        return np.sort(keys, axis=0)
    for turn in range(width):
        for at in range(turn % 2, width - 1, 2):
            keys[at], keys[at + 1] = np.minimum(keys[at], keys[at + 1]), np.maximum(keys[at], keys[at + 1])
    return keys


def _measures(label: np.ndarray) -> np.ndarray:
    """DCG and the other MEASURES [4, u] of labels in order [width, u]; of short lists, with few orders, looked up."""
    width = len(label)
    if width > SHORT:
        return _computed(label)
    powers = len(LABELS) ** np.arange(width, dtype=np.uint16)[:, None]
    return _looked_up(width)[:, (label * powers).sum(axis=0)]


@cache
def _looked_up(width: int) -> np.ndarray:
    """The measures of every order of labels of a width [4, 3^width], the first label counting least."""
    orders = np.indices((len(LABELS),) * width).reshape(width, -1)[::-1]
    return _computed(orders.astype(np.uint8))


def _computed(label: np.ndarray) -> np.ndarray:
    rank = np.arange(1, len(label) + 1)[:, None]
    reciprocal = (1 / rank).astype(np.float32)
    discount = np.where(rank <= DEPTH, 1 / np.log2(rank + 1), 0).astype(np.float32)
    partial, relevant = (label >= 1).astype(np.float32), (label == 2).astype(np.float32)
    dcg = ((partial + 2 * relevant) * discount).sum(axis=0)  # the gain 2^label - 1
    first = (relevant * reciprocal).max(axis=0)
    return np.stack([dcg, first, *(_precision(of, reciprocal) for of in (partial, relevant))])


def _precision(relevant: np.ndarray, reciprocal: np.ndarray) -> np.ndarray:
    """The mean over relevant rows of the share of relevant rows down to them [u]."""
    seen = np.cumsum(relevant, axis=0)
    return (seen * relevant * reciprocal).sum(axis=0) / np.maximum(seen[-1], 1)
