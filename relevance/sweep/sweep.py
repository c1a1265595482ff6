"""A sweep: requests in, one MLflow parent with its cells out. Finished cells are skipped, failures named at the end."""

import hashlib
import json
import threading
from contextlib import closing
from pathlib import Path

from relevance.cell_id import Cell, Request
from relevance.cli import INTERRUPTED, duration_text, echo
from relevance.data.floors import ensure_floors
from relevance.data.implied import ensure_implied
from relevance.data.table import Rows
from relevance.errors import Stopped, first_line
from relevance.sweep.attempt import HASTE, lost
from relevance.sweep.plan import Step, duration, plan
from relevance.sweep.resolve import resolve
from relevance.tracking import Run, Store, beating, deliver_all
from relevance.train.job import Job, Launch
from relevance.train.processes import signals_ignored


def run_sweep(requests: list[Request], datasets: dict[str, Rows], command: str, launch: Launch) -> int:
    """Run every cell that is not finished yet; returns the exit code.

    0: every cell is finished; 1: one failed, or was refused; 130: after Ctrl-C or SIGTERM.
    """
    cells, notes = resolve(requests, datasets)
    echo(*notes)
    config = cells[0].config
    store = Store(config.tracking_uri, config.experiment, Path(config.outputs))
    digest = hashlib.sha256(json.dumps([cell.fingerprint for cell in cells]).encode()).hexdigest()
    name = config.name or f"sweep-{digest[:8]}"
    with store.reached():
        parent = store.sweep(name, digest, cells, command)
    try:
        with beating(parent):
            steps = _planned(name, cells, store, parent)
            failed = _run_all(steps, parent, launch)
    except (KeyboardInterrupt, Stopped):
        with signals_ignored():
            launch.close()
            _hasten(name, store, parent)
        return INTERRUPTED
    except Exception:
        _end(name, store, parent, "FAILED")
        raise
    _end(name, store, parent, "FAILED" if failed else "FINISHED")
    return _close(name, cells, failed)


def _planned(name: str, cells: list[Cell], store: Store, parent: Run) -> list[Step]:
    with store.reached():
        _tidy(store, parent, cells)
        steps = plan(cells, store)
        _announce(name, steps, store)
    return steps


def _tidy(store: Store, parent: Run, cells: list[Cell]) -> None:
    """What commands before this one could not say to MLflow, and the runs whose processes are gone."""
    for late in deliver_all(store, parent.run_id, [cell.folder for cell in cells]):
        echo(f"{late}: what MLflow had not heard of it is delivered")
    for dead in store.bury():
        echo(f"{dead}: its process is gone; marked KILLED")


def _run_all(steps: list[Step], parent: Run, launch: Launch) -> dict[str, str]:
    """The reason of each cell that failed, by its fingerprint: cells that cannot be may share a name."""
    for rows in dict.fromkeys(step.cell.rows for step in steps if not step.cell.refusal):
        ensure_floors(rows)
        ensure_implied(rows)
    jobs = [
        Job(step.cell, parent.run_id, f"[{number}/{len(steps)}] {step.cell.name}")
        for number, step in enumerate(steps, 1)
        if not step.skip
    ]
    failed = {step.cell.fingerprint: step.cell.refusal for step in steps if step.cell.refusal}
    with closing(launch(jobs)) as outcomes:
        for job, outcome in outcomes:
            echo(outcome.said)
            if outcome.reason:
                failed[job.cell.fingerprint] = outcome.reason
            if outcome.died:
                lost(job, outcome.reason)
    return failed


def _announce(name: str, steps: list[Step], store: Store) -> None:
    waiting = [step.cell for step in steps if not step.skip]
    line = f"sweep {name}: {len(steps)} {'cell' if len(steps) == 1 else 'cells'}, {len(waiting)} to train"
    if waiting:
        seconds, source = duration(waiting, store.runs("tags.kind = 'cell' and attributes.status = 'FINISHED'"))
        line += f", about {duration_text(seconds)} one after another ({source})"
    echo(line, *(f"[{number}/{len(steps)}] {step.cell.name}: {step.why}" for number, step in enumerate(steps, 1)))
    doubted = [(doubt, cell.name) for cell in waiting for doubt in cell.doubts]
    for doubt in dict.fromkeys(doubt for doubt, _ in doubted):
        first, *others = [name for said, name in doubted if said == doubt]
        echo(f"{first}{f' and {len(others)} more' if others else ''}: {doubt}")


def _end(name: str, store: Store, parent: Run, status: str) -> None:
    try:
        parent.end(status)
        store.bury()  # what had to be killed
    except Exception as error:  # whatever a store raises: what cells did is on disk, and the next command finds out
        echo(f"sweep {name}: MLflow has not heard that it ended ({first_line(error)})")


def _hasten(name: str, store: Store, parent: Run) -> None:
    """End a sweep that was asked to stop; a store that does not answer soon hears it by the next command."""
    telling = threading.Thread(target=_end, args=(name, store, parent, "KILLED"), daemon=True)
    telling.start()
    telling.join(HASTE)
    if telling.is_alive():
        echo(f"sweep {name}: MLflow has not heard that it ended (no answer in {HASTE:.0f} s)")
    echo(f"sweep {name}: interrupted; the same command goes on from here")


def _close(name: str, cells: list[Cell], failed: dict[str, str]) -> int:
    echo(
        f"sweep {name}: {len(cells) - len(failed)} of {len(cells)} cells finished",
        *(
            f"{'refused' if cell.refusal else 'failed'}: {cell.name}: {failed[cell.fingerprint]}"
            for cell in cells
            if cell.fingerprint in failed
        ),
    )
    echo(f"its table: python -m relevance.report sweep={name}")
    return 1 if failed else 0
