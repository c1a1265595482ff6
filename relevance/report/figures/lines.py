"""Figures of effects and accuracies with their intervals: forest, slope and volume, each as png and svg.

forest  Line("macro", "llm", Effect(0.031, 0.012, 0.049, ...)) → llm / macro  ·  |  ├──●──┤  +3.1 [+1.2, +4.9]
slope   rows (llm, prefix), (llm, mh), (llm, mhp), all joint and of one variant → 81.3 ── 83.0 ── 84.1 llm
volume  Line("llm", "item_item", Effect(0.04, ...), rows=1_200) → a marker of item_item at 1,200 rows and +4.0 points
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from relevance.report.figures import (
    COLOURS,
    INTERVALS,
    LINES,
    MARKERS,
    SMALL,
    WIDTH,
    ZERO,
    Look,
    counted,
    erase,
    legend,
    log_scale,
    look,
    picture,
    points,
    span,
    spread,
    wrap,
)
from relevance.report.matrix import JOINT, Matrix, whole
from relevance.report.rows import MACRO, Row
from relevance.report.stats import Effect
from relevance.tasks import TASK_NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_EFFECTS = 40  # of a forest
LABEL_LETTERS = 36  # on one line of a label of a forest
LINE, LABEL_SPACE = 0.16, 0.12  # inches of a line of a label, and between two labels
SEED_DROP = 0.09  # inches that the dots of single seeds lie below their interval
ROUTINGS = ("prefix", "mh", "mhp")  # of a slope
MODEL_GAP = 0.03  # between models, in routings: their bars do not cover each other
LEADER = {
    "arrowstyle": "-",
    "linewidth": 0.7,
    "alpha": 0.6,
    "shrinkB": 5,
    "relpos": (0, 0.5),
}  # from a line to its name
MODEL_FACTOR = 1.03  # between models, a factor of rows: their bars do not cover each other


@dataclass(frozen=True)
class Line:
    """An effect, what it is of and the heading it stands under; in a volume its model, its task and training rows."""

    label: str
    group: str
    effect: Effect
    rows: int = 0


def write_forest(lines: list[Line], folder: Path, title: str, name: str = "forest") -> str:
    """Draw the first MOST_EFFECTS effects, in points; returns the caption, "" where no effect is a number."""
    lines = [line for line in lines if np.isfinite(line.effect.value)]
    if not lines:
        return erase(folder, name)
    slots: list[Line | str] = []
    for group in dict.fromkeys(line.group for line in lines[:MOST_EFFECTS]):
        slots += [*filter(None, [group]), *(line for line in lines[:MOST_EFFECTS] if line.group == group)]
    texts = [wrap(slot.label if isinstance(slot, Line) else slot, LABEL_LETTERS) for slot in slots]
    heights = np.array([LABEL_SPACE + LINE * (1 + text.count("\n")) for text in texts])
    places = heights.cumsum() - heights / 2
    with picture(folder, name, (WIDTH, heights.sum() + 0.9)) as figure:
        axes = figure.subplots()
        axes.set_ylim(heights.sum(), 0)
        axes.set_yticks(places, texts)
        for y, slot, tick in zip(places, slots, axes.get_yticklabels(), strict=True):
            if isinstance(slot, Line):
                _bar(axes, y, slot.effect)
            else:
                tick.set_fontweight("bold")
        axes.axvline(0, **ZERO)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        axes.set_xlabel("difference of accuracy, points")
        axes.set_title(wrap(title, 90), loc="left")
    return _forest_caption(lines)


def _forest_caption(lines: list[Line]) -> str:
    cut = f" {MOST_EFFECTS} of {len(lines):,} differences are drawn." if len(lines) > MOST_EFFECTS else ""
    return (
        f"Differences of accuracy in points; bars: {INTERVALS}; a filled circle: the interval leaves out zero; dots "
        f"under it: single seeds. {_sizes(lines[:MOST_EFFECTS])} a difference.{cut}"
    )


def _bar(axes: "Axes", y: float, effect: Effect) -> None:
    value, low, high = (points(share) for share in (effect.value, effect.low, effect.high))
    face = COLOURS[0] if effect.apart else "white"
    axes.plot([100 * effect.low, 100 * effect.high], [y, y], color=COLOURS[0], linewidth=1.6)
    axes.plot(100 * effect.value, y, "o", color=COLOURS[0], markerfacecolor=face, markersize=6)
    axes.text(1.02, y, f"{value} [{low}, {high}]", transform=axes.get_yaxis_transform(), va="center")
    seeds = 100 * np.array(effect.seeds)
    axes.plot(seeds, np.full(len(seeds), y + SEED_DROP), "o", color="0.35", markersize=SMALL / 2, markeredgewidth=0)


def _sizes(lines: list[Line]) -> str:
    seeds = counted((len(line.effect.seeds) for line in lines), "seed")
    return f"n = {span(line.effect.n for line in lines)} test rows and {seeds}"


def write_slope(matrix: Matrix, folder: Path, name: str = "slope") -> str:
    """Draw the models that have two of the routings; returns the caption, "" where none has."""
    slopes = _slopes(matrix)
    if not slopes:
        return erase(folder, name)
    rows = [row for slope in slopes for row in slope.values()]
    variants = {row.labels[3] for row in rows}
    shifts = min(MODEL_GAP, 0.4 / len(slopes)) * (np.arange(len(slopes)) - (len(slopes) - 1) / 2)
    with picture(folder, name, (WIDTH, max(3.8, 2 * LINE * len(slopes) + 1))) as figure:
        axes = figure.subplots()
        looks = _looks(slopes)
        for slope, style, shift in zip(slopes, looks, shifts, strict=True):
            _slope(axes, slope, style, shift)
        axes.set_xticks(range(len(ROUTINGS)), ROUTINGS)
        axes.set_xlim(-0.25, len(ROUTINGS) - 0.75)
        axes.set_ylabel("macro accuracy, %")
        axes.grid(axis="y")
        figure.draw_without_rendering()
        _ends(axes, slopes, looks, shifts, len(variants) == 1)
    variant = f" of variant {rows[0].labels[3]}" if len(variants) == 1 and rows[0].labels[3] else ""
    return (
        f"Macro accuracy in % of models trained on all tasks{variant}; bars: {INTERVALS}; thin lines: single seeds. "
        f"n = {matrix.n.sum():,} test rows, {counted((row.finished for row in rows), 'seed')} a point."
    )


def _slopes(matrix: Matrix) -> list[dict[str, Row]]:
    """Of each model its joint rows by routing, of one variant, that which most rows of the matrix have."""
    rows = [row for row in whole(matrix) if row.labels[2] == JOINT and row.labels[1] in ROUTINGS]
    often = Counter(row.labels[3] for row in rows)
    slopes: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        slopes.setdefault((row.labels[0], row.labels[3]), {})[row.labels[1]] = row
    pairs = [pair for pair, slope in slopes.items() if len(slope) > 1]
    variants = {model: [variant for name, variant in pairs if name == model] for model, _ in pairs}
    return [slopes[model, max(names, key=often.__getitem__)] for model, names in variants.items()]


def _looks(slopes: list[dict[str, Row]]) -> list[Look]:
    """Colour and marker of the model, the line of its family."""
    families = [next(iter(slope.values())).family for slope in slopes]
    order = list(dict.fromkeys(families))
    lines = [LINES[order.index(family) % len(LINES)] for family in families]
    return [replace(look(index), line=line, fill="full") for index, line in enumerate(lines)]


def _slope(axes: "Axes", slope: dict[str, Row], style: Look, shift: float) -> None:
    """The line of one model; where it lacks a routing in between, the line goes on."""
    for seed in sorted({seed for row in slope.values() for seed in row.seeds}):
        values = [dict(zip(row.seeds, row.values[:, MACRO], strict=True)) for row in slope.values()]
        macro = {routing: of.get(seed, np.nan) for routing, of in zip(slope, values, strict=True)}
        line = 100 * np.array([macro.get(routing, np.nan) for routing in ROUTINGS])
        axes.plot(np.arange(3) + shift, line, color=style.colour, alpha=0.4, linewidth=0.6)
    places = [at for at, routing in enumerate(ROUTINGS) if routing in slope]
    rows = [slope[ROUTINGS[at]] for at in places]
    means = 100 * np.array([[row.mean[MACRO], *row.interval[:, MACRO]] for row in rows]).T
    axes.vlines(np.array(places) + shift, *means[1:], color=style.colour, linewidth=1.2)
    axes.plot(np.array(places) + shift, means[0], markersize=SMALL + 1.5, **style.drawn)


def _ends(axes: "Axes", slopes: list[dict[str, Row]], looks: list[Look], shifts: np.ndarray, shared: bool) -> None:
    """The name of each model, with its variant where they are not shared, where its line ends, apart from others."""
    last = [max(map(ROUTINGS.index, slope)) for slope in slopes]
    rows = [slope[ROUTINGS[at]] for slope, at in zip(slopes, last, strict=True)]
    texts = [wrap(row.labels[0] if shared else f"{row.labels[0]} {row.labels[3]}", 24) for row in rows]
    ends = [100 * row.mean[MACRO] for row in rows]
    tall = LINE * axes.figure.dpi * (1 + max(text.count("\n") for text in texts))
    pixels = axes.transData.transform([(0, end) for end in ends])[:, 1]
    low, high = axes.get_window_extent().get_points()[:, 1]
    places = (spread(pixels, tall, low, high) - low) / (high - low)
    for text, x, y, place, style in zip(texts, last + shifts, ends, places, looks, strict=True):
        leader = LEADER | {"color": style.colour}
        end = (1.02, place)
        axes.annotate(f"{y:.1f}  {text}", (x, y), end, textcoords="axes fraction", va="center", arrowprops=leader)


def write_volume(lines: list[Line], folder: Path, name: str = "volume") -> str:
    """Draw gains in points over a logarithmic scale of rows; returns the caption, "" where there is no gain."""
    lines = [line for line in lines if line.rows > 0 and np.isfinite(line.effect.value)]
    if not lines:
        return erase(folder, name)
    models = list(dict.fromkeys(line.label for line in lines))
    series = defaultdict(list)
    for line in sorted(lines, key=lambda line: line.rows):
        series[line.label, line.group].append(line)
    with picture(folder, name, (WIDTH, 4.6)) as figure:
        axes = figure.subplots()
        for (model, task), members in series.items():
            index = models.index(model)
            shift = MODEL_FACTOR ** (index - (len(models) - 1) / 2)
            _gains(axes, members, replace(look(index), marker=MARKERS[TASK_NAMES.index(task)]), shift)
        axes.axhline(0, **ZERO)
        log_scale(axes, np.array([line.rows for line in lines]))
        axes.grid()
        axes.set_xlabel("training rows of the task, log scale")
        axes.set_ylabel("gain over the single task, points")
        looks = {wrap(model, 30): replace(look(index), marker="o") for index, model in enumerate(models)}
        legend(figure, looks, min(4, len(looks)), size=SMALL + 2)
        _task_legend(axes, [task for task in TASK_NAMES if any(line.group == task for line in lines)])
    return (
        "Gain over the model trained on the task alone, in points of accuracy, by training rows of the task; bars: "
        f"{INTERVALS}. {_sizes(lines)} a point."
    )


def _gains(axes: "Axes", lines: list[Line], style: Look, shift: float) -> None:
    rows = shift * np.array([line.rows for line in lines])
    values, low, high = 100 * np.transpose([(line.effect.value, line.effect.low, line.effect.high) for line in lines])
    axes.vlines(rows, low, high, color=style.colour, linewidth=0.8, alpha=0.6)
    axes.plot(rows, values, linewidth=1.1, markersize=SMALL + 2, **style.drawn)


def _task_legend(axes: "Axes", tasks: list[str]) -> None:
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], color="0.3", linestyle="", marker=MARKERS[TASK_NAMES.index(task)], label=task) for task in tasks
    ]
    axes.figure.legend(handles=marks, loc="outside lower center", ncols=min(6, len(marks)), handletextpad=0.2)
