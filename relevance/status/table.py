"""The rows of a sweep → what a terminal shows: title, table, notes and a last line.

"6 cells: 3 finished, 1 running, 1 failed, 1 waiting; about 4 min left (from 3 finished cells)"

Nothing in a name or a reason is taken for markup. The last line may end in a hint: {"avx512f", "avx512_bf16", ...},
cells in 32-true here → "; trainer.precision=bf16-mixed trains about twice as fast ..."
"""

import bisect
import io
import socket
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from relevance.cli import duration_text
from relevance.status.rows import Row, State, driven
from relevance.tracking.records import Standing

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


def page(rows: list[Row], title: str, last: str, console: Console) -> RenderableType:
    """Everything about these rows, as wide as the console at most."""
    return _page(rows, [], (title, last), console)


def fitted(rows: list[Row], title: str, last: str, console: Console) -> RenderableType:
    """The page, with as many rows as the console is high: those that run or went wrong before those that are done."""
    order = sorted(range(len(rows)), key=lambda index: list(State).index(rows[index].state))

    def cut(count: int) -> RenderableType:
        shown, hidden = ([rows[index] for index in sorted(part)] for part in (order[:count], order[count:]))
        return _page(shown, hidden, (title, last), console)

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


def _page(shown: list[Row], hidden: list[Row], around: tuple[str, str], console: Console) -> RenderableType:
    table, below = _table(shown, console.width), []
    notes = [_cut(plain(row.note), NOTE_LINES * console.width) for row in shown]
    if any(notes) and console.width - Measurement.get(console, console.options, table).maximum >= NOTE_COLUMNS:
        table = _table(shown, console.width, notes)
    elif any(notes):
        noted = [(row, note) for row, note in zip(shown, notes, strict=True) if note]
        below = [Text(f"{plain(row.cell)}: {note}", STYLES[row.state]) for row, note in noted]
    more = [Text(f"… and {counted(hidden)}", "dim")] if hidden else []
    title, last = (Text(plain(line)) for line in around)
    title.stylize("bold")
    return Group(title, table, *more, *below, last)


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


def _cut(line: str, length: int) -> str:
    return line if len(line) <= length else f"{line[: length - 1]}…"


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


def counted(rows: list[Row]) -> str:
    """How many cells there are, and how many in each state."""
    counts = Counter(row.state for row in rows)
    states = [f"{counts[state]} {state.value}" for state in (State.finished, *State) if counts[state]]
    return f"{_cells(len(rows))}: {', '.join(dict.fromkeys(states))}" if rows else _cells(0)


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
    lefts = [left for row in running if (left := _left(row, mean)) is not None]
    if len(lefts) < len(running) or (mean is None and waiting):
        return None
    shared = (sum(lefts) + (mean or 0.0) * waiting) / max(1, len(running))
    reported = not waiting and all(row.left is not None for row in running)
    return max([shared, *lefts]), "as last told" if reported else f"from {_cells(len(known), 'finished ')}"


def _left(row: Row, mean: float | None) -> float | None:
    """Of a running cell, by its own word or by the mean."""
    if row.left is not None or mean is None:
        return row.left
    return max(0.0, mean - (row.seconds or 0.0))


def _cells(count: int, which: str = "") -> str:
    return f"{count} {which}cell{'s' * (count != 1)}"


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
