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
    named = table["left_id"]
    named = pc.coalesce(named, table["left"]) if named.null_count else named
    entity = named.combine_chunks().dictionary_encode()
    place = parts(entity.dictionary, data.seed, data.validation_share, data.test_share)
    return pa.array(SPLITS).take(pa.array(place)).take(entity.indices)


def parts(texts: pa.Array, seed: int, validation: float, test: float) -> np.ndarray:
    """The place in SPLITS [U] of each text [U], of which about these shares fall to validation and test."""
    at = _uniform(texts, seed)
    place = np.full(len(at), TRAIN)
    place[at < test + validation] = VALIDATION
    place[at < test] = TEST
    return place


def _uniform(texts: pa.Array, seed: int) -> np.ndarray:
    """A number in [0, 1) for each text [U]: SipHash of its UTF-8 bytes under a key made from the seed."""
    from pandas.util import hash_array

    key = hashlib.sha256(str(seed).encode()).hexdigest()[:16]
    hashes = hash_array(texts.to_numpy(zero_copy_only=False), hash_key=key, categorize=False)
    return (hashes >> np.uint64(11)) / 2.0**53
