"""The cells that teach a cell, applied once to what it trains on; later cells of these rows read what they answered.

1b5c917cff1df14c, 3f55…/rows.parquet → 3f55…/scored-1b5c917cff1df14c.parquet: a row for each training row
"""

import time
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock
from tqdm import tqdm

from relevance import distributed, predictions
from relevance.cell_id import Cell, CellFolder
from relevance.cli import echo
from relevance.data.stored import beside, open_rows, read_columns
from relevance.data.taught import scored_name, unlabelled_path
from relevance.errors import UserError
from relevance.predict.scorer import Scorer
from relevance.tracking import Record

CHUNK = 20_000  # rows scored at a time, as many as predict does
NONE = np.zeros((0, 3), np.float32)  # of a table without the tasks that a teacher knows
PACE = "test/rows_per_second"


def ensure_scored(cell: Cell) -> None:
    """Leave what each teacher of a cell answers beside its rows, and beside its pairs without labels.

    A teacher is scored whole or again; several cells, or the ranks of one, wait for whoever is at it. Raises UserError
    where a teacher is gone or gives no probabilities.
    """
    for teacher in cell.config.train.teacher:
        for rows in filter(None, (cell.rows, unlabelled_path(cell.config))):
            name, model = scored_name(teacher), teacher_files(cell, teacher).model
            answers = rows.with_name(f"{name}.parquet")
            with FileLock(answers.with_suffix(".lock")):
                if answers.is_file() and answers.stat().st_mtime < CellFolder(model).config.stat().st_mtime:
                    answers.unlink()  # of the same question before rerun=true, maybe on another machine
                beside(rows, [name], partial(_scored, cell, rows, teacher), predictions.write)


def _scored(cell: Cell, rows: Path, teacher: str) -> dict[str, pa.Table]:
    """By its name: predictions of a teacher for the training rows at `rows` of the tasks that it knows."""
    config, started = cell.config, time.perf_counter()
    device = "cuda" if distributed.on_gpu(config.trainer) else "cpu"
    scorer = Scorer(teacher_files(cell, teacher).model, device, config.model.trust_remote_code)
    table = _training(open_rows(rows))
    table = table.filter(pc.is_in(table["task"], pa.array(scorer.reading.tasks)))
    with tqdm(total=len(table), desc="teacher", unit="row", disable=None) as bar:
        parts = [scorer.probabilities(table.slice(start, CHUNK), bar.update) for start in range(0, len(table), CHUNK)]
    pace = len(table) / (time.perf_counter() - started)
    echo(f"  {cell.name}: its teacher {teacher} answered {len(table):,} training rows, {pace:,.0f} rows/s")
    names = table["task"].cast(pa.string()).to_numpy(zero_copy_only=False)
    probabilities = np.concatenate([NONE, *parts])
    answers = predictions.table(table["row"].to_numpy(), names, np.full(len(table), -1), probabilities)
    return {scored_name(teacher): answers}


def _training(rows: Path) -> pa.Table:
    """The pairs at `rows` that are trained on, all of them where no split is named."""
    names = [name for name in pq.read_schema(rows).names if name in ("row", "split", "task", "left", "right")]
    table = read_columns(rows, names)
    return table.filter(pc.equal(table["split"], "train")) if "split" in names else table


def teacher_pace(cell: Cell) -> dict[str, float]:
    """The rows a second that all teachers of a cell together score, each as fast as it was on its own test rows."""
    records = [Record(teacher_files(cell, teacher).path).metrics() for teacher in cell.config.train.teacher]
    paces = [metrics[PACE] for metrics in records if PACE in metrics]
    return {"teacher/rows_per_second": 1 / sum(1 / pace for pace in paces)} if paces else {}


def teacher_files(cell: Cell, teacher: str) -> CellFolder:
    """The files of a teacher; UserError where its model is not there."""
    files = CellFolder.of(Path(cell.config.outputs), teacher)
    if not files.model.is_dir():
        raise UserError(f"train.teacher: {files.model} is gone; train that cell again with save=all")
    return files
