"""Two drawings, of which every figure of a report is one; each as <name>.png and <name>.svg.

Line("mhp", "llm", 0.031, 0.012, 0.049) → llm / mhp  ·  |  ├──●──┤  +3.1 [+1.2, +4.9]
Curve("llm mhp", "item_item", x [P], y [P], weight [P]) → a line of markers in the panel item_item

A figure's title says what is seen; what stands in it also stands in a table of the page, which takes its place on a
telephone. Nothing of the day or the machine is in the files: the same drawing gives the same bytes. Texts are drawn as
they are, never parsed; in the svg they stay text.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from relevance.atomic_io import atomic_file
from relevance.pages.blocks import signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

DPI = 150
WIDTH = 6.4  # inches: at the 640 pixels that the page gives it, 9 points are 12 pixels high
TALLEST = 60_000  # pixels; the renderer refuses pictures of 65,536
STYLE: "dict[RcKeyType, Any]" = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana"],  # the first comes with matplotlib; the second is as wide
    "font.size": 9,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "0.4",
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "relevance",
    "text.parse_math": False,
}
FORMS = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}  # what they would say, left out
# Okabe and Ito (2008), in an order in which neighbours differ in grey too; yellow, faint on white, is last
COLOURS = ("#0072B2", "#E69F00", "#000000", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
STROKES = ("-", "--", "-.", ":")
MOST_LINES = 40
MOST_CURVES = 8  # of a panel
ACROSS = 3  # panels
LETTERS = 34  # of a label on one line
LINE, SPACE = 0.17, 0.12  # inches of a line of a label, and between two labels
APART = 1.02  # factor of a count between two labels: their bars do not cover each other
SMALL = 4.5  # points across a marker


@dataclass(frozen=True)
class Line:
    """A difference of shares, 0 to 1, with its interval, and the heading it stands under."""

    label: str
    group: str
    value: float
    low: float
    high: float
    decided: bool = False  # shown by a filled marker


@dataclass(frozen=True, eq=False)
class Curve:
    """A line of markers of a panel; shares 0 to 1."""

    label: str
    panel: str
    x: np.ndarray  # [P]
    y: np.ndarray  # [P]
    weight: np.ndarray  # [P] rows behind each marker, which grows with them
    bars: np.ndarray | None = None  # [2, P] low and high of y


@contextmanager
def picture(folder: Path, name: str, size: tuple[float, float]) -> Iterator["Figure"]:
    """A figure of `size` inches to draw on, written on the way out."""
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


def write_intervals(lines: Sequence[Line], folder: Path, name: str, title: str, axis: str) -> int:
    """Draw the first MOST_LINES that are numbers, in points, under their groups; returns how many were drawn."""
    lines = [line for line in lines if np.isfinite(line.value)][:MOST_LINES]
    if not lines:
        return 0
    slots: list[Line | str] = []
    for group in dict.fromkeys(line.group for line in lines):
        slots += [*filter(None, [group]), *(line for line in lines if line.group == group)]
    texts = [wrap(slot.label if isinstance(slot, Line) else slot, LETTERS) for slot in slots]
    heights = np.array([SPACE + LINE * (1 + text.count("\n")) for text in texts])
    places = heights.cumsum() - heights / 2
    with picture(folder, name, (WIDTH, heights.sum() + 0.8 + LINE * wrap(title, 70).count("\n"))) as figure:
        axes = figure.subplots()
        axes.set_ylim(heights.sum(), 0)
        axes.set_yticks(places, texts)
        for y, slot, tick in zip(places, slots, axes.get_yticklabels(), strict=True):
            if isinstance(slot, Line):
                _interval(axes, y, slot)
            else:
                tick.set_fontweight("bold")
        axes.axvline(0, color="0.35", linewidth=0.9, zorder=1)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        axes.set_xlabel(axis)
        figure.suptitle(wrap(title, 70), x=0.01, ha="left", fontsize=STYLE["axes.titlesize"], fontweight="bold")
    return len(lines)


def _interval(axes: "Axes", y: float, line: Line) -> None:
    value, low, high = (signed(share).replace("-", "\N{MINUS SIGN}") for share in (line.value, line.low, line.high))
    between = "" if np.isnan(line.low) else f" [{low}, {high}]"
    axes.plot([100 * line.low, 100 * line.high], [y, y], color=COLOURS[0], linewidth=1.6)
    face = COLOURS[0] if line.decided else "white"
    axes.plot(100 * line.value, y, "o", color=COLOURS[0], markerfacecolor=face, markersize=6)
    axes.text(1.02, y, value + between, transform=axes.get_yaxis_transform(), va="center")


def write_curves(
    curves: Sequence[Curve], folder: Path, name: str, title: str, axes_of: tuple[str, str], *, diagonal: bool = False
) -> int:
    """Draw the curves of the first MOST_CURVES labels, a panel for each of their panels, in percent.

    `axes_of` says what goes across and up. With `diagonal` both axes are shares of one range with a line where they
    are equal; else x is a count on a logarithmic scale and y a difference. Returns how many labels were drawn.
    """
    curves = [curve for curve in curves if curve.weight.any()]
    labels = list(dict.fromkeys(curve.label for curve in curves))[:MOST_CURVES]
    curves = [curve for curve in curves if curve.label in labels]
    panels = list(dict.fromkeys(curve.panel for curve in curves))
    if not curves:
        return 0
    across = min(ACROSS, len(panels))
    down = -(-len(panels) // across)
    wide = WIDTH / (ACROSS if len(panels) > 1 else 1)
    with picture(folder, name, (WIDTH, (wide if len(panels) > 1 else 3.6) * down + 0.9)) as figure:
        grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for axes, panel in zip(grid.flat, panels, strict=False):
            axes.set_title(panel if len(panels) > 1 else "", fontsize=9, fontweight="normal")
            axes.grid()
            for curve in (curve for curve in curves if curve.panel == panel):
                _curve(axes, curve, labels.index(curve.label), 100 if diagonal else 1)
        _scale(grid.flat[0], curves, diagonal)
        for axes in grid[-1]:
            axes.set_xlabel(axes_of[0])
        figure.supylabel(axes_of[1], fontsize=9)
        _legend(figure, labels)
        figure.suptitle(wrap(title, 70), x=0.01, ha="left", fontsize=STYLE["axes.titlesize"], fontweight="bold")
    return len(labels)


def _curve(axes: "Axes", curve: Curve, index: int, scale: int) -> None:
    colour, full = COLOURS[index % len(COLOURS)], curve.weight > 0
    x, y = scale * curve.x[full] * (1 if scale > 1 else APART**index), 100 * curve.y[full]
    axes.plot(x, y, color=colour, linestyle=STROKES[index % len(STROKES)], linewidth=1.1)
    areas = 6 + 40 * curve.weight[full] / curve.weight.max()
    axes.scatter(x, y, areas, color=colour, marker=MARKERS[index % len(MARKERS)], linewidths=0)
    if curve.bars is not None:
        axes.vlines(x, *(100 * curve.bars[:, full]), color=colour, linewidth=0.9, alpha=0.6)


def _scale(axes: "Axes", curves: Sequence[Curve], diagonal: bool) -> None:
    """One range for all panels, which share their axes."""
    if diagonal:
        low = min(
            90, 10 * np.floor(10 * min(np.min([c.x[c.weight > 0].min(), c.y[c.weight > 0].min()]) for c in curves))
        )
        for panel in axes.figure.axes:
            panel.axline((low, low), slope=1, color="0.5", linewidth=0.8)
        axes.set(xlim=(low - 3, 103), ylim=(low - 3, 103))
        return
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    for panel in axes.figure.axes:
        panel.axhline(0, color="0.35", linewidth=0.9, zorder=1)


def _legend(figure: "Figure", labels: list[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=COLOURS[i % len(COLOURS)], marker=MARKERS[i % len(MARKERS)], markersize=SMALL,
               ls=STROKES[i % len(STROKES)], label=wrap(label, 40))
        for i, label in enumerate(labels)
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=2 if len(labels) < 5 else 3, handlelength=3)


def wrap(text: str, width: int) -> str:
    """`text` in lines of about `width` letters, broken after spaces and commas; in a word only where it must."""
    lines = [""]
    for part in re.findall(rf"[^\s,]{{1,{width}}}[\s,·]*|[\s,]+", " ".join(text.split())):
        if lines[-1] and len(lines[-1] + part.rstrip(" ,·")) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip(" ·") for line in lines)
