"""Gains by task → volume.png, volume.svg: gain over the single-task baseline by training rows of the task.

Point("llm", "item_item", 1_200, Effect(0.04, ...)) → a marker of item_item at 1,200 rows and +4.0 points
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from relevance.report.evidence.contrast import Effect
from relevance.report.figures.canvas import (
    LINES,
    MARKERS,
    SMALL,
    WIDTH,
    Look,
    erase,
    log_scale,
    look,
    picture,
    zero_line,
)
from relevance.report.figures.labels import INTERVALS, counted, span, wrap
from relevance.tasks import TASK_NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

APART = 1.03  # between models, a factor of rows: their bars do not cover each other


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
        for (model, task), own in series.items():
            index = models.index(model)
            _series(axes, own, _look(index, task), APART ** (index - (len(models) - 1) / 2))
        zero_line(axes, across=True)
        log_scale(axes, np.array([point.rows for point in points]))
        axes.grid()
        axes.set_xlabel("training rows of the task, log scale")
        axes.set_ylabel("gain over the single task, points")
        _legends(axes, models, [task for task in TASK_NAMES if any(point.task == task for point in points)])
    return _caption(points)


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
        Line2D([], [], color=style.colour, label=label, linestyle=style.line, **_marker(Look(*_round(style))))
        for label, style in zip(names, styles, strict=True)
    ]
    marks = [
        Line2D([], [], color="0.3", linestyle="", marker=MARKERS[TASK_NAMES.index(task)], label=task) for task in tasks
    ]
    axes.figure.legend(handles=lines, loc="outside upper center", ncols=min(4, len(lines)), handlelength=3.5)
    axes.figure.legend(handles=marks, loc="outside lower center", ncols=min(6, len(marks)), handletextpad=0.2)


def _round(style: Look) -> tuple:
    return style.colour, "o", style.line, style.fill


def _caption(points: list[Point]) -> str:
    effects = [point.effect for point in points]
    return (
        "Gain over the model trained on the task alone, in points of accuracy, by training rows of the task; bars: "
        f"{INTERVALS}. n = {span(effect.n for effect in effects)} test rows and "
        f"{counted((len(effect.seeds) for effect in effects), 'seed')} a point."
    )
