"""What all figures share: a drawing → <name>.png and <name>.svg in one style, and words that fit beside it.

with picture(folder, "slope", (WIDTH, 4.0)) as figure: figure.subplots().plot([1, 2])  →  slope.png, slope.svg
title(("llm", "mhp", "joint", "match=steps"), 30) → "llm · mhp · joint" / "match=steps"
spread([1, 1.2], gap=1) → [0.6, 1.6]; counted([3, 1], "seed") → "1 to 3 seeds"

Nothing of the day or the machine is in the files. Texts are drawn as they are, never parsed; in the svg they stay
text, which a reader can select and search.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from relevance.atomic_io import atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import LineStyleType, RcKeyType

INTERVALS = "95 % intervals, entities of the test rows resampled"
DPI = 150
WIDTH = 7.0  # inches: shown 700 pixels wide, letters of 9 points are 12 pixels high
TALLEST = 60_000  # pixels; the renderer refuses pictures of 65,536
STYLE: "dict[RcKeyType, Any]" = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana"],  # the first comes with matplotlib; the second is as wide
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "0.4",
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "relevance",
    "text.parse_math": False,
}
FORMS = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}  # what they would say, left out
# Okabe and Ito (2008), in an order in which neighbours differ in grey too; yellow, faint on white, is last
COLOURS = ("#0072B2", "#E69F00", "#000000", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES: "tuple[LineStyleType, ...]" = ("-", "--", "-.", ":", (0, (7, 1.5, 1, 1.5, 1, 1.5)), (0, (9, 4)))
FILLS = ("full", "none", "left", "bottom", "right", "top")
SMALL = 4.5  # points across a marker
ZERO: dict[str, Any] = {"color": "0.35", "linewidth": 0.9, "zorder": 1}  # the line where an effect is none
TICKS = ((1,), (1, 2, 5), (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8))  # of a decade: over a wide range, a near, a narrow one


@dataclass(frozen=True)
class Look:
    """How a series differs from the others: by colour, and without it by any one of the rest."""

    colour: str
    marker: str
    line: "LineStyleType"
    fill: str

    @property
    def drawn(self) -> dict[str, Any]:
        """How a line with markers is drawn."""
        marker = {"marker": self.marker, "fillstyle": self.fill, "markerfacecoloralt": "white"}
        return {"color": self.colour, "linestyle": self.line, **marker}


def look(index: int) -> Look:
    """The look of a series by its place; 24 of them differ."""
    colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
    return Look(colour, marker, LINES[index % len(LINES)], FILLS[index % len(FILLS)])


@contextmanager
def picture(folder: Path, name: str, size: tuple[float, float]) -> Iterator["Figure"]:
    """A figure of `size` inches to draw on, written on the way out; the same drawing gives the same bytes anywhere."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        figure = Figure(figsize=size, dpi=min(DPI, TALLEST / max(size)), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        for form, metadata in FORMS.items():
            with atomic_file(folder / f"{name}.{form}") as part:
                figure.savefig(part, format=form, metadata=metadata)


def erase(folder: Path, name: str) -> str:
    """Remove what an earlier report drew; returns the caption of no figure, ""."""
    for form in FORMS:
        (folder / f"{name}.{form}").unlink(missing_ok=True)
    return ""


def log_scale(axes: "Axes", values: np.ndarray) -> None:
    """A logarithmic scale across that holds the values [N] above zero, NaN left out, with enough numbers on it."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    low, high = np.nanmin(values), np.nanmax(values)
    room = max(1.3, (high / low) ** 0.1)
    axes.set_xlim(low / room, high * room)
    shown = TICKS[sum(high / low < ratio for ratio in (20, 3))]
    axes.xaxis.set_major_locator(LogLocator(subs=shown))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def legend(figure: "Figure", looks: dict[str, Look], columns: int, size: float | None = None) -> None:
    """What each label looks like, above the panels; markers are `size` points across."""
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], label=label, markersize=size, **style.drawn) for label, style in looks.items()]
    figure.legend(handles=lines, loc="outside upper center", ncols=columns, handlelength=3.5)


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
    number = span(numbers)
    return f"{number} {what}" if number == "1" else f"{number} {what}s"


def short(value: float) -> str:
    """A number of a scale: "0.5", "200", "2,000", "50k", "2M", "1B"."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= max(size, 10_000):
            return f"{value / size:g}{letter}"
    return f"{value:,.0f}" if value >= 10 else f"{value:g}"


def points(value: float) -> str:
    """A difference of shares as signed points: 0.031 → "+3.1"."""
    return f"{round(100 * value, 1) + 0.0:+.1f}".replace("-", "\N{MINUS SIGN}")  # + 0.0: no minus before a zero


def spread(places: Sequence[float] | np.ndarray, gap: float, low: float = -np.inf, high: float = np.inf) -> np.ndarray:
    """Places nearest to the wanted ones [N], in their order, none nearer than `gap`; above `high` where not all fit."""
    from scipy.optimize import isotonic_regression

    wanted = np.asarray(places, float)
    order = np.argsort(wanted, kind="stable")
    steps = gap * np.arange(len(wanted))
    apart = np.empty(len(wanted))
    nearest = isotonic_regression(wanted[order] - steps).x
    apart[order] = np.clip(nearest, low, max(low, high - gap * (len(wanted) - 1))) + steps
    return apart
