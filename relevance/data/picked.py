"""rows.parquet and positions → those rows; the others are passed over a part at a time.

at=[0, 7], columns ["task", "left"] → task="query_item" left="usb c cable", task="item_type" left="Volt cable 2 m"
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

PART = 1 << 16  # rows that are looked at together


def picked(rows: Path, at: np.ndarray, columns: list[str]) -> pa.Table:
    """`columns` of the rows at these positions [n], which ascend."""
    found, first = [], 0
    with pq.ParquetFile(rows) as file:
        for batch in file.iter_batches(PART, columns=columns):
            low, high = np.searchsorted(at, [first, first + len(batch)])
            found.append(batch.take(pa.array(at[low:high] - first)))
            first += len(batch)
    return pa.Table.from_batches(found)
