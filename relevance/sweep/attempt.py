"""An attempt at a cell: its run in MLflow reads FINISHED, FAILED or KILLED at the end, whatever happens."""

import json
import shutil
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

from relevance.cell_id import NUMERICS, Cell, full_name, git_commit, package_versions
from relevance.cli import duration_text, echo
from relevance.distributed import process_count
from relevance.errors import Stopped, UserError, first_line
from relevance.masking import mask_message, masked_streams
from relevance.tracking import CellRun, Record, Store
from relevance.train.cell import settings, settle, train_cell
from relevance.train.job import Job, Outcome
from relevance.train.processes import STOPPING, wait_for_exit
from relevance.train.rank import LAST, sign_of, train_in_ranks

HASTE = 3.0  # seconds that a process which has to stop gives its store


@masked_streams()
def attempt(job: Job) -> Outcome:
    """Train the cell of a job, or go on with it where an attempt was cut off.

    Whatever a cell raises stays in the cell, `sys.exit` too; only Ctrl-C and SIGTERM go on, as KeyboardInterrupt. A
    cell that another process trains is waited for.
    """
    try:
        return _attempt(job)
    except Stopped as stop:  # as it waited for another process, or told how it ended
        raise KeyboardInterrupt from stop
    except Exception as error:  # its record could not be opened, or its folder not take its place
        return Outcome(f"{job.place}: FAILED: {_reason(error)}", _reason(error))


def lost(job: Job, reason: str) -> None:
    """Write the end of an attempt whose process died; if it had finished, the next command tells MLflow."""
    try:
        with _alone(job):
            if not job.cell.work.is_dir() and Record(job.cell.folder).ended() == "FINISHED":
                return
            run = _run(job)
            run.fail(reason, "")
            run.carry()
    except OSError as error:
        echo(f"{job.place}: how it ended could not be written ({error})")


def store_of(cell: Cell) -> Store:
    """The store of a cell, made once a process: its client takes seconds."""
    config = cell.config
    return _store(config.tracking_uri, config.experiment, Path(config.outputs), Path.cwd())


@cache
def _store(uri: str, experiment: str, outputs: Path, folder: Path) -> Store:
    """One in each folder that the process worked in: a path of a notebook's may be relative."""
    return Store(uri, experiment, outputs)


def _attempt(job: Job) -> Outcome:
    with _alone(job) as waited:
        if (waited or not job.cell.config.rerun) and store_of(job.cell).finished([job.cell]):
            return Outcome(f"{job.place}: finished by another process")  # since its sweep was planned
        if job.cell.config.rerun:
            _abandon(job.cell)
        return _train(job, _run(job))


@contextmanager
def _alone(job: Job) -> Iterator[bool]:
    """Lock the cell's folder against other processes; yields whether it had to wait for one."""
    place = job.cell.files.lock
    place.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place)
    waited = False
    try:
        lock.acquire(timeout=0)
    except Timeout:
        echo(f"{job.place}: another process is training it; waiting")
        lock.acquire()
        waited = True
    try:
        if not wait_for_exit(sign_of(job.cell), LAST):
            echo(f"{job.place}: ranks of an earlier attempt are still there; look for relevance.train.rank")
        yield waited
    finally:
        lock.release()


def _run(job: Job) -> CellRun:
    """The run of the attempt: that of the one before where it was cut off, else a new one."""
    run = CellRun(store_of(job.cell), job.cell.work)
    return run.open(job.cell.name, {**_tags(job.cell), "mlflow.parentRunId": job.parent})


def _abandon(cell: Cell) -> None:
    before = CellRun(store_of(cell), cell.work)
    with suppress(UserError):  # of a record that was damaged nothing more is told
        if before.record.exists() and not before.record.ended():
            before.open("", {}).end("KILLED")
            before.carry()
    shutil.rmtree(cell.work, ignore_errors=True)


def _train(job: Job, run: CellRun) -> Outcome:
    cell = job.cell
    if run.record.ended() == "FINISHED":  # cut off between its last line and its folder's new name
        return _finished(job, run)
    echo(f"{job.place}: training")
    try:
        run.params({**settings(cell), "backbone_digest": cell.backbone_digest[:16]})
        run.data(cell.rows.name, cell.data_digest, cell.config.data.kind.value)
        if process_count(cell.config.trainer) > 1:
            train_in_ranks(job)
        else:
            train_cell(cell, run)
        run.finish()
    except BaseException as error:
        if not _interrupted(error):
            run.fail(_reason(error), mask_message(traceback.format_exc()))
            run.carry()
            return Outcome(f"{job.place}: FAILED: {_reason(error)}", _reason(error))
        run.end("KILLED")
        run.carry(HASTE)
        raise KeyboardInterrupt from error
    return _finished(job, run)


def _finished(job: Job, run: CellRun) -> Outcome:
    """The folder takes its place, which makes the cell finished; then MLflow hears the rest."""
    with run.moving(job.cell.folder):
        settle(job.cell)
    run.carry()
    metrics, tags = run.record.metrics(), run.record.tags()
    accuracy = f"test micro {metrics['test/accuracy']:.1%}, macro {metrics['test/macro_accuracy']:.1%}"
    collapsed = tags.get("collapsed")
    fallen = f"; COLLAPSED on {collapsed}: no better than the majority" if collapsed else ""
    nothing = "; LEARNT NOTHING: lower model.lr or train longer" if tags.get("learnt") == "nothing" else ""
    pace = f"{metrics['train/rows_per_second']:.0f} rows/s, {duration_text(metrics['seconds'])}"
    return Outcome(f"{job.place}: {accuracy}, {pace}{nothing}{fallen}")


def _reason(error: BaseException) -> str:
    first = mask_message(first_line(error))
    return first if isinstance(error, UserError) else f"{type(error).__name__}: {first}"


def _interrupted(error: BaseException) -> bool:
    """SIGTERM, a queue that wants its machine back, or Ctrl-C, which Lightning turns into SystemExit."""
    stopped = STOPPING.is_set() or isinstance(error, KeyboardInterrupt | Stopped)
    return stopped or isinstance(error.__context__, KeyboardInterrupt)


def _tags(cell: Cell) -> dict[str, str]:
    return {
        "kind": "cell",
        **{name: str(value) for name, value in cell.axes.items()},
        "cell": full_name(cell.config, cell.variant),
        "numerics": str(NUMERICS),
        "fingerprint": cell.fingerprint,
        "data_digest": cell.data_digest,
        "versions": json.dumps(package_versions()),
        **git_commit(),
    }
