"""The one error a user is meant to read: no stack trace, only what is wrong and what to do."""


class UserError(Exception):
    """Names the thing, the value, what is allowed and the remedy; commands print it and exit 2."""


def first_line(error: BaseException) -> str:
    """What an error says, on one line; "" where it says nothing."""
    return next(iter(str(error).splitlines()), "")
