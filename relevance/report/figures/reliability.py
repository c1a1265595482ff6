"""Calibration → reliability.png, reliability.svg: accuracy by confidence, a panel per task, a line per model.

Curve("llm mhp", "item_item", confidence [bins], accuracy [bins], count [bins]) → a line beside the diagonal
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from relevance.report.calibration import Curve
from relevance.report.figures.canvas import WIDTH, Look, erase, look, picture
from relevance.report.figures.labels import span, wrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 8  # labels drawn
ACROSS = 3  # panels
AREA = 45  # square points of the marker of the fullest bin
SMALLEST = 4


def write_reliability(curves: list[Curve], folder: Path, name: str = "reliability") -> str:
    """Draw the curves of the first MOST labels; returns the caption, "" where no bin has a row."""
    curves = [curve for curve in curves if curve.count.any()]
    if not curves:
        return erase(folder, name)
    labels = list(dict.fromkeys(curve.label for curve in curves))
    drawn = [curve for curve in curves if curve.label in labels[:MOST]]
    looks = {label: look(index) for index, label in enumerate(labels[:MOST])}
    tasks = list(dict.fromkeys(curve.task for curve in drawn))
    across, down = min(ACROSS, len(tasks)), -(-len(tasks) // ACROSS)
    wide = WIDTH / ACROSS
    with picture(folder, name, (max(wide * across, 4.0), wide * down + 0.8)) as figure:
        panels = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
        for axes in panels.flat[len(tasks) :]:
            axes.set_visible(False)
        for axes, task in zip(panels.flat, tasks, strict=False):
            _panel(axes, [curve for curve in drawn if curve.task == task], looks)
        _frame(figure, panels, drawn)
        _legend(figure, looks)
    return _caption(drawn, len(labels))


def _panel(axes: "Axes", curves: list[Curve], looks: dict[str, Look]) -> None:
    axes.axline((0, 0), slope=1, color="0.5", linewidth=0.8)
    axes.set_title(curves[0].task)
    axes.grid()
    fullest = max(curve.count.max() for curve in curves)
    for curve in curves:
        style, has = looks[curve.label], curve.count > 0
        x, y = 100 * curve.confidence[has], 100 * curve.accuracy[has]
        axes.plot(x, y, color=style.colour, linestyle=style.line, linewidth=1.1)
        area = SMALLEST + AREA * curve.count[has] / fullest
        axes.scatter(x, y, area, color=style.colour, marker=style.marker, linewidths=0)


def _frame(figure: "Figure", panels: np.ndarray, curves: list[Curve]) -> None:
    """One square range for all panels: from the tens below every value to 100."""
    values = np.concatenate([np.append(one.confidence, one.accuracy)[np.tile(one.count > 0, 2)] for one in curves])
    low = min(90, 10 * np.floor(10 * values.min()))
    for axes in panels.flat:
        axes.set_xlim(low - 3, 103)
        axes.set_ylim(low - 3, 103)
        axes.set_aspect("equal")
    figure.supxlabel("confidence, %", fontsize=9)
    figure.supylabel("accuracy, %", fontsize=9)


def _legend(figure: "Figure", looks: dict[str, Look]) -> None:
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], color=style.colour, linestyle=style.line, marker=style.marker, label=wrap(label, 40))
        for label, style in looks.items()
    ]
    figure.legend(handles=lines, loc="outside upper center", ncols=2 if len(lines) < 5 else 3, handlelength=3.5)


def _caption(curves: list[Curve], labels: int) -> str:
    told = f" {MOST} of {labels:,} models are drawn." if labels > MOST else ""
    return (
        "Accuracy of the test rows by how confident the model is; on the diagonal confidence is right; a marker grows "
        f"with the rows in its bin. n = {span(int(curve.count.sum()) for curve in curves)} answers "
        f"a line.{told}"
    )
