"""The predictions contract: written by cells and floors, read by everything after.

One parquet file per split, rows in the order of the pairs table:
    row=1834, task="item_type", label=1, p_irrelevant=0.08, p_partial=0.71, p_relevant=0.21, predicted=1
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from relevance import seal
from relevance.atomic_io import atomic_file
from relevance.cell_id import CellFolder
from relevance.errors import UserError, first_line
from relevance.tasks import TASK_NAMES

PROBABILITIES = ("p_irrelevant", "p_partial", "p_relevant")
ENCODED = {  # read three times as fast as by default, and smaller: rows ascend, shares do not repeat
    "compression": "none",
    "use_dictionary": ["task", "label", "predicted"],
    "column_encoding": {"row": "DELTA_BINARY_PACKED", **dict.fromkeys(PROBABILITIES, "PLAIN")},
}
SUM = 1e-3  # that three probabilities in float32 may be away from 1
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
    """Predictions from row ids, task names, labels [N] and probabilities [N, 3], in ascending row id."""
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
    except (OSError, pa.ArrowException) as error:
        raise UserError(
            f"predictions {path}: no parquet file ({first_line(error)}); remove it and run the cell again"
        ) from error


def checked(path: Path) -> pa.Table:
    """The same, all columns; raises UserError too where they hold what predictions cannot."""
    table = read(path)
    if why := _impossible(table):
        raise UserError(f"predictions {path}: {why}")
    return table


def of_cell(files: CellFolder) -> pa.Table | str:
    """The test predictions of a finished cell, or why they cannot be believed: altered, of another, impossible."""
    if why := seal.fault(files.path, files.path.name, files.sealed):
        return why
    try:
        for path in (files.validation, files.consistency):
            if path.is_file():
                checked(path)
        return checked(files.test)
    except UserError as error:
        return str(error)


def cell_fault(files: CellFolder) -> str:
    """Why what a finished cell left cannot be believed, "" where it can."""
    return why if isinstance(why := of_cell(files), str) else ""


def _impossible(predictions: pa.Table) -> str:
    """What cannot be in predictions; "" where every value can."""
    try:
        predictions = predictions.cast(SCHEMA)
    except pa.ArrowException as error:
        return first_line(error)
    if any(column.null_count for column in predictions.columns):
        return "values are absent"
    row, label, predicted, *p = (predictions[name].to_numpy() for name in ("row", "label", "predicted", *PROBABILITIES))
    tasks = {task for chunk in predictions["task"].chunks for task in chunk.dictionary.to_pylist()}
    checks = {
        f"tasks {sorted(tasks - {*TASK_NAMES})[:3]}": not tasks <= {*TASK_NAMES},
        "rows do not ascend": (row[1:] <= row[:-1]).any(),
        "a label that is none of 0, 1, 2": not _within(label, -1, 2),  # -1: of an implied pair
        "a predicted label that is none of 0, 1, 2": not _within(predicted, 0, 2),
        "probabilities that are no numbers from 0 to 1": not all(_within(each, 0, 1) for each in p),
        "probabilities that do not add up to 1": not _within(p[0] + p[1] + p[2], 1 - SUM, 1 + SUM),
        "a predicted label that is not the most probable": (predicted != highest(*p)).any(),
    }
    return next((why for why, wrong in checks.items() if wrong), "")


def _within(values: np.ndarray, low: float, high: float) -> bool:
    return not len(values) or bool(values.min() >= low and values.max() <= high)  # not so of a NaN


def highest(irrelevant: np.ndarray, partial: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """The label of the highest probability, the lowest of equals as argmax has it, in a fraction of its time [N]."""
    last = relevant > np.maximum(irrelevant, partial)
    return np.maximum((partial > irrelevant).view(np.int8), 2 * last.view(np.int8))


def probabilities(predictions: pa.Table) -> np.ndarray:
    """What a table of them, or of some of its columns, gives each label [N, 3] float64."""
    return np.column_stack([predictions[name].to_numpy() for name in PROBABILITIES]).astype(np.float64)
