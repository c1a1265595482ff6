"""The errors that are no accident: one a user is meant to read, and one that asks to stop."""


class UserError(Exception):
    """Names the thing, the value, what is allowed and the remedy; commands print it and exit 2."""


class Stopped(BaseException):
    """SIGTERM: no KeyboardInterrupt, which Lightning turns into an exit of its own."""


def first_line(error: BaseException) -> str:
    """What an error says, on one line; "" where it says nothing."""
    return next(iter(str(error).splitlines()), "")
