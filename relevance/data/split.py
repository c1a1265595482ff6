"""Left entities → train, validation or test, for tables that name no split.

left entity "q17", seed 0 → a number in [0, 1) that depends on nothing else → below test_share: test; below
test_share + validation_share: validation; else train. One entity falls alike in every task and every file.
"""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.config import DataConfig
from relevance.tasks import SPLITS

TRAIN, VALIDATION, TEST = range(3)  # places in SPLITS


def by_entity(table: pa.Table, data: DataConfig) -> pa.Array:
    """The split [N] of each row, by its left_id, or its left text where it has none."""
    entity = pc.coalesce(table["left_id"], table["left"]).combine_chunks().dictionary_encode()
    at = _uniform(entity.dictionary, data.seed)
    split = np.full(len(at), TRAIN)
    split[at < data.test_share + data.validation_share] = VALIDATION
    split[at < data.test_share] = TEST
    return pa.array(SPLITS).take(pa.array(split)).take(entity.indices)


def _uniform(texts: pa.Array, seed: int) -> np.ndarray:
    """A number in [0, 1) for each text [U]: SipHash of its UTF-8 bytes under a key made from the seed."""
    from pandas.util import hash_array

    key = hashlib.sha256(str(seed).encode()).hexdigest()[:16]
    hashes = hash_array(texts.to_numpy(zero_copy_only=False), hash_key=key, categorize=False)
    return (hashes >> np.uint64(11)) / 2.0**53
