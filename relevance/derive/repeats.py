"""Rows of the same id → which comes first, and which of the others say something else.

item_id=[i1, i2, i1, i1] text=[a, b, a, c] → first [1, 1, 0, 0], again [0, 0, 1, 1], other [0, 0, 0, 1]
"""

import numpy as np
import pyarrow as pa


def repeats(table: pa.Table, key: str, others: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[N] whether a row is the first of its `key`, [N] whether it is not, [N] whether it differs in `others`."""
    codes = [
        table[name].combine_chunks().dictionary_encode("encode").indices.to_numpy(zero_copy_only=False)
        for name in (key, *others)
    ]
    _, first, place = np.unique(codes[0], return_index=True, return_inverse=True)
    lead = first[place]
    other = np.zeros(len(lead), bool)
    for code in codes[1:]:
        other |= code != code[lead]
    again = lead != np.arange(len(lead))
    return ~again, again, other
