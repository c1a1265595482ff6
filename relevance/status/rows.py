"""A sweep in MLflow, looked at again and again → where it stands → a row for each of its cells, as plain values.

Looks("sqlite:///mlflow.db", "relevance", Path("outputs"), []).look() → Standing("sweep-1f0c9a2e", cells=(...))

CellStanding(CellRecord("llm-mh-joint-s0", status="RUNNING", ...), newest=RunRecord(...), sweeps=(...)) →
Row("llm-mh-joint-s0", State.running, host="box-1", pid="4711", epoch="2/3", rate=900.0, left=35.0)
"""

import time
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from relevance.tracking.history import asked_cells, cell_key, cell_record, newest_finished, parents_named, store_at
from relevance.tracking.liveness import Life, last_sign, life, pulse, taken_up
from relevance.tracking.records import CellStanding, RunRecord, Standing

ALL_RUNS_EVERY = 60.0  # seconds between two looks at all runs; a thousand take seconds to read
JUST_ENDED = 60.0  # a run that ended less than so many seconds before the last look is read again
QUIET = 60.0  # seconds without a pulse, due every ten, after which a running cell is said to be quiet


class Looks:
    """A sweep looked at again and again; what has ended is read once a minute, lest the looks slow the cells down."""

    def __init__(self, uri: str, experiment: str, outputs: Path, names: list[str]):
        self._store, self._names = store_at(uri, experiment, outputs), names
        self._runs: dict[str, Any] = {}  # of all cells, by id
        self._lists: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self._looked = self._whole_from = 0.0

    def look(self) -> Standing:
        """Where the sweep stands now; raises UserError where it is not there, or the store does not answer."""
        with self._store.reached():
            parents = parents_named(self._store, self._names)
            self._read()
            listed = [(parent, entry) for parent in parents for entry in self._list(parent)]
        self._names = [run.info.run_name for run in parents]  # a later look stays with the sweep of the first
        return self._standing(parents, listed)

    def _read(self) -> None:
        now = time.time()
        if now < self._whole_from:
            since = int((self._looked - JUST_ENDED) * 1000)
            running = self._store.runs("tags.kind = 'cell' and attributes.status = 'RUNNING'")
            ended = self._store.runs(f"tags.kind = 'cell' and attributes.end_time >= {since}")
            seen = {run.info.run_id: run for run in running + ended}
            ran = {key for key, run in self._runs.items() if run.info.status == "RUNNING"}
            self._runs |= seen
            if ran <= set(seen):
                self._looked = now
                return
        self._lists.clear()
        self._runs = {run.info.run_id: run for run in self._store.runs("tags.kind = 'cell'")}
        self._looked, took = now, time.time() - now
        self._whole_from = now + max(ALL_RUNS_EVERY, 20 * took)

    def _list(self, parent: Any) -> list[dict[str, Any]]:
        key = parent.info.run_id, parent.data.tags.get("touched", "")  # asked again, a sweep lists its cells anew
        if key not in self._lists:
            self._lists[key] = asked_cells(self._store, parent)
        return self._lists[key]

    def _standing(self, parents: list, listed: list[tuple[Any, dict[str, Any]]]) -> Standing:
        runs = sorted(self._runs.values(), key=lambda run: -run.info.start_time)
        best, newest = newest_finished(runs), {run.data.tags["fingerprint"]: run for run in reversed(runs)}
        sweeps = {parent.info.run_id: _run_record(parent) for parent in parents}
        asking: dict[str, list[RunRecord]] = {}
        for parent, entry in listed:
            asking.setdefault(cell_key(entry), []).append(sweeps[parent.info.run_id])
        cells = [
            CellStanding(
                cell_record(entry, best.get(key), self._store.outputs),
                _run_record(newest[key]) if key in newest else None,
                tuple(asking[key]),
            )
            for key, entry in {cell_key(entry): entry for _, entry in listed}.items()
        ]
        return Standing("+".join(self._names), tuple(cells), tuple(sweeps.values()))


def _run_record(run: Any) -> RunRecord:
    info = run.info
    ended = info.end_time / 1000 if info.end_time else None
    return RunRecord(info.run_name, info.status, dict(run.data.tags), info.start_time / 1000, ended)


class State(Enum):
    """Of a cell, in the order in which a reader wants to know of them."""

    running = "running"
    dead = "dead"  # RUNNING in MLflow, though nobody runs it
    failed = "failed"
    missing = "missing"  # it finished, and its predictions are gone
    killed = "killed"
    refused = "refused"  # it cannot be
    waiting = "waiting"
    finished = "finished"


@dataclass(frozen=True)
class Row:
    """A cell in the table; "" or None where there is nothing to say."""

    cell: str
    state: State
    host: str = ""
    pid: str = ""
    epoch: str = ""  # "2/3"
    rate: float | None = None  # rows a second
    left: float | None = None  # seconds
    macro: float | None = None  # accuracy on test
    note: str = ""  # why it failed, was refused, waits again, ...
    seconds: float | None = None  # a finished cell took, a running one has run


# of the newest run of a cell that is neither finished nor running
ENDS = {"FINISHED": State.missing, "FAILED": State.failed, "KILLED": State.killed, "RUNNING": State.dead}


def row(standing: CellStanding, now: float) -> Row:
    """The row of a cell at a moment."""
    shown, times = _row(standing, now), standing.cell.asked
    if times == 1:
        return shown
    merged = f"asked for {times} times, run once"
    return replace(shown, note=f"{shown.note}; {merged}" if shown.note else merged)


def _row(standing: CellStanding, now: float) -> Row:
    cell, run = standing.cell, standing.newest
    if cell.status == "REFUSED":
        return Row(cell.cell, State.refused, note=cell.reason)
    if run and run.status == "RUNNING" and (running := _running(cell.cell, run, now)):
        return running
    if cell.status == "FINISHED":
        known = cell.metrics.get
        rate, macro = known("train/rows_per_second"), known("test/macro_accuracy")
        return Row(cell.cell, State.finished, rate=rate, macro=macro, seconds=known("seconds"))
    if run is None:
        return Row(cell.cell, State.waiting, note=cell.reason)
    return _ended(standing, run, now)


def _running(name: str, run: RunRecord, now: float) -> Row | None:
    """None where nobody runs it any more."""
    alive = life(run.tags, now)
    if alive is Life.dead:
        return None
    began = taken_up(run.tags) or run.started
    beat, sign = pulse(run.tags), last_sign(run.tags) or began
    quiet = alive is Life.unknown or (beat is not None and now - sign > QUIET)
    if beat and beat.at < began:  # of an earlier attempt
        beat = None
    left = max(0.0, beat.seconds_left - max(0.0, now - beat.at)) if beat and beat.seconds_left is not None else None
    return Row(
        name,
        State.running,
        host=run.tags.get("host", ""),
        pid=run.tags.get("pid", ""),
        epoch=f"{beat.epoch:.0f}/{beat.epochs:.0f}" if beat and None not in (beat.epoch, beat.epochs) else "",
        rate=beat.rows_per_second if beat else None,
        left=left,
        note=f"no sign since {_moment(sign)}" if quiet else "",
        seconds=max(0.0, now - began),
    )


def _ended(standing: CellStanding, run: RunRecord, now: float) -> Row:
    """A cell that was tried and is not finished; it waits where its sweep was asked again since that attempt began."""
    state, began = ENDS[run.status], taken_up(run.tags) or run.started
    reason = {
        State.missing: standing.cell.reason,
        State.dead: f"process {run.tags.get('pid', '?')} is gone, last sign {_moment(last_sign(run.tags) or began)}",
    }.get(state, run.tags.get("reason", ""))
    if any(driven(sweep, now) and taken_up(sweep.tags) > began for sweep in standing.sweeps):
        before = "" if state is State.missing else f"{state.value} before: "
        return Row(standing.cell.cell, State.waiting, note=(before + reason).removesuffix(": "))
    if state is State.dead and any(driven(sweep, now) for sweep in standing.sweeps):  # Ray tries it again
        return Row(standing.cell.cell, State.waiting, note=f"{reason}; its sweep goes on with it")
    return Row(standing.cell.cell, state, host=run.tags.get("host", ""), note=reason)


def _moment(seconds: float) -> str:
    """In the local time of who reads it."""
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M}"


def driven(sweep: RunRecord, now: float) -> bool:
    """Whether a process goes through the cells of this sweep, as far as can be known."""
    return sweep.status == "RUNNING" and life(sweep.tags, now) is not Life.dead
