"""The errors that are no accident: UserError, which a person reads, and Stopped; and parts of their texts."""

import difflib
import signal
from collections.abc import Iterable


class UserError(Exception):
    """Names the thing, the value, what is allowed and the remedy; commands print it and exit 2."""


class Stopped(BaseException):
    """SIGTERM: no KeyboardInterrupt, which Lightning turns into an exit of its own."""


def interruptible() -> None:
    """From now on Ctrl-C raises KeyboardInterrupt in a command, which it ends at once as its modules are imported."""
    if getattr(signal.getsignal(signal.SIGINT), "__module__", "") == "relevance":
        signal.signal(signal.SIGINT, signal.default_int_handler)


def first_line(error: BaseException) -> str:
    """What an error says, on one line; "" where it says nothing."""
    return next(iter(str(error).splitlines()), "")


def cut(text: str, width: int = 120) -> str:
    """The text, or what fits of it."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def did_you_mean(names: str | Iterable[str], known: Iterable[str]) -> str:
    """ "did you mean title or price? " for ["titel", "prise"]; "" where nothing `known` is near."""
    wanted, present = [names] if isinstance(names, str) else list(names), list(known)
    near = [name for wrong in wanted for name in difflib.get_close_matches(wrong, present, n=1) if name not in wanted]
    return f"did you mean {' or '.join(near)}? " if near else ""
