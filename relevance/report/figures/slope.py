"""A matrix → slope.png, slope.svg: macro accuracy from prefix over mh to mhp, one line per model.

rows (llm, prefix), (llm, mh), (llm, mhp), all joint and of one variant → 81.3 ── 83.0 ── 84.1 llm
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from relevance.report.figures.canvas import LINES, SMALL, WIDTH, Look, erase, look, picture
from relevance.report.figures.labels import INTERVALS, counted, spread, wrap
from relevance.report.matrix import Matrix
from relevance.report.row import Row
from relevance.scores import COLUMNS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROUTINGS = ("prefix", "mh", "mhp")
MACRO = COLUMNS.index("macro")
APART = 0.03  # between models, in routings: their bars do not cover each other
LINE = 0.16  # inches of a line of a label


@dataclass(frozen=True)
class Slope:
    """One model over the routings; None where it has no such row."""

    model: str
    family: str
    variant: str
    rows: tuple[Row | None, ...]

    def values(self, seed: int | None = None) -> np.ndarray:
        """Macro of the mean, or of one seed, in percent [3]; NaN where there is none."""
        return np.array([_macro(row, seed) for row in self.rows])

    @property
    def seeds(self) -> list[int]:
        """Seeds that any of the rows finished."""
        return sorted({seed for row in self.rows if row for seed in row.seeds})


def write_slope(matrix: Matrix, folder: Path, name: str = "slope") -> str:
    """Draw the models that have two of the routings; returns the caption, "" where none has."""
    slopes = _slopes(matrix)
    if not slopes:
        return erase(folder, name)
    shared = len({slope.variant for slope in slopes}) == 1
    with picture(folder, name, (WIDTH, max(3.8, 2 * LINE * len(slopes) + 1))) as figure:
        axes = figure.subplots()
        looks = _looks(slopes)
        shifts = min(APART, 0.4 / len(slopes)) * (np.arange(len(slopes)) - (len(slopes) - 1) / 2)
        for slope, style, shift in zip(slopes, looks, shifts, strict=True):
            _line(axes, slope, style, shift)
        axes.set_xticks(range(len(ROUTINGS)), ROUTINGS)
        axes.set_xlim(-0.25, len(ROUTINGS) - 0.75)
        axes.set_ylabel("macro accuracy, %")
        axes.grid(axis="y")
        figure.draw_without_rendering()
        texts = [wrap(slope.model if shared else f"{slope.model} {slope.variant}", 24) for slope in slopes]
        _ends(axes, slopes, [style.colour for style in looks], shifts, texts)
    return _caption(matrix, slopes, shared)


def _slopes(matrix: Matrix) -> list[Slope]:
    """Per model the joint rows of one variant, that which most rows of the matrix have."""
    rows = [row for row in matrix.rows if row.finished and row.labels[2] == "joint" and row.labels[1] in ROUTINGS]
    rows = [row for row in rows if not matrix.partial(row)]
    often = Counter(row.labels[3] for row in rows)
    best: dict[str, Slope] = {}
    for model, variant in dict.fromkeys((row.labels[0], row.labels[3]) for row in rows):
        own = {row.labels[1]: row for row in rows if (row.labels[0], row.labels[3]) == (model, variant)}
        known = model in best and often[best[model].variant] >= often[variant]
        if len(own) > 1 and not known:
            family = next(iter(own.values())).family
            best[model] = Slope(model, family, variant, tuple(map(own.get, ROUTINGS)))
    return list(best.values())


def _macro(row: Row | None, seed: int | None) -> float:
    if row is None or (seed is not None and seed not in row.seeds):
        return np.nan
    return 100 * (row.mean[MACRO] if seed is None else row.values[row.seeds.index(seed), MACRO])


def _looks(slopes: list[Slope]) -> list[Look]:
    """Colour and marker of the model, the line of its family."""
    families = list(dict.fromkeys(slope.family for slope in slopes))
    lines = [LINES[families.index(slope.family) % len(LINES)] for slope in slopes]
    found = [look(index) for index in range(len(slopes))]
    return [Look(one.colour, one.marker, line, "full") for one, line in zip(found, lines, strict=True)]


def _line(axes: "Axes", slope: Slope, style: Look, shift: float) -> None:
    for seed in slope.seeds:
        axes.plot(np.arange(3) + shift, slope.values(seed), color=style.colour, alpha=0.4, linewidth=0.6)
    values = slope.values()
    has = np.flatnonzero(~np.isnan(values))  # a routing in between may be absent: the line goes on
    ends = 100 * np.array([slope.rows[i].interval[:, MACRO] for i in has]).T
    axes.vlines(has + shift, *ends, color=style.colour, linewidth=1.2)
    axes.plot(
        has + shift, values[has], color=style.colour, marker=style.marker, linestyle=style.line, markersize=SMALL + 1.5
    )


def _ends(axes: "Axes", slopes: list[Slope], colours: list[str], shifts: np.ndarray, texts: list[str]) -> None:
    """The text of each model where its line ends, apart from the others."""
    last = [np.flatnonzero(~np.isnan(slope.values()))[-1] for slope in slopes]
    ends = [slope.values()[i] for slope, i in zip(slopes, last, strict=True)]
    tall = LINE * axes.figure.dpi * (1 + max(text.count("\n") for text in texts))
    pixels = axes.transData.transform([(0, end) for end in ends])[:, 1]
    low, high = axes.get_window_extent().get_points()[:, 1]
    places = (spread(pixels, tall, low, high) - low) / (high - low)
    for text, x, y, place, colour in zip(texts, last + shifts, ends, places, colours, strict=True):
        leader = {"arrowstyle": "-", "color": colour, "linewidth": 0.7, "alpha": 0.6, "shrinkB": 5, "relpos": (0, 0.5)}
        axes.annotate(
            f"{y:.1f}  {text}", (x, y), (1.02, place), textcoords="axes fraction", va="center", arrowprops=leader
        )


def _caption(matrix: Matrix, slopes: list[Slope], shared: bool) -> str:
    variant = f" of variant {slopes[0].variant}" if shared and slopes[0].variant else ""
    return (
        f"Macro accuracy in % of models trained on all tasks{variant}; bars: {INTERVALS}; thin lines: single seeds. "
        f"n = {matrix.n.sum():,} test rows, "
        f"{counted((row.finished for slope in slopes for row in slope.rows if row), 'seed')} a point."
    )
