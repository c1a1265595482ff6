"""Show where a sweep stands: its cells, which of them run and where, how far they are, and why some did not finish.

python -m relevance.status [sweep=NAME] [watch=false]

At a terminal the table is live while something runs, and ends by itself; Ctrl-C (code 130) ends the looking, not the
sweep. Into a pipe goes one plain table, a line a cell. Reads MLflow only.

waiting    not tried yet, or to be tried again
running    host, process, epoch, rows a second, time left, as it last said
finished   with its macro accuracy on test
failed     with the first line of the reason
killed     ended by Ctrl-C or a signal, or found dead by a later command
dead       its process is gone (on another host: silent for ten minutes), the same command goes on with it
missing    finished, and its predictions are gone
refused    cannot be trained, with the reason

sweep      null: the one asked for last; a list is read as one
watch      null: live where that makes sense; true: until no cell waits or runs, into a pipe too; false: one look
seconds    between two looks
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from relevance.cli import INTERRUPTED, command_line, listed, run_command
from relevance.errors import UserError
from relevance.status.table import Looks, Row, State, fitted, hint, moving, page, row, summary, text, title
from relevance.tracking.records import Standing

SECONDS = (0.1, 3600.0)


@dataclass
class Options:
    sweep: Any = None
    watch: bool | None = None
    seconds: float = 2.0
    tracking_uri: str = "sqlite:///mlflow.db"
    experiment: str = "relevance"
    outputs: str = "outputs"


@command_line(__doc__, Options)
def status(options: Options) -> None:
    if not SECONDS[0] <= options.seconds <= SECONDS[1]:
        raise UserError(f"seconds={options.seconds}: give a number from {SECONDS[0]} to {SECONDS[1]:.0f}")
    names = listed("sweep", options.sweep)
    looks = Looks(options.tracking_uri, options.experiment, Path(options.outputs), names)
    show(looks.look, options.watch, options.seconds)


class View:
    """What was last seen of a sweep, as it is to be shown now."""

    def __init__(self, look: Callable[[], Standing], stays: bool):
        self._look, self._stays = look, stays  # stays: until no cell waits, whether or not something runs the sweep
        self._standing, self._seen, self._trouble = look(), time.time(), ""
        self.now = self._seen

    def look(self) -> None:
        """Look again; a store that does not answer for once is told, and what was seen before shown."""
        self.now = time.time()
        try:
            self._standing, self._seen, self._trouble = self._look(), self.now, ""
        except UserError as error:
            self._trouble = f"; no news since {datetime.fromtimestamp(self._seen):%H:%M:%S} ({error})"

    def page_parts(self) -> tuple[list[Row], str, str]:
        """Rows, the line above and the line below them."""
        rows = self.rows()
        last = summary(rows, self._standing, self.now) + hint(self._standing) + self._trouble
        return rows, title(self._standing, self.now), last

    def rows(self) -> list[Row]:
        return [row(cell, self.now) for cell in self._standing.cells]

    def goes_on(self) -> bool:
        rows = self.rows()
        open_ = any(row.state in (State.running, State.waiting) for row in rows)
        return open_ if self._stays else moving(rows, self._standing, self.now)


def show(look: Callable[[], Standing], watch: bool | None, seconds: float) -> None:
    """Print where a sweep stands; watched, again every so many seconds until nothing in it moves."""
    view = View(look, stays=bool(watch))
    console = Console(force_terminal=sys.stdout.isatty(), highlight=False)
    terminal = console.is_terminal and not console.is_dumb_terminal
    try:
        if terminal and watch is not False and view.goes_on():
            _live(view, console, seconds)
        elif watch:
            _printed(view, seconds)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    finally:
        console.print(page(*view.page_parts(), console)) if terminal else print(text(*view.page_parts()), flush=True)


def _live(view: View, console: Console, seconds: float) -> None:
    """A table that is drawn anew in its place, no higher than the terminal; it leaves nothing behind."""
    with Live(console=console, auto_refresh=False, transient=True) as screen:
        while view.goes_on():
            screen.update(fitted(*view.page_parts(), console), refresh=True)
            time.sleep(seconds)
            view.look()


def _printed(view: View, seconds: float) -> None:
    """Without a terminal: the table again whenever a cell's state has changed, but for the last time."""
    shown: list[State] = []
    while view.goes_on():
        states = [row.state for row in view.rows()]
        if states != shown:
            print(text(*view.page_parts()), end="\n\n", flush=True)
            shown = states
        time.sleep(seconds)
        view.look()


if __name__ == "__main__":
    run_command(status)
