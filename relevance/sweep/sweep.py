"""A sweep: requests in, an MLflow parent with its cells out. Finished cells are skipped, failures named at the end."""

import hashlib
import json
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from relevance.cell_id import Cell, Request
from relevance.cli import INTERRUPTED, duration_text, echo
from relevance.data.floors import ensure_floors
from relevance.data.implied import ensure_implied
from relevance.data.table import Rows
from relevance.errors import Stopped, first_line, plural
from relevance.sweep.attempt import HASTE, lost
from relevance.sweep.plan import Progress, Step, durations, plan
from relevance.sweep.resolve import resolve
from relevance.tracking import Run, Store, beating, deliver_all
from relevance.tracking.history import cell_record
from relevance.tracking.store import listed, newest_finished
from relevance.tracking.summary import describe
from relevance.train.job import Job, Launch
from relevance.train.processes import signals_ignored


@dataclass(frozen=True)
class Ended:
    """What came of a sweep."""

    name: str
    code: int  # 0: every cell is finished; 1: one failed, or was refused; 130: after Ctrl-C or SIGTERM
    failed: tuple[str, ...] = ()  # "ce-mh-joint-s0: out of memory"

    @property
    def interrupted(self) -> bool:
        return self.code == INTERRUPTED


def run_sweep(requests: list[Request], datasets: dict[str, Rows], command: str, launch: Launch) -> Ended:
    """Run every cell that is not finished yet."""
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
            steps, seconds = _planned(name, cells, parent, launch)
            failed = _run_all(steps, parent, Progress(seconds), launch)
    except (KeyboardInterrupt, Stopped):
        with signals_ignored():
            launch.close()
            _hasten(name, parent)
        return Ended(name, INTERRUPTED)
    except Exception:
        _end(name, parent, "FAILED")
        raise
    lines = _end(name, parent, "FAILED" if failed else "FINISHED", cells)
    return _close(name, cells, failed, lines)


def _planned(name: str, cells: list[Cell], parent: Run, launch: Launch) -> tuple[list[Step], dict[str, float]]:
    """The steps, and the seconds of each by fingerprint; MLflow first hears what it missed, and who is gone."""
    store = parent.store
    with store.reached():
        for late in deliver_all(store, parent.run_id, [cell.folder for cell in cells]):
            echo(f"{late}: what MLflow had not heard of it is delivered")
        for dead in store.bury():
            echo(f"{dead}: its process is gone; marked KILLED")
        steps = plan(cells, store)
        return steps, _announce(name, steps, store, launch)


def _run_all(steps: list[Step], parent: Run, progress: Progress, launch: Launch) -> dict[str, str]:
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
            echo(outcome.line, *progress.after(job.cell))
            if outcome.reason:
                failed[job.cell.fingerprint] = outcome.reason
            if outcome.died:
                lost(job, outcome.reason)
    return failed


def _announce(name: str, steps: list[Step], store: Store, launch: Launch) -> dict[str, float]:
    """Say what will be done; returns the seconds of each cell that waits."""
    seconds: list[float] = []
    waiting = [step.cell for step in steps if not step.skip]
    line = f"sweep {name}: {plural(len(steps), 'cell')}, {len(waiting)} to train"
    if waiting:
        seconds, source = durations(waiting, store.runs("tags.kind = 'cell' and attributes.status = 'FINISHED'"))
        count = launch.at_once(waiting)
        way = f"{count} at a time" if count > 1 else "one after another"
        line += f", about {duration_text(sum(seconds) / count)} {way} ({source})"
    echo(line, *(f"[{number}/{len(steps)}] {step.cell.name}: {step.why}" for number, step in enumerate(steps, 1)))
    doubted = [(doubt, cell.name) for cell in waiting for doubt in cell.doubts]
    for doubt in dict.fromkeys(doubt for doubt, _ in doubted):
        first, *others = [name for other, name in doubted if other == doubt]
        echo(f"{first}{f' and {len(others)} more' if others else ''}: {doubt}")
    return dict(zip((cell.fingerprint for cell in waiting), seconds, strict=True))


def _end(name: str, parent: Run, status: str, cells: Sequence[Cell] = ()) -> list[str]:
    """End the sweep's run and describe these cells on it; returns lines for a person."""
    store = parent.store
    try:
        parent.end(status)
        store.bury()  # what had to be killed
        best = newest_finished(store.runs("tags.kind = 'cell'")) if cells else {}
        records = [cell_record(listed(cell), best.get(cell.fingerprint), store.outputs) for cell in cells]
        return describe(parent, records) if cells else []
    except Exception as error:  # whatever a store raises: what cells did is on disk, and the next command finds out
        echo(f"sweep {name}: MLflow has not heard that it ended ({first_line(error)})")
        return []


def _hasten(name: str, parent: Run) -> None:
    """End a sweep that has to stop; a store that does not answer soon hears it by the next command."""
    ending = threading.Thread(target=_end, args=(name, parent, "KILLED"), daemon=True)
    ending.start()
    ending.join(HASTE)
    if ending.is_alive():
        echo(f"sweep {name}: MLflow has not heard that it ended (no answer in {HASTE:.0f} s)")
    echo(f"sweep {name}: interrupted; the same command goes on from here")


def _close(name: str, cells: list[Cell], reasons: dict[str, str], lines: list[str]) -> Ended:
    unfinished = [cell for cell in cells if cell.fingerprint in reasons]
    failed = tuple(f"{cell.name}: {reasons[cell.fingerprint]}" for cell in unfinished)
    ends = ["refused" if cell.refusal else "failed" for cell in unfinished]
    echo(
        f"sweep {name}: {len(cells) - len(failed)} of {len(cells)} cells finished",
        *(f"{end}: {line}" for end, line in zip(ends, failed, strict=True)),
    )
    echo(f"its table: python -m relevance.report sweep={name}", *lines)
    return Ended(name, 1 if failed else 0, failed)
