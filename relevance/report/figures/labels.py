"""Words of a figure → words that fit: wrapped, apart from each other, numbers as a span.

title(("llm", "mhp", "joint", "match=steps"), 30) → "llm · mhp · joint" / "match=steps"
spread([1, 1.2], gap=1) → [0.6, 1.6]; counted([3, 1], "seed") → "1 to 3 seeds"
"""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INTERVALS = "95 % intervals, entities of the test rows resampled"
# points from a marker, aslant before above or beside it: intervals stand upright, and a front steps from the left
AROUND = [(dx * far, dy * far) for far in (7, 13, 19) for dx, dy in
          ((-1, 1), (1, 1), (1, -1), (-1, -1), (0, 1.4), (0, -1.4), (1.4, 0), (-1.4, 0))]  # fmt: skip
TOUCH = 10  # points; texts and markers nearer than this touch


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


def place(axes: "Axes", xy: np.ndarray, texts: dict[int, str]) -> None:
    """Write each short text beside its point of `xy` [N, 2], where it touches no other text and few points.

    The layout has to be final: what is drawn later may move the points.
    """
    scale = 72 / axes.figure.dpi
    taken = scale * axes.transData.transform(xy)
    for index, text in texts.items():
        tried = taken[index] + AROUND
        near = np.linalg.norm(tried[:, None] - taken, axis=2) < TOUCH
        near[:, index] = False
        best = int(near.sum(axis=1).argmin())
        taken = np.concatenate([taken, tried[[best]]])
        axes.annotate(
            text, xy[index], AROUND[best], textcoords="offset points", ha="center", va="center", fontsize=8
        ).set_in_layout(False)
