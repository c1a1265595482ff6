"""The errors that are no accident: UserError, which a person reads, and Stopped; and parts of their texts."""

import difflib
import signal
from collections.abc import Iterable

WIDTH = 100  # characters of a value that an error shows
LINE = 4000  # characters of a line of an error: whatever values are in it, it can be read


class UserError(Exception):
    """Names the thing, the value, what is allowed and the remedy; exits 2. A line beyond LINE loses its middle."""

    def __init__(self, text: str):
        super().__init__("\n".join(map(_without_middle, text.split("\n"))))


class Stopped(BaseException):
    """SIGTERM: no KeyboardInterrupt, which Lightning turns into an exit of its own."""


def interruptible() -> None:
    """From now on Ctrl-C raises KeyboardInterrupt in a command, which it ends at once as its modules are imported."""
    if getattr(signal.getsignal(signal.SIGINT), "__module__", "") == "relevance":
        signal.signal(signal.SIGINT, signal.default_int_handler)


def first_line(error: BaseException) -> str:
    """What an error says, on one line; "" where it says nothing."""
    return _without_middle(next(iter(str(error).splitlines()), ""))


def shorten(value: object) -> str:
    """`value` as an error shows it: quoted, on one line, at most WIDTH characters."""
    return cut("null" if value is None else repr(value), WIDTH)


def _without_middle(line: str) -> str:
    half = LINE // 2
    return line if len(line) <= LINE else f"{line[:half]} … {len(line) - LINE:,} characters … {line[-half:]}"


def cut(text: str, width: int = 120) -> str:
    """The text, or what fits of it."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def plural(n: int, noun: str) -> str:
    """ "1 row", "1,200 rows"."""
    return f"{n:,} {noun}{'s' * (n != 1)}"


def did_you_mean(names: str | Iterable[str], known: Iterable[str]) -> str:
    """ "did you mean title or price? " for ["titel", "prise"]; "" where nothing `known` is near."""
    wanted, present = [names] if isinstance(names, str) else list(names), list(known)
    near = [name for wrong in wanted for name in difflib.get_close_matches(wrong, present, n=1) if name not in wanted]
    return f"did you mean {' or '.join(near)}? " if near else ""
