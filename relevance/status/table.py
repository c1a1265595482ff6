"""A sweep in MLflow, looked at again and again → a row for each of its cells → what a terminal shows.

Looks("sqlite:///mlflow.db", "relevance", Path("outputs"), []).look() → Standing("sweep-1f0c9a2e", cells=(...))
→ Row("llm-mh-joint-s0", State.running, host="box-1", pid="4711", epoch="2/3", rate=900.0, left=35.0)
→ "6 cells: 3 finished, 1 running, 1 failed, 1 waiting; about 4 min left (from 3 finished cells)"

Nothing in a name or a reason is taken for markup.
"""

import bisect
import io
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from relevance.cli import duration_text
from relevance.errors import cut, plural
from relevance.tracking.history import asked_cells, cell_key, cell_record, parents_named, store_at
from relevance.tracking.liveness import Life, last_sign, life, pulse, taken_up
from relevance.tracking.records import CellStanding, RunRecord, Standing
from relevance.tracking.store import newest_finished

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
    return RunRecord(run.info.status, dict(run.data.tags), run.info.start_time / 1000)


# Of a cell, in the order in which a reader wants to know of them; the help of the command says what each means.
State = StrEnum("State", "running dead failed missing killed refused waiting finished")


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
ENDS = {"FINISHED": State.missing, "FAILED": State.failed, "KILLED": State.killed}  # else its process is gone


def row(standing: CellStanding, now: float) -> Row:
    shown, times = _row(standing, now), standing.cell.asked
    merged = f"asked for {times} times, run once" if times > 1 else ""
    return replace(shown, note="; ".join(filter(None, (shown.note, merged))))


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
    state, began = ENDS.get(run.status, State.dead), taken_up(run.tags) or run.started
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


STYLES = {
    State.finished: "green",
    State.running: "cyan",
    State.waiting: "dim",
    State.failed: "red",
    State.dead: "red",
    State.missing: "yellow",
    State.killed: "yellow",
    State.refused: "magenta",
}
NOTE_COLUMNS = 40  # columns that notes want in the table; where there are fewer they stand below it
NARROW = 60  # columns of a terminal that has no room for more than these:
NARROW_COLUMNS = frozenset(["cell", "state", "left"])
NOTE_LINES = 5  # of a terminal that one note takes at most
FOLDED = frozenset(["cell", "host", "note"])
NUMBERS = frozenset(["pid", "epoch", "rows/s", "left", "macro"])
WIDE = 100_000  # columns of a page that is not a terminal: no line is folded
CPUINFO = Path("/proc/cpuinfo")
BF16_FLAGS = ("amx_bf16", "avx512_bf16")  # products of bfloat16 at twice the rate of float32 and more


def fitted(rows: list[Row], title: str, last: str, console: Console) -> RenderableType:
    """The page, with as many rows as the console is high: those that run or went wrong before those that are done."""
    order = sorted(range(len(rows)), key=lambda index: list(State).index(rows[index].state))

    def cut(count: int) -> RenderableType:
        shown, hidden = ([rows[index] for index in sorted(part)] for part in (order[:count], order[count:]))
        return page(shown, title, last, console, hidden)

    def too_high(count: int) -> bool:
        return len(console.render_lines(cut(count))) >= console.height  # the cursor stands on a line of its own

    most = min(len(rows), console.height)
    return cut(max(0, bisect.bisect_left(range(most + 1), True, key=too_high) - 1))


def text(rows: list[Row], title: str, last: str) -> str:
    """The page without colours, no line folded, for a pipe."""
    console = Console(file=io.StringIO(), width=WIDE, color_system=None, force_terminal=False)
    with console.capture() as captured:
        console.print(page(rows, title, last, console))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def page(rows: list[Row], title: str, last: str, console: Console, hidden: Sequence[Row] = ()) -> RenderableType:
    """Everything about these rows, as wide as the console at most; those `hidden` are counted."""
    table, below = _table(rows, console.width), []
    notes = [cut(plain(row.note), NOTE_LINES * console.width) for row in rows]
    if any(notes) and console.width - Measurement.get(console, console.options, table).maximum >= NOTE_COLUMNS:
        table = _table(rows, console.width, notes)
    elif any(notes):
        noted = [(row, note) for row, note in zip(rows, notes, strict=True) if note]
        below = [Text(f"{plain(row.cell)}: {note}", STYLES[row.state]) for row, note in noted]
    more = [Text(f"… and {counted(hidden)}", "dim")] if hidden else []
    return Group(Text(plain(title), "bold"), table, *more, *below, Text(plain(last)))


def _table(rows: list[Row], width: int, notes: Sequence[str] = ()) -> Table:
    """Without the columns that would be empty; long hosts are folded before names of cells are."""
    columns = {
        "cell": [plain(row.cell) for row in rows],
        "state": [row.state.value for row in rows],
        "host": [plain(row.host) for row in rows],
        "pid": [plain(row.pid) for row in rows],
        "epoch": [row.epoch for row in rows],
        "rows/s": ["" if row.rate is None else f"{row.rate:.0f}" for row in rows],
        "left": ["" if row.left is None else duration_text(row.left) for row in rows],
        "macro": ["" if row.macro is None else f"{row.macro:.1%}" for row in rows],
        "note": list(notes),
    }
    shown = [name for name in columns if any(columns[name]) and (width >= NARROW or name in NARROW_COLUMNS)]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in shown:
        justify: JustifyMethod = "right" if name in NUMBERS else "left"
        most = width // 6 if name == "host" else None
        table.add_column(name, overflow="fold", no_wrap=name not in FOLDED, justify=justify, max_width=most)
    for row, *cells in zip(rows, *(columns[name] for name in shown), strict=True):
        table.add_row(*map(Text, cells), style=STYLES[row.state])
    return table


def plain(line: str) -> str:
    """One line in which control characters, and those that turn the direction of writing, are spelled out."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)


def title(standing: Standing, now: float) -> str:
    """What the sweep is called and which process runs it."""
    runs = [sweep.tags for sweep in standing.sweeps if driven(sweep, now)]
    processes = [f"process {tags.get('pid', '?')} on {tags.get('host', '?')}" for tags in runs]
    return ", run by ".join([f"sweep {standing.name}", *processes])


def summary(rows: list[Row], standing: Standing, now: float) -> str:
    """Counts; then how long it will take, or the command that goes on with what waits."""
    line = counted(rows)
    if moving(rows, standing, now):
        ahead = time_left(rows)
        return f"{line}; about {duration_text(ahead[0])} left ({ahead[1]})" if ahead else line
    left = [row for row in rows if row.state not in (State.finished, State.refused)]
    commands = dict.fromkeys(sweep.tags.get("command", "") for sweep in standing.sweeps)
    again = "; ".join(command for command in commands if command)
    return f"{line}; nothing runs it now, the same command goes on: {again}" if left and again else line


def counted(rows: Sequence[Row]) -> str:
    counts = Counter(row.state for row in rows)
    states = [f"{counts[state]} {state.value}" for state in (State.finished, *State) if counts[state]]
    return f"{plural(len(rows), 'cell')}: {', '.join(dict.fromkeys(states))}" if rows else plural(0, "cell")


def moving(rows: list[Row], standing: Standing, now: float) -> bool:
    """Whether the table can change by itself: a cell runs, or waits for a process that goes through its sweep."""
    states = {row.state for row in rows}
    return State.running in states or (State.waiting in states and any(driven(sweep, now) for sweep in standing.sweeps))


def time_left(rows: list[Row]) -> tuple[float, str] | None:
    """Seconds until no cell runs or waits, and where the figure comes from; None where nothing tells.

    A cell is taken to need what the finished ones of the sweep needed; as many run at once as run now.
    """
    known = [row.seconds for row in rows if row.state is State.finished and row.seconds]
    mean = sum(known) / len(known) if known else None
    running = [row for row in rows if row.state is State.running]
    waiting = sum(row.state is State.waiting for row in rows)
    if mean is None and (waiting or any(row.left is None for row in running)):
        return None
    usual = mean or 0.0
    lefts = [max(0.0, usual - (row.seconds or 0.0)) if row.left is None else row.left for row in running]
    shared = (sum(lefts) + usual * waiting) / max(1, len(running))
    reported = not waiting and all(row.left is not None for row in running)
    return max([shared, *lefts]), "as last told" if reported else f"from {plural(len(known), 'finished cell')}"


def hint(standing: Standing) -> str:
    """The rest of a line, where cells were trained here in float32 and this processor is faster in bfloat16; or ""."""
    able = next((flag for flag in BF16_FLAGS if flag in flags()), None)
    here = socket.gethostname()
    ran_here = [entry.cell for entry in standing.cells if entry.newest and entry.newest.tags.get("host") == here]
    if not able or not any(cell.precision == "32-true" for cell in ran_here):
        return ""
    return f"; trainer.precision=bf16-mixed trains about twice as fast as 32-true on this processor ({able})"


@cache
def flags() -> frozenset[str]:
    """What the first processor says it can; nothing where the system does not tell."""
    lines = CPUINFO.read_text().splitlines() if CPUINFO.is_file() else []
    return frozenset(next((line.split() for line in lines if line.startswith("flags")), ()))
