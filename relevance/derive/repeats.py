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
    rows = np.arange(len(table))
    first = np.zeros(int(codes[0].max(initial=-1)) + 1, np.int64)
    first[codes[0][::-1]] = rows[::-1]  # the last one written is the first of the table
    lead = first[codes[0]]
    other = np.zeros(len(lead), bool)
    for code in codes[1:]:
        other |= code != code[lead]
    again = lead != rows
    return ~again, again, other
