"""Where a sweep stands → a row for each of its cells, as plain values.

CellStanding(CellRecord("llm-mh-joint-s0", status="RUNNING", ...), newest=RunRecord(...), sweeps=(...)) →
Row("llm-mh-joint-s0", State.running, host="box-1", pid="4711", epoch="2/3", rate=900.0, left=35.0)
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from relevance.alive import Life, last_sign, life, taken_up
from relevance.pulse import pulse
from relevance.records import CellStanding, RunRecord

QUIET = 60.0  # seconds without a pulse, due every ten, after which a running cell is said to be quiet


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


def row(one: CellStanding, now: float) -> Row:
    """The row of a cell at a moment."""
    found = _row(one, now)
    if one.cell.asked == 1:
        return found
    merged = f"asked for {one.cell.asked} times, run once"
    return replace(found, note=f"{found.note}; {merged}" if found.note else merged)


def _row(one: CellStanding, now: float) -> Row:
    cell, run = one.cell, one.newest
    if cell.status == "REFUSED":
        return Row(cell.cell, State.refused, note=cell.reason)
    if run and run.status == "RUNNING" and (running := _running(cell.cell, run, now)):
        return running
    if cell.status == "FINISHED":
        known = cell.metrics.get
        numbers = {"rate": known("train/rows_per_second"), "macro": known("test/macro_accuracy")}
        return Row(cell.cell, State.finished, **numbers, seconds=known("seconds"))
    if run is None:
        return Row(cell.cell, State.waiting, note=cell.reason)
    return _ended(one, run, now)


def driven(sweep: RunRecord, now: float) -> bool:
    """Whether a process goes through the cells of this sweep, as far as can be known."""
    return sweep.status == "RUNNING" and life(sweep.tags, now) is not Life.dead


def _running(name: str, run: RunRecord, now: float) -> Row | None:
    """None where nobody runs it any more."""
    found = life(run.tags, now)
    if found is Life.dead:
        return None
    began = taken_up(run.tags) or run.started
    said, sign = pulse(run.tags), last_sign(run.tags) or began
    quiet = found is Life.unknown or (said is not None and now - sign > QUIET)
    if said and said.at < began:  # of an earlier attempt
        said = None
    left = max(0.0, said.seconds_left - max(0.0, now - said.at)) if said and said.seconds_left is not None else None
    return Row(
        name,
        State.running,
        host=run.tags.get("host", ""),
        pid=run.tags.get("pid", ""),
        epoch=f"{said.epoch:.0f}/{said.epochs:.0f}" if said and None not in (said.epoch, said.epochs) else "",
        rate=said.rows_per_second if said else None,
        left=left,
        note=f"no sign since {_moment(sign)}" if quiet else "",
        seconds=max(0.0, now - began),
    )


def _ended(one: CellStanding, run: RunRecord, now: float) -> Row:
    """A cell that was tried and is not finished; it waits where its sweep was asked again since that attempt began."""
    state, began = ENDS[run.status], taken_up(run.tags) or run.started
    reason = {
        State.missing: one.cell.reason,
        State.dead: f"process {run.tags.get('pid', '?')} is gone, last sign {_moment(last_sign(run.tags) or began)}",
    }.get(state, run.tags.get("reason", ""))
    if any(driven(sweep, now) and taken_up(sweep.tags) > began for sweep in one.sweeps):
        before = "" if state is State.missing else f"{state.value} before: "
        return Row(one.cell.cell, State.waiting, note=(before + reason).removesuffix(": "))
    if state is State.dead and any(driven(sweep, now) for sweep in one.sweeps):  # Ray tries it again
        return Row(one.cell.cell, State.waiting, note=f"{reason}; its sweep goes on with it")
    return Row(one.cell.cell, state, host=run.tags.get("host", ""), note=reason)


def _moment(seconds: float) -> str:
    """In the local time of who reads it."""
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M}"
