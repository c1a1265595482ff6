"""One attempt at a cell: a run of its own in MLflow that reads FINISHED, FAILED or KILLED, whatever happens."""

import json
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout
from lightning.pytorch.utilities.exceptions import SIGTERMException

from relevance.cell import settings, train_cell
from relevance.commands import say
from relevance.errors import UserError, first_line
from relevance.estimate import spoken
from relevance.identity import Cell
from relevance.provenance import commit, versions
from relevance.tracking import Run, Store


def attempt(cell: Cell, store: Store, parent: str, place: str) -> str:
    """Train one cell; returns the first line of the reason where it failed, else "".

    Whatever a cell raises stays in the cell, `sys.exit` too; only Ctrl-C and SIGTERM end the sweep. A cell that
    another process trains is waited for.
    """
    with _alone(cell, place) as waited:
        if waited and store.finished([cell]):
            say(f"{place}: finished by the other process")
            return ""
        return _train(cell, store, parent, place)


@contextmanager
def _alone(cell: Cell, place: str) -> Iterator[bool]:
    """Hold the cell's folder against other processes; gives whether one had to be waited for."""
    cell.folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(cell.folder.with_suffix(".lock"))
    waited = False
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"{place}: another process is training it; waiting")
        lock.acquire()
        waited = True
    try:
        yield waited
    finally:
        lock.release()


def _train(cell: Cell, store: Store, parent: str, place: str) -> str:
    run = store.start(cell.name, {**_tags(cell), "mlflow.parentRunId": parent})
    say(f"{place}: training")
    try:
        run.params({**settings(cell), "backbone_digest": cell.backbone_digest[:16]})
        run.data(cell)
        trained = train_cell(cell, run)
    except BaseException as error:
        if _interrupted(error):
            run.end("KILLED")
            raise KeyboardInterrupt from error
        return _failed(run, error, place)
    run.end("FINISHED")
    found = trained.metrics
    accuracy = f"test micro {found['test/accuracy']:.1%}, macro {found['test/macro_accuracy']:.1%}"
    fallen = f"; COLLAPSED on {trained.collapsed}: no better than the majority" if trained.collapsed else ""
    say(f"{place}: {accuracy}, {found['train/rows_per_second']:.0f} rows/s, {spoken(found['seconds'])}{fallen}")
    return ""


def _interrupted(error: BaseException) -> bool:
    """Ctrl-C, which Lightning turns into SystemExit, or SIGTERM, for which it has an exception of its own."""
    return isinstance(error, KeyboardInterrupt | SIGTERMException) or isinstance(error.__context__, KeyboardInterrupt)


def _failed(run: Run, error: BaseException, place: str) -> str:
    first = first_line(error)
    reason = first if isinstance(error, UserError) else f"{type(error).__name__}: {first}"
    run.text(traceback.format_exc(), "traceback.txt")
    run.tag("reason", reason)
    run.end("FAILED")
    say(f"{place}: FAILED: {reason}")
    return reason


def _tags(cell: Cell) -> dict[str, str]:
    config = cell.config
    return {
        "kind": "cell",
        "model": config.model.name,
        "routing": config.routing.name,
        "task_mix": config.task_mix.name,
        "seed": str(config.seed),
        "variant": cell.variant,
        "fingerprint": cell.fingerprint,
        "versions": json.dumps(versions()),
        **commit(),
    }
