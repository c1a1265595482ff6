"""Rows of a sweep → its last line.

"6 cells: 3 finished, 1 running, 1 failed, 1 waiting; about 4 min left (from 3 finished cells)"
"""

from collections import Counter

from relevance.commands import duration_text
from relevance.records import Standing
from relevance.status.rows import Row, State, driven


def title(standing: Standing, now: float) -> str:
    """What the sweep is called and which process runs it."""
    runs = [sweep.tags for sweep in standing.sweeps if driven(sweep, now)]
    processes = [f"process {tags.get('pid', '?')} on {tags.get('host', '?')}" for tags in runs]
    return ", run by ".join([f"sweep {standing.name}", *processes])


def counted(rows: list[Row]) -> str:
    """How many cells there are, and how many in each state."""
    found = Counter(row.state for row in rows)
    states = [f"{found[state]} {state.value}" for state in (State.finished, *State) if found[state]]
    return f"{_cells(len(rows))}: {', '.join(dict.fromkeys(states))}" if rows else _cells(0)


def moving(rows: list[Row], standing: Standing, now: float) -> bool:
    """Whether the table can change by itself: a cell runs, or waits for a process that goes through its sweep."""
    states = {row.state for row in rows}
    return State.running in states or (State.waiting in states and any(driven(sweep, now) for sweep in standing.sweeps))


def summary(rows: list[Row], standing: Standing, now: float) -> str:
    """Counts; then how long it will take, or the command that goes on with what waits."""
    line = counted(rows)
    if moving(rows, standing, now):
        ahead = time_left(rows)
        return f"{line}; about {duration_text(ahead[0])} left ({ahead[1]})" if ahead else line
    left = [row for row in rows if row.state not in (State.finished, State.refused)]
    commands = dict.fromkeys(sweep.tags.get("command", "") for sweep in standing.sweeps)
    told = "; ".join(command for command in commands if command)
    return f"{line}; nothing runs it now, the same command goes on: {told}" if left and told else line


def time_left(rows: list[Row]) -> tuple[float, str] | None:
    """Seconds until no cell runs or waits, and where the figure comes from; None where nothing tells.

    A cell is taken to need what the finished ones of the sweep needed; as many run at once as run now.
    """
    known = [row.seconds for row in rows if row.state is State.finished and row.seconds]
    mean = sum(known) / len(known) if known else None
    running = [row for row in rows if row.state is State.running]
    waiting = sum(row.state is State.waiting for row in rows)
    lefts = [_left(row, mean) for row in running]
    if None in lefts or (mean is None and waiting):
        return None
    shared = (sum(lefts) + (mean or 0.0) * waiting) / max(1, len(running))
    told = not waiting and all(row.left is not None for row in running)
    return max([shared, *lefts]), "as last told" if told else f"from {_cells(len(known), 'finished ')}"


def _left(row: Row, mean: float | None) -> float | None:
    """Of a running cell, by its own word or by the mean."""
    if row.left is not None or mean is None:
        return row.left
    return max(0.0, mean - (row.seconds or 0.0))


def _cells(count: int, which: str = "") -> str:
    return f"{count} {which}cell{'s' * (count != 1)}"
