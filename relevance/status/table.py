"""Rows → what a terminal shows: title, table, notes, counts; nothing in a name or a reason is taken for markup."""

import bisect
import io
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from relevance.commands import duration_text
from relevance.status.rows import Row, State
from relevance.status.summary import counted

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
WORDS = 40  # columns that notes want in the table; where there are fewer they stand below it
NARROW = 60  # columns of a terminal that has no room for more than these:
ALWAYS = frozenset(["cell", "state", "left"])
LINES = 5  # of a terminal that one note takes at most
FOLDED = frozenset(["cell", "host", "note"])
NUMBERS = frozenset(["pid", "epoch", "rows/s", "left", "macro"])
WIDE = 100_000  # columns of a page that is not a terminal: no line is folded


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


def plain(said: str) -> str:
    """One line in which control characters, and those that turn the direction of writing, are spelled out."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in said)


def _page(shown: list[Row], hidden: list[Row], told: tuple[str, str], console: Console) -> RenderableType:
    table, below = _table(shown, console.width), []
    notes = [_cut(plain(row.note), LINES * console.width) for row in shown]
    if any(notes) and console.width - Measurement.get(console, console.options, table).maximum >= WORDS:
        table = _table(shown, console.width, notes)
    elif any(notes):
        noted = [(row, note) for row, note in zip(shown, notes, strict=True) if note]
        below = [Text(f"{plain(row.cell)}: {note}", STYLES[row.state]) for row, note in noted]
    more = [Text(f"… and {counted(hidden)}", "dim")] if hidden else []
    title, last = (Text(plain(line)) for line in told)
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
    shown = [name for name in columns if any(columns[name]) and (width >= NARROW or name in ALWAYS)]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in shown:
        justify, most = "right" if name in NUMBERS else "left", width // 6 if name == "host" else None
        table.add_column(name, overflow="fold", no_wrap=name not in FOLDED, justify=justify, max_width=most)
    for row, *cells in zip(rows, *(columns[name] for name in shown), strict=True):
        table.add_row(*map(Text, cells), style=STYLES[row.state])
    return table


def _cut(said: str, length: int) -> str:
    return said if len(said) <= length else f"{said[: length - 1]}…"
