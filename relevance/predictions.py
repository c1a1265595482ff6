"""The predictions contract: written by cells and floors, read by everything after.

One parquet file per split, rows in the order of the pairs table:
    row=1834, task="item_type", label=1, p_irrelevant=0.08, p_partial=0.71, p_relevant=0.21, predicted=1
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from relevance.atomic_io import atomic_file
from relevance.errors import UserError

PROBABILITIES = ("p_irrelevant", "p_partial", "p_relevant")
ENCODED = {  # read three times as fast as by default, and smaller: rows ascend, shares do not repeat
    "compression": "none",
    "use_dictionary": ["task", "label", "predicted"],
    "column_encoding": {"row": "DELTA_BINARY_PACKED", **dict.fromkeys(PROBABILITIES, "PLAIN")},
}
SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("task", pa.dictionary(pa.int8(), pa.string())),
        ("label", pa.int8()),
        *((name, pa.float32()) for name in PROBABILITIES),
        ("predicted", pa.int8()),
    ]
)


def table(row: np.ndarray, task: np.ndarray, label: np.ndarray, probabilities: np.ndarray) -> pa.Table:
    """Predictions from row ids [N], task names [N], labels [N] and probabilities [N, 3].

    Rows come out in ascending row id; `predicted` is the label of the highest probability.
    """
    order = np.argsort(row, kind="stable")
    p = np.asarray(probabilities, dtype=np.float32)[order]
    columns = [
        pa.array(np.asarray(row)[order], pa.int64()),
        pa.array(np.asarray(task, dtype=object)[order], pa.string())
        .dictionary_encode()
        .cast(SCHEMA.field("task").type),
        pa.array(np.asarray(label)[order].astype(np.int8)),
        *(pa.array(p[:, k]) for k in range(3)),
        pa.array(p.argmax(axis=1).astype(np.int8)),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def write(predictions: pa.Table, path: Path) -> None:
    """Write whole or not at all: a reader never sees half a file."""
    with atomic_file(path) as part:
        pq.write_table(predictions, part, **ENCODED)


def read(path: Path, columns: list[str] | None = None) -> pa.Table:
    """The predictions at `path`, all columns or some; raises UserError when the file is absent or of another shape."""
    if not path.is_file():
        raise UserError(f"predictions {path}: no such file; run the cell again")
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if names != SCHEMA.names:
                raise UserError(f"predictions {path}: columns {names}, expected {SCHEMA.names}")
            return file.read(columns)
    except pa.ArrowException as error:
        raise UserError(f"predictions {path}: no parquet file ({error}); remove it and run the cell again") from error


def probabilities(predictions: pa.Table) -> np.ndarray:
    """What a table of them, or of some of its columns, gives each label [N, 3] float64."""
    return np.column_stack([predictions[name].to_numpy() for name in PROBABILITIES]).astype(np.float64)
