"""Entities and pairs as whole numbers, which a sort compares; which of them training has seen; the split by entity.

left_id=["q1", null, "q1"], left=["usb", "hdmi", "usb"] → left=[0, 3, 0]: ids first, then the texts that have none
"q17" under seed 0 → a number in [0, 1) → below test_share: test; below test_share + validation_share: validation
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.config import DataConfig
from relevance.tasks import SPLITS, TASK_NAMES, TASKS

KINDS = ("query", "item", "type")
LEFT_KIND = np.array([KINDS.index(task.left) for task in TASKS.values()])
RIGHT_KIND = np.array([KINDS.index(task.right) for task in TASKS.values()])


@dataclass(frozen=True)
class Keys:
    """Numbers of the N rows of a table; an entity is its id, or its text where it has none."""

    task: np.ndarray  # [N], index into TASK_NAMES
    left: np.ndarray  # [N], number of the left entity
    right: np.ndarray
    left_text: np.ndarray  # [N], number of the left text
    right_text: np.ndarray

    def only(self, rows: np.ndarray) -> "Keys":
        """The keys of `rows`, a mask [N] or positions [M]."""
        return Keys(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def pair(self) -> np.ndarray:
        """[N], equal exactly where task, left and right entity are."""
        return combined(self.task, self.left, self.right)

    @property
    def texts(self) -> np.ndarray:
        """[N], equal exactly where both texts are, whatever the task."""
        return combined(self.left_text, self.right_text)


def entity_keys(table: pa.Table) -> Keys:
    """The keys of a table whose tasks and texts have been checked."""
    with ThreadPoolExecutor(2) as pool:  # the costliest step of the checks; Arrow releases Python's lock
        texts = pool.submit(numbered, table["left"], table["right"])
        left_id, right_id, ids = numbered(table["left_id"], table["right_id"])
        left_text, right_text, _ = texts.result()
    return Keys(
        task=pc.index_in(table["task"], pa.array(TASK_NAMES)).to_numpy(),
        left=np.where(left_id < 0, len(ids) + left_text, left_id),
        right=np.where(right_id < 0, len(ids) + right_text, right_id),
        left_text=left_text,
        right_text=right_text,
    )


def numbered(left: pa.ChunkedArray, right: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray, pa.StringArray]:
    """The places [N] and [N] of both columns' texts among the different texts [U], which come last; -1 for null."""
    chunks = [chunk for side in (left, right) for chunk in side.cast(pa.string()).chunks]
    both = pa.chunked_array(chunks, pa.string()).dictionary_encode()  # its chunks share one dictionary
    places = pa.chunked_array([chunk.indices for chunk in both.chunks], pa.int32()).fill_null(-1).to_numpy()
    texts = both.chunk(0).dictionary if len(both) else pa.array([], pa.string())
    return *np.split(places.astype(np.int64), [len(left)]), texts


def combined(*numbers: np.ndarray) -> np.ndarray:
    """One number for each combination: [N], [N], ... → [N]."""
    combination = np.zeros(len(numbers[0]), np.int64)
    for number in numbers:
        combination = combination * (int(number.max(initial=0)) + 1) + number
    return combination


def side_entities(keys: Keys) -> tuple[np.ndarray, np.ndarray]:
    """One number for each entity, of the left and of the right sides [N]; a query and an item are two with one id."""
    kinds = len(KINDS)
    return keys.left * kinds + LEFT_KIND[keys.task], keys.right * kinds + RIGHT_KIND[keys.task]


def seen(keys: Keys, training: np.ndarray, of_task: bool) -> tuple[np.ndarray, np.ndarray]:
    """[N] and [N], whether the left and the right entity stand on either side of a row in `training`, a mask [N];
    `of_task`: of a row of their own task."""
    left, right = side_entities(keys)
    if of_task:
        left, right = (side * len(TASK_NAMES) + keys.task for side in (left, right))
    marks = np.zeros(int(max(left.max(initial=0), right.max(initial=0))) + 1, bool)
    marks[left[training]] = marks[right[training]] = True
    return marks[left], marks[right]


def repeated(pair: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions [M], ascending, of rows whose pair [N] occurs more than once, and the group [M] of each."""
    ordered = np.sort(pair)
    if not (ordered[1:] == ordered[:-1]).any():  # the common case, at a quarter of the price
        return np.empty(0, np.int64), np.empty(0, np.int64)
    _, group, count = np.unique(pair, return_inverse=True, return_counts=True)
    at = np.flatnonzero(count[group] > 1)
    return at, np.unique(group[at], return_inverse=True)[1]


def differs(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """[M], whether the row's group holds more than one value."""
    low, high = np.full(len(group), 127), np.full(len(group), -1)
    np.minimum.at(low, group, values)
    np.maximum.at(high, group, values)
    return (low < high)[group]


def split_by_entity(table: pa.Table, data: DataConfig) -> pa.Array:
    """The split [N] of each row, by its left_id, or its left text where it has none."""
    ids = table["left_id"]
    ids = pc.coalesce(ids, table["left"]) if ids.null_count else ids
    entity = ids.combine_chunks().dictionary_encode()
    place = split_parts(entity.dictionary, data.seed, data.validation_share, data.test_share)
    return pa.array(SPLITS).take(pa.array(place)).take(entity.indices)


def split_parts(texts: pa.Array, seed: int, validation: float, test: float) -> np.ndarray:
    """The place in SPLITS [U] of each text [U], of which about these shares fall to validation and test."""
    from pandas.util import hash_array

    key = hashlib.sha256(str(seed).encode()).hexdigest()[:16]  # of SipHash
    hashes = hash_array(texts.to_numpy(zero_copy_only=False), hash_key=key, categorize=False)
    at = (hashes >> np.uint64(11)) / 2.0**53  # in [0, 1)
    places = [SPLITS.index(name) for name in ("test", "validation", "train")]
    return np.select([at < test, at < test + validation], places[:2], places[2])
