"""Figures of effects and accuracies with their intervals: forest, slope and volume, each as png and svg.

forest  Line("macro", "llm", Effect(0.031, 0.012, 0.049, ...)) → llm / macro  ·  |  ├──●──┤  +3.1 [+1.2, +4.9]
slope   rows (llm, prefix), (llm, mh), (llm, mhp), all joint and of one variant → 81.3 ── 83.0 ── 84.1 llm
volume  Point("llm", "item_item", 1_200, Effect(0.04, ...)) → a marker of item_item at 1,200 rows and +4.0 points
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from relevance.metrics import COLUMNS
from relevance.report.figures import (
    COLOURS,
    INTERVALS,
    LINES,
    MARKERS,
    SMALL,
    WIDTH,
    Look,
    counted,
    erase,
    log_scale,
    look,
    picture,
    points,
    span,
    spread,
    wrap,
    zero_line,
)
from relevance.report.matrix import Matrix
from relevance.report.rows import Row
from relevance.report.stats import Effect
from relevance.tasks import TASK_NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_EFFECTS = 40  # of a forest
LABEL_LETTERS = 36  # on one line of a label of a forest
LINE, LABEL_SPACE = 0.16, 0.12  # inches of a line of a label, and between two labels
SEED_DROP = 0.09  # inches that the dots of single seeds lie below their interval
ROUTINGS = ("prefix", "mh", "mhp")  # of a slope
MACRO = COLUMNS.index("macro")
MODEL_GAP = 0.03  # between models, in routings: their bars do not cover each other
MODEL_FACTOR = 1.03  # between models, a factor of rows: their bars do not cover each other


@dataclass(frozen=True)
class Line:
    """An effect, what it is of and the heading it stands under."""

    label: str
    group: str
    effect: Effect


def write_forest(lines: list[Line], folder: Path, title: str, name: str = "forest") -> str:
    """Draw the first MOST_EFFECTS effects, in points; returns the caption, "" where no effect is a number."""
    lines = [line for line in lines if np.isfinite(line.effect.value)]
    if not lines:
        return erase(folder, name)
    drawn = _slots(lines[:MOST_EFFECTS])
    texts = [wrap(slot.label if isinstance(slot, Line) else slot, LABEL_LETTERS) for slot in drawn]
    heights = np.array([LABEL_SPACE + LINE * (1 + text.count("\n")) for text in texts])
    places = heights.cumsum() - heights / 2
    with picture(folder, name, (WIDTH, heights.sum() + 0.9)) as figure:
        axes = figure.subplots()
        axes.set_ylim(heights.sum(), 0)
        axes.set_yticks(places, texts)
        for y, slot, tick in zip(places, drawn, axes.get_yticklabels(), strict=True):
            if isinstance(slot, Line):
                _bar(axes, y, slot.effect)
            else:
                tick.set_fontweight("bold")
        zero_line(axes, across=False)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        axes.set_xlabel("difference of accuracy, points")
        axes.set_title(wrap(title, 90), loc="left")
    return _forest_caption(lines)


def _slots(lines: list[Line]) -> list[Line | str]:
    """The lines group by group, each group after its heading."""
    slots: list[Line | str] = []
    for group in dict.fromkeys(line.group for line in lines):
        slots += [*filter(None, [group]), *(line for line in lines if line.group == group)]
    return slots


def _bar(axes: "Axes", y: float, effect: Effect) -> None:
    sure = effect.low > 0 or effect.high < 0
    axes.plot([100 * effect.low, 100 * effect.high], [y, y], color=COLOURS[0], linewidth=1.6)
    axes.plot(
        100 * effect.value, y, "o", color=COLOURS[0], markerfacecolor=COLOURS[0] if sure else "white", markersize=6
    )
    axes.text(1.02, y, _number(effect), transform=axes.get_yaxis_transform(), va="center")
    seeds = 100 * np.array(effect.seeds)
    axes.plot(seeds, np.full(len(seeds), y + SEED_DROP), "o", color="0.35", markersize=SMALL / 2, markeredgewidth=0)


def _number(effect: Effect) -> str:
    return f"{points(effect.value)} [{points(effect.low)}, {points(effect.high)}]"


def _forest_caption(lines: list[Line]) -> str:
    effects = [line.effect for line in lines[:MOST_EFFECTS]]
    cut = f" {MOST_EFFECTS} of {len(lines):,} differences are drawn." if len(lines) > MOST_EFFECTS else ""
    return (
        f"Differences of accuracy in points; bars: {INTERVALS}; a filled circle: the interval leaves out zero; dots "
        f"under it: single seeds. n = {span(effect.n for effect in effects)} test rows and "
        f"{counted((len(effect.seeds) for effect in effects), 'seed')} a difference.{cut}"
    )


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
        shifts = min(MODEL_GAP, 0.4 / len(slopes)) * (np.arange(len(slopes)) - (len(slopes) - 1) / 2)
        for slope, style, shift in zip(slopes, looks, shifts, strict=True):
            _line(axes, slope, style, shift)
        axes.set_xticks(range(len(ROUTINGS)), ROUTINGS)
        axes.set_xlim(-0.25, len(ROUTINGS) - 0.75)
        axes.set_ylabel("macro accuracy, %")
        axes.grid(axis="y")
        figure.draw_without_rendering()
        texts = [wrap(slope.model if shared else f"{slope.model} {slope.variant}", 24) for slope in slopes]
        _ends(axes, slopes, [style.colour for style in looks], shifts, texts)
    return _slope_caption(matrix, slopes, shared)


def _slopes(matrix: Matrix) -> list[Slope]:
    """Per model the joint rows of one variant, that which most rows of the matrix have."""
    rows = [row for row in matrix.rows if row.finished and row.labels[2] == "joint" and row.labels[1] in ROUTINGS]
    rows = [row for row in rows if not matrix.partial(row)]
    often = Counter(row.labels[3] for row in rows)
    best: dict[str, Slope] = {}
    for model, variant in dict.fromkeys((row.labels[0], row.labels[3]) for row in rows):
        by_routing = {row.labels[1]: row for row in rows if (row.labels[0], row.labels[3]) == (model, variant)}
        known = model in best and often[best[model].variant] >= often[variant]
        if len(by_routing) > 1 and not known:
            family = next(iter(by_routing.values())).family
            best[model] = Slope(model, family, variant, tuple(map(by_routing.get, ROUTINGS)))
    return list(best.values())


def _macro(row: Row | None, seed: int | None) -> float:
    if row is None or (seed is not None and seed not in row.seeds):
        return np.nan
    return 100 * (row.mean[MACRO] if seed is None else row.values[row.seeds.index(seed), MACRO])


def _looks(slopes: list[Slope]) -> list[Look]:
    """Colour and marker of the model, the line of its family."""
    families = list(dict.fromkeys(slope.family for slope in slopes))
    lines = [LINES[families.index(slope.family) % len(LINES)] for slope in slopes]
    looks = [look(index) for index in range(len(slopes))]
    return [Look(style.colour, style.marker, line, "full") for style, line in zip(looks, lines, strict=True)]


def _line(axes: "Axes", slope: Slope, style: Look, shift: float) -> None:
    for seed in slope.seeds:
        axes.plot(np.arange(3) + shift, slope.values(seed), color=style.colour, alpha=0.4, linewidth=0.6)
    values = slope.values()
    has = np.flatnonzero(~np.isnan(values))  # a routing in between may be absent: the line goes on
    shown = [row for row, value in zip(slope.rows, values, strict=True) if row and not np.isnan(value)]
    ends = 100 * np.array([row.interval[:, MACRO] for row in shown]).T
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


def _slope_caption(matrix: Matrix, slopes: list[Slope], shared: bool) -> str:
    variant = f" of variant {slopes[0].variant}" if shared and slopes[0].variant else ""
    return (
        f"Macro accuracy in % of models trained on all tasks{variant}; bars: {INTERVALS}; thin lines: single seeds. "
        f"n = {matrix.n.sum():,} test rows, "
        f"{counted((row.finished for slope in slopes for row in slope.rows if row), 'seed')} a point."
    )


@dataclass(frozen=True)
class Point:
    """The gain of a model on a task it had so many training rows of."""

    model: str
    task: str
    rows: int
    effect: Effect  # over the model trained on this task alone


def write_volume(points: list[Point], folder: Path, name: str = "volume") -> str:
    """Draw gains in points over a logarithmic scale of rows; returns the caption, "" where there is no gain."""
    points = [point for point in points if point.rows > 0 and np.isfinite(point.effect.value)]
    if not points:
        return erase(folder, name)
    models = list(dict.fromkeys(point.model for point in points))
    with picture(folder, name, (WIDTH, 4.6)) as figure:
        axes = figure.subplots()
        series = defaultdict(list)
        for point in sorted(points, key=lambda point: point.rows):
            series[point.model, point.task].append(point)
        for (model, task), line in series.items():
            index = models.index(model)
            _series(axes, line, _look(index, task), MODEL_FACTOR ** (index - (len(models) - 1) / 2))
        zero_line(axes, across=True)
        log_scale(axes, np.array([point.rows for point in points]))
        axes.grid()
        axes.set_xlabel("training rows of the task, log scale")
        axes.set_ylabel("gain over the single task, points")
        _legends(axes, models, [task for task in TASK_NAMES if any(point.task == task for point in points)])
    return _volume_caption(points)


def _look(model: int, task: str) -> Look:
    """Colour, line and filling of the model, the marker of the task."""
    style = look(model)
    return Look(style.colour, MARKERS[TASK_NAMES.index(task)], LINES[model % len(LINES)], style.fill)


def _series(axes: "Axes", points: list[Point], style: Look, shift: float) -> None:
    rows = shift * np.array([point.rows for point in points])
    values, low, high = (
        100 * np.array([getattr(point.effect, end) for point in points]) for end in ("value", "low", "high")
    )
    axes.vlines(rows, low, high, color=style.colour, linewidth=0.8, alpha=0.6)
    axes.plot(rows, values, color=style.colour, linestyle=style.line, linewidth=1.1, **_marker(style))


def _marker(style: Look) -> dict:
    return {
        "marker": style.marker,
        "fillstyle": style.fill,
        "markersize": SMALL + 2,
        "markerfacecoloralt": "white",
    }


def _legends(axes: "Axes", models: list[str], tasks: list[str]) -> None:
    from matplotlib.lines import Line2D

    names = [wrap(model, 30) for model in models]
    styles = [look(index) for index in range(len(models))]
    lines = [
        Line2D([], [], color=style.colour, label=label, linestyle=style.line, **_marker(replace(style, marker="o")))
        for label, style in zip(names, styles, strict=True)
    ]
    marks = [
        Line2D([], [], color="0.3", linestyle="", marker=MARKERS[TASK_NAMES.index(task)], label=task) for task in tasks
    ]
    axes.figure.legend(handles=lines, loc="outside upper center", ncols=min(4, len(lines)), handlelength=3.5)
    axes.figure.legend(handles=marks, loc="outside lower center", ncols=min(6, len(marks)), handletextpad=0.2)


def _volume_caption(points: list[Point]) -> str:
    effects = [point.effect for point in points]
    return (
        "Gain over the model trained on the task alone, in points of accuracy, by training rows of the task; bars: "
        f"{INTERVALS}. n = {span(effect.n for effect in effects)} test rows and "
        f"{counted((len(effect.seeds) for effect in effects), 'seed')} a point."
    )
