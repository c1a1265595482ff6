"""A file of pairs, scored chunk by chunk: read → probabilities of each cell → vote → written; then a table of scores.

The file is read twice: once for its rows, columns and faults, before a model is loaded; once to score it. Where rows
have labels:

task          n   accuracy %  macro-F1 %
query_item  812         81.4        80.2
micro       812         81.4
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from relevance.cli import echo
from relevance.data.contract import check_names
from relevance.data.faults import NONE_LEFT, faults_error, list_faults, listing_schema, quarantine_note
from relevance.data.writers import Writer, streamed, writable
from relevance.errors import UserError
from relevance.metrics import Scores, score, task_codes
from relevance.predict.input import LABEL, NEEDED, Chunk, Scan, fitted, read_chunks, scan_file, with_columns
from relevance.predictions import PROBABILITIES, SCHEMA
from relevance.tasks import LABELS, TASK_NAMES
from relevance.vote import TIE, vote

if TYPE_CHECKING:
    from relevance.predict.scorer import Scorer


ADDED = pa.schema([SCHEMA.field(name) for name in (*PROBABILITIES, "predicted")])
SHOWN = (*NEEDED, LABEL)  # cells of a row that is set aside
SET_ASIDE = "or set on_bad_row=quarantine to leave these rows out of the output and list them beside it"


@dataclass(frozen=True)
class Job:
    """A file to read and one to write."""

    input: Path
    output: Path
    columns: dict[str, str]  # ours: theirs
    quarantine: bool  # bad rows are set aside; else they are an error
    rows: int  # held at a time

    @property
    def aside(self) -> Path:
        """Where bad rows are listed."""
        return self.output.with_name(f"{self.output.name}.quarantine.csv")

    def chunks(self) -> Iterator[Chunk]:
        return read_chunks(self.input, self.columns, self.rows)

    def bad(self, chunk: Chunk) -> pa.Table:
        """The chunk's rows at fault as they are listed; texts of schema `listing_schema(SHOWN)`."""
        read = chunk.loaded
        cells = with_columns(read.table, SHOWN, len(read.rows)).select(SHOWN)
        return list_faults(str(self.input), chunk.faults, cells, read.rows)

    def scan(self) -> Scan:
        """The first look; raises UserError for what cannot be scored or written."""
        check_names(self.columns, "columns")
        writable(self.output)
        if self.output.resolve() == self.input.resolve():
            raise UserError(f"output={self.output}: is the input; name another file")
        scan = scan_file(self.chunks())
        taken = [name for name in ADDED.names if name in scan.schema.names]
        if taken:
            raise UserError(
                f"{self.input}: column {', '.join(taken)} is the output's own; rename or drop it in the file"
            )
        if scan.faults and not (self.quarantine and scan.rows):
            remedy = SET_ASIDE if scan.rows else NONE_LEFT
            raise faults_error(str(self.input), scan.faults, scan.counted, remedy)
        if not scan.rows:
            raise UserError(f"{self.input}: the file holds no rows")
        return scan


class Tally:
    """Counts of all chunks; rows without a label are left out."""

    def __init__(self) -> None:
        self.confusion = np.zeros((len(TASK_NAMES), len(LABELS), len(LABELS)), np.int64)

    def add(self, table: pa.Table, predicted: np.ndarray) -> None:
        """Count a chunk: `table` [N] has a column task, and label where any row has one; `predicted` is [N]."""
        if "label" not in table.column_names:
            return
        label = table["label"].fill_null(-1).to_numpy()
        known = label >= 0
        self.confusion += score(task_codes(table["task"])[known], label[known], predicted[known]).confusion

    def __bool__(self) -> bool:
        """Whether any row had a label."""
        return bool(self.confusion.any())

    def text(self) -> str:
        """An aligned table in percent: each task present, then micro and macro."""
        scores = Scores(self.confusion)
        accuracy, f1 = 100 * scores.accuracy, 100 * scores.macro_f1
        rows = [(TASK_NAMES[k], scores.n[k], accuracy[k], f1[k]) for k in np.flatnonzero(scores.n)]
        lines = [f"{'task':<12}{'n':>10}{'accuracy %':>12}{'macro-F1 %':>12}"]
        lines += [f"{name:<12}{n:>10,}{share:>12.1f}{mean:>12.1f}" for name, n, share, mean in rows]
        for name, share in (("micro", scores.micro), ("macro", scores.macro)):
            lines.append(f"{name:<12}{scores.n.sum():>10,}{100 * share:>12.1f}")
        return "\n".join(lines)


def score_file(job: Job, folders: list[Path], device: str | None, trusted: bool) -> Tally:
    """Score the input with the models in `folders`, write the output, say on stderr what a person should know.

    `trusted`: code of the backbones' own may run, see model.store.load_network.

    Raises UserError for what cannot be read, scored or written; what stood at the output then stays.
    """
    scan = job.scan()
    for note in _notes(job, scan, len(folders)):
        echo(note)
    with ExitStack() as files:
        output = files.enter_context(streamed(job.output, pa.schema([*scan.schema, *ADDED])))
        aside = files.enter_context(streamed(job.aside, listing_schema(SHOWN))) if scan.faults else None
        scorers = _opened(folders, device, trusted, scan)
        started = time.perf_counter()
        tally = _scored(job, scan, scorers, output, aside)
    if not scan.faults:
        job.aside.unlink(missing_ok=True)  # of an earlier file
    seconds = time.perf_counter() - started
    echo(f"{scan.rows:,} rows in {seconds:.1f} s, {scan.rows / seconds:,.0f} rows/s → {job.output}")
    return tally


def _notes(job: Job, scan: Scan, cells: int) -> Iterator[str]:
    if scan.faults:
        yield quarantine_note(scan.faults, scan.rows, job.aside)
    if 0 < scan.labelled < scan.rows:
        yield f"labels: on {scan.labelled:,} rows; the other {scan.rows - scan.labelled:,} enter no score"
    if cells > 1:
        yield f"votes: of {cells} cells; {TIE}; p_* are the means of their probabilities"


def _opened(folders: list[Path], device: str | None, trusted: bool, scan: Scan) -> list["Scorer"]:
    from relevance.predict.scorer import Scorer  # takes torch along; bad rows are told before it is loaded

    scorers = [Scorer(folder, device, trusted) for folder in folders]
    for folder, scorer in zip(folders, scorers, strict=True):
        others = ", ".join(scorer.reading.unknown(TASK_NAMES[k] for k in np.flatnonzero(scan.tasks)))
        known = f"{folder}: was trained on {', '.join(scorer.reading.tasks)}"
        if others and scorer.config.routing.heads:
            raise UserError(f"{known}; its heads of {others} never were; leave rows of these tasks out")
        if others:
            echo(f"{known} alone; scored all the same: {others}")
    return scorers


def _scored(job: Job, scan: Scan, scorers: list["Scorer"], output: Writer, aside: Writer | None) -> Tally:
    tally, rows = Tally(), 0
    with tqdm(total=scan.rows * len(scorers), unit="row", disable=None) as bar:
        for chunk in job.chunks():
            if aside and chunk.faults:
                aside.write_table(job.bad(chunk))
            if len(chunk.table):
                table = fitted(chunk.table, scan.schema)
                p, predicted = vote(np.stack([scorer.probabilities(table, bar.update) for scorer in scorers]))
                output.write_table(_with(table, p, predicted))
                tally.add(table, predicted)
                rows += len(table)
    if rows != scan.rows:
        raise UserError(f"{job.input}: changed as it was scored ({scan.rows:,} rows, then {rows:,}); score it again")
    return tally


def _with(table: pa.Table, p: np.ndarray, predicted: np.ndarray) -> pa.Table:
    for field, values in zip(ADDED, (*p.T, predicted), strict=True):
        table = table.append_column(field, pa.array(values, field.type))
    return table
