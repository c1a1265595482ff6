"""Numbers → the text of a table; a missing number is "—".

percent(0.8712, 0.004) → "87.1 ± 0.4"    count(1234567.0) → "1,234,567"    signed(0.0123) → "+1.2"
"""

import math

NONE = "—"
IDENTITY = ["model", "routing", "task mix", "variant"]  # the first columns of every table: the labels of a row


def percent(mean: float, sd: float = math.nan) -> str:
    """A share, 0 to 1, in percent with its standard deviation where there is one."""
    if math.isnan(mean):
        return NONE
    return f"{100 * mean:.1f}" + ("" if math.isnan(sd) else f" ± {100 * sd:.1f}")


def count(value: float, digits: int = 0) -> str:
    """A number with thousands set apart, rounded to `digits` places."""
    return NONE if math.isnan(value) else f"{value:,.{digits}f}"


def signed(value: float) -> str:
    """A share as points with its sign."""
    return NONE if math.isnan(value) else f"{round(100 * value, 1) + 0.0:+.1f}"  # no "-0.0"
