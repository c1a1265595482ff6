"""Words of a figure → words that fit: wrapped, numbers as a span.

title(("llm", "mhp", "joint", "match=steps"), 30) → "llm · mhp · joint" / "match=steps"
spread([1, 1.2], gap=1) → [0.6, 1.6]; counted([3, 1], "seed") → "1 to 3 seeds"
"""

import re
from collections.abc import Iterable, Sequence

import numpy as np

INTERVALS = "95 % intervals, entities of the test rows resampled"


def title(labels: Sequence[str], width: int) -> str:
    """Model, routing and task mix in one line where they fit, the variant in lines of its own."""
    return "\n".join(wrap(text, width) for text in (" · ".join(labels[:3]), *labels[3:]) if text)


def wrap(text: str, width: int) -> str:
    """`text` in lines of about `width` letters, broken after spaces and commas; in a word only where it must."""
    lines = [""]
    for part in re.findall(rf"[^\s,]{{1,{width}}}[\s,·]*|[\s,]+", " ".join(text.split())):
        if lines[-1] and len(lines[-1] + part.rstrip(" ,·")) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip(" ·") for line in lines)


def span(values: Iterable[int]) -> str:
    """ "3" where all are 3, else "1 to 3"; at least one value."""
    values = list(values)
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def counted(numbers: Iterable[int], what: str) -> str:
    """ "3 seeds", "1 seed", "1 to 3 seeds"."""
    told = span(numbers)
    return f"{told} {what}" if told == "1" else f"{told} {what}s"


def short(value: float) -> str:
    """A number of a scale: "0.5", "200", "2,000", "50k", "2M", "1B"."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= max(size, 10_000):
            return f"{value / size:g}{letter}"
    return f"{value:,.0f}" if value >= 10 else f"{value:g}"


def points(value: float) -> str:
    """A difference of shares as signed points: 0.031 → "+3.1"."""
    return f"{round(100 * value, 1) + 0.0:+.1f}".replace("-", "\N{MINUS SIGN}")  # + 0.0: no minus before a zero


def spread(wanted: Sequence[float], gap: float, low: float = -np.inf, high: float = np.inf) -> np.ndarray:
    """Places nearest to the wanted ones [N], in their order, none nearer than `gap`; above `high` where not all fit."""
    from scipy.optimize import isotonic_regression

    wanted = np.asarray(wanted, float)
    order = np.argsort(wanted, kind="stable")
    steps = gap * np.arange(len(wanted))
    found = np.empty(len(wanted))
    nearest = isotonic_regression(wanted[order] - steps).x
    found[order] = np.clip(nearest, low, max(low, high - gap * (len(wanted) - 1))) + steps
    return found
