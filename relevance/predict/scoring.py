"""A file of pairs, scored chunk by chunk: read → probabilities of each cell → vote → written.

The file is read twice: once for its rows, columns and faults, before a model is loaded; once to score it.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from relevance.commands import say
from relevance.data import faults
from relevance.data.scan import Scan
from relevance.data.schema import fitted
from relevance.data.writers import Writer, streamed
from relevance.errors import UserError
from relevance.predict.job import ADDED, SHOWN, Job
from relevance.predict.tally import Tally
from relevance.tasks import TASK_NAMES
from relevance.vote import TIE, vote

if TYPE_CHECKING:
    from relevance.predict.scorer import Scorer


def score_file(job: Job, folders: list[Path], device: str | None, trusted: bool) -> Tally:
    """Score the input with the models in `folders`, write the output, say on stderr what a person should know.

    `trusted`: code of the backbones' own may run, see store.load.

    Raises UserError for what cannot be read, scored or written; what stood at the output then stays.
    """
    found = job.scan()
    for note in _notes(job, found, len(folders)):
        say(note)
    with ExitStack() as files:
        output = files.enter_context(streamed(job.output, pa.schema([*found.schema, *ADDED])))
        aside = files.enter_context(streamed(job.aside, faults.listing(SHOWN))) if found.faults else None
        scorers = _opened(folders, device, trusted, found)
        started = time.perf_counter()
        tally = _scored(job, found, scorers, output, aside)
    if not found.faults:
        job.aside.unlink(missing_ok=True)  # of an earlier file
    seconds = time.perf_counter() - started
    say(f"{found.rows:,} rows in {seconds:.1f} s, {found.rows / seconds:,.0f} rows/s → {job.output}")
    return tally


def _scored(job: Job, found: Scan, scorers: list["Scorer"], output: Writer, aside: Writer | None) -> Tally:
    tally, rows = Tally(), 0
    with tqdm(total=found.rows * len(scorers), unit="row", disable=None) as bar:
        for chunk in job.chunks():
            if aside and chunk.faults:
                aside.write_table(job.bad(chunk))
            if len(chunk.table):
                table = fitted(chunk.table, found.schema)
                p, predicted = vote(np.stack([scorer.probabilities(table, bar.update) for scorer in scorers]))
                output.write_table(_with(table, p, predicted))
                tally.add(table, predicted)
                rows += len(table)
    if rows != found.rows:
        raise UserError(f"{job.input}: changed as it was scored ({found.rows:,} rows, then {rows:,}); score it again")
    return tally


def _with(table: pa.Table, p: np.ndarray, predicted: np.ndarray) -> pa.Table:
    for field, values in zip(ADDED, (*p.T, predicted), strict=True):
        table = table.append_column(field, pa.array(values, field.type))
    return table


def _opened(folders: list[Path], device: str | None, trusted: bool, found: Scan) -> list["Scorer"]:
    from relevance.predict.scorer import Scorer  # takes torch along; bad rows are told before it is loaded

    scorers = [Scorer(folder, device, trusted) for folder in folders]
    for folder, scorer in zip(folders, scorers, strict=True):
        others = ", ".join(scorer.reading.unknown(TASK_NAMES[k] for k in np.flatnonzero(found.tasks)))
        told = f"{folder}: was trained on {', '.join(scorer.reading.tasks)}"
        if others and scorer.config.routing.heads:
            raise UserError(f"{told}; its heads of {others} never were; leave rows of these tasks out")
        if others:
            say(f"{told} alone; scored all the same: {others}")
    return scorers


def _notes(job: Job, found: Scan, cells: int) -> Iterator[str]:
    if found.faults:
        bad = len(faults.faulty(found.faults))
        kinds = ", ".join(f"{fault.problem} {len(fault.rows):,}" for fault in found.faults)
        yield f"quarantined: {bad:,} of {bad + found.rows:,} rows ({kinds}) → {job.aside}"
    if 0 < found.labelled < found.rows:
        yield f"labels: on {found.labelled:,} rows; the other {found.rows - found.labelled:,} enter no score"
    if cells > 1:
        yield f"votes: of {cells} cells; {TIE}; p_* are the means of their probabilities"
