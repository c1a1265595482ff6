"""Where a sweep stands, on a terminal or into a pipe: looked at again and again while something in it moves."""

import sys
import time
from collections.abc import Callable
from datetime import datetime

from rich.console import Console
from rich.live import Live

from relevance.cli import INTERRUPTED
from relevance.errors import UserError
from relevance.status.table import Row, State, fitted, hint, moving, page, row, summary, text, title
from relevance.tracking.records import Standing


class View:
    """What was last seen of a sweep, as it is to be shown now."""

    def __init__(self, look: Callable[[], Standing], stays: bool):
        self._look, self._stays = look, stays  # stays: until no cell waits, whether or not something runs the sweep
        self._standing, self._seen, self._trouble = look(), time.time(), ""
        self._set_rows(self._seen)

    def look(self) -> None:
        """Look again; a store that does not answer for once is told, and what was seen before shown."""
        now = time.time()
        try:
            self._standing, self._seen, self._trouble = self._look(), now, ""
        except UserError as error:
            self._trouble = f"; no news since {datetime.fromtimestamp(self._seen):%H:%M:%S} ({error})"
        self._set_rows(now)

    def _set_rows(self, now: float) -> None:
        self.now, self.rows = now, [row(cell, now) for cell in self._standing.cells]

    def page_parts(self) -> tuple[list[Row], str, str]:
        """Rows, the line above and the line below them."""
        last = summary(self.rows, self._standing, self.now) + hint(self._standing) + self._trouble
        return self.rows, title(self._standing, self.now), last

    def goes_on(self) -> bool:
        """Whether there is something to wait for."""
        open_ = any(row.state in (State.running, State.waiting) for row in self.rows)
        return open_ if self._stays else moving(self.rows, self._standing, self.now)


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
        states = [row.state for row in view.rows]
        if states != shown:
            print(text(*view.page_parts()), end="\n\n", flush=True)
            shown = states
        time.sleep(seconds)
        view.look()
