"""Figures in panels: the heat map of the matrix and the reliability of probabilities, each as png and svg.

heatmap      llm · mhp · joint | 87.1 | 90.2 | ... | 88.6: rows of the table down, tasks and macro across, in percent
reliability  Curve("llm mhp", "item_item", confidence, accuracy, count [15 bins each]) → a line beside the diagonal

Colours of the heat map are cividis: one order for every kind of colour vision, and in grey. Their range is that of the
trained rows; floors and ceiling may lie beyond it. A tile without a number is grey and says why: hatched "failed" or
"missing", plain "—" where the data or the cell has no such task.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from relevance.metrics import COLUMNS
from relevance.report.figures import WIDTH, Look, erase, legend, look, picture, span, title, wrap
from relevance.report.matrix import MARK, Matrix
from relevance.report.rows import MACRO
from relevance.report.sections.calibration import Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

SHOWN = [i for i, name in enumerate(COLUMNS) if name != "micro"]
MOST_ROWS = 60  # trained rows drawn of one matrix
EVEN = 0.179  # relative luminance on which black and white text have the same contrast
TILE = (0.92, 0.36)  # inches
LETTER = 0.075  # inches
LABEL_LETTERS = 38  # on one line of a label
MOST_LABELS = 8  # curves of a panel of reliability
PANELS_ACROSS = 3  # of reliability
MARKER_AREA = 45  # square points of the marker of the fullest bin
LEAST_AREA = 4  # of any marker


def write_heat_map(tables: list[Matrix], folder: Path, name: str = "heatmap") -> str:
    """Draw one panel per matrix, of at most MOST_ROWS trained rows each; returns the caption, "" without any row."""
    tables = [matrix for matrix in tables if matrix.rows]
    if not tables:
        return erase(folder, name)
    captions = [_caption(matrix) for matrix in tables]
    tables = [replace(matrix, rows=_highest(matrix)) for matrix in tables]
    names = [label for matrix in tables for label in _names(matrix)]
    tall = TILE[1] * max(1.0, 0.45 * max(label.count("\n") + 1 for label in names))
    letters = max(len(line) for label in names for line in label.split("\n"))
    lines = [len(matrix.rows) + len(matrix.references) for matrix in tables]
    size = TILE[0] * len(SHOWN) + LETTER * letters + 1.2, sum(tall * n + 1.2 for n in lines)
    with picture(folder, name, size) as figure:
        panels = figure.subplots(len(tables), 1, squeeze=False, height_ratios=lines)[:, 0]
        limits = _limits(tables)
        images = [_heat_map_panel(axes, matrix, limits) for axes, matrix in zip(panels, tables, strict=True)]
        for axes, caption in zip(panels, captions, strict=True):
            axes.set_xlabel(wrap(caption, 110))
        aspect = max(30.0, 3.5 * figure.get_figheight())  # as broad beside many rows as beside a few
        beside, ends = list(panels), 1 / aspect
        bar = figure.colorbar(images[0], ax=beside, pad=0.015, aspect=aspect, extend="both", extendfrac=ends)
        bar.set_label("accuracy, %")
        bar.outline.set_visible(False)
    return " ".join(f"{caption}." for caption in captions)


def _highest(matrix: Matrix) -> tuple:
    """The rows to draw, in the order of the table: highest macro first, those tested on every task before others."""
    macro = np.nan_to_num([row.mean[MACRO] for row in matrix.rows], nan=-1.0)
    order = np.lexsort((-macro, [matrix.partial(row) for row in matrix.rows]))[:MOST_ROWS]
    return tuple(matrix.rows[i] for i in sorted(order))


def _heat_map_panel(axes: "Axes", matrix: Matrix, limits: tuple[float, float]) -> "AxesImage":
    values = _values(matrix)[:, SHOWN]
    axes.set_facecolor("0.88")
    image = axes.imshow(values, cmap="cividis", vmin=limits[0], vmax=limits[1], aspect="auto")
    _print(axes, matrix, values, image)
    names = _names(matrix)
    n = [*(f"\nn={n:,}" for n in matrix.n), "", "\nof tasks tested"]
    axes.set_xticks(range(len(SHOWN)), [COLUMNS[i] + n[i] for i in SHOWN])
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    axes.spines[:].set_visible(False)
    for edge, width in ((len(matrix.rows) - 0.5, 3.0), *((i - 0.5, 1.0) for i in range(1, len(names)))):
        axes.axhline(edge, color="white", linewidth=width)
    axes.axvline(len(SHOWN) - 1.5, color="white", linewidth=3.0)
    return image


def _print(axes: "Axes", matrix: Matrix, values: np.ndarray, image: "AxesImage") -> None:
    """The number of each tile, black or white as its colour needs; a word where there is none."""
    present = [*(matrix.n > 0), True, True]
    for y, x in np.ndindex(values.shape):
        value, row = values[y, x], matrix.rows[y] if y < len(matrix.rows) else None
        if np.isnan(value) and row and not row.finished and row.unfinished and present[SHOWN[x]]:
            axes.fill_between([x - 0.5, x + 0.5], y - 0.5, y + 0.5, fc="0.88", ec="0.7", hatch="////", lw=0)
            axes.text(x, y, row.unfinished, ha="center", va="center", bbox={"fc": "0.88", "ec": "none", "pad": 1.5})
        elif np.isnan(value):
            axes.text(x, y, "—", ha="center", va="center", color="0.3")
        else:
            light = np.dot(np.power(image.to_rgba(value)[:3], 2.2), [0.2126, 0.7152, 0.0722])
            colour = "black" if light > EVEN else "white"
            mark = f" {MARK}" if row and row.marked[SHOWN[x]] else ""
            axes.text(x, y, f"{value:.1f}{mark}", ha="center", va="center", color=colour)


def _names(matrix: Matrix) -> list[str]:
    return [title(labels, LABEL_LETTERS) for labels in (*(row.labels for row in matrix.rows), *matrix.references)]


def _values(matrix: Matrix) -> np.ndarray:
    """Percentages [rows and references, 8]."""
    return 100 * np.array([*(row.mean for row in matrix.rows), *(s.columns for s in matrix.references.values())])


def _limits(tables: list[Matrix]) -> tuple[float, float]:
    """The fives around every value of a trained row, one scale for all panels; 0 to 100 without any."""
    values = np.concatenate([_values(matrix)[: len(matrix.rows), SHOWN].ravel() for matrix in tables])
    values = values[~np.isnan(values)]
    if not values.size:
        return 0.0, 100.0
    low, high = 5 * np.floor(values.min() / 5), 5 * np.ceil(values.max() / 5)
    return low, max(high, low + 5)


def _caption(matrix: Matrix) -> str:
    rows = matrix.rows
    finished, cells = sum(row.finished for row in rows), sum(len(row.cells) for row in rows)
    mark = f"; {MARK} collapsed" if any(row.marked.any() for row in rows) else ""
    cut = f"; {MOST_ROWS} of {len(rows):,} rows, highest macro first" if len(rows) > MOST_ROWS else ""
    return (
        f"Test accuracy in %, n = {matrix.n.sum():,} rows of data {matrix.name}; "
        f"mean over seeds, {finished} of {cells} cells finished{mark}{cut}"
    )


def write_reliability(curves: list[Curve], folder: Path, name: str = "reliability") -> str:
    """Draw the curves of the first MOST_LABELS labels; returns the caption, "" where no bin has a row."""
    curves = [curve for curve in curves if curve.count.any()]
    if not curves:
        return erase(folder, name)
    labels = list(dict.fromkeys(curve.label for curve in curves))
    looks = {label: replace(look(index), fill="full") for index, label in enumerate(labels[:MOST_LABELS])}
    drawn = [curve for curve in curves if curve.label in looks]
    tasks = list(dict.fromkeys(curve.task for curve in drawn))
    across, down = min(PANELS_ACROSS, len(tasks)), -(-len(tasks) // PANELS_ACROSS)
    wide = WIDTH / PANELS_ACROSS
    with picture(folder, name, (max(wide * across, 4.0), wide * down + 0.8)) as figure:
        panels = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
        for axes in panels.flat[len(tasks) :]:
            axes.set_visible(False)
        for axes, task in zip(panels.flat, tasks, strict=False):
            _reliability_panel(axes, [curve for curve in drawn if curve.task == task], looks)
        _frame(figure, panels, drawn)
        legend(figure, {wrap(label, 40): style for label, style in looks.items()}, 2 if len(looks) < 5 else 3)
    cut = f" {MOST_LABELS} of {len(labels):,} models are drawn." if len(labels) > MOST_LABELS else ""
    return (
        "Accuracy of the test rows by how confident the model is; on the diagonal confidence is right; a marker grows "
        f"with the rows in its bin. n = {span(int(curve.count.sum()) for curve in drawn)} answers a line.{cut}"
    )


def _reliability_panel(axes: "Axes", curves: list[Curve], looks: dict[str, Look]) -> None:
    axes.axline((0, 0), slope=1, color="0.5", linewidth=0.8)
    axes.set_title(curves[0].task)
    axes.grid()
    fullest = max(curve.count.max() for curve in curves)
    for curve in curves:
        style, has = looks[curve.label], curve.count > 0
        x, y = 100 * curve.confidence[has], 100 * curve.accuracy[has]
        axes.plot(x, y, color=style.colour, linestyle=style.line, linewidth=1.1)
        area = LEAST_AREA + MARKER_AREA * curve.count[has] / fullest
        axes.scatter(x, y, area, color=style.colour, marker=style.marker, linewidths=0)


def _frame(figure: "Figure", panels: np.ndarray, curves: list[Curve]) -> None:
    """One square range for all panels: from the tens below every value to 100."""
    lowest = min(np.nanmin([curve.confidence[curve.count > 0], curve.accuracy[curve.count > 0]]) for curve in curves)
    low = min(90, 10 * np.floor(10 * lowest))
    for axes in panels.flat:
        axes.set_xlim(low - 3, 103)
        axes.set_ylim(low - 3, 103)
        axes.set_aspect("equal")
    figure.supxlabel("confidence, %", fontsize=9)
    figure.supylabel("accuracy, %", fontsize=9)
