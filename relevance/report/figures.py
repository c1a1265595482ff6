"""Matrices → heatmap.png: rows of the table down, tasks and macro across, the percentage in each tile.

Colours are cividis: one order for every kind of colour vision, and in grey. Their range is that of the
trained rows; floors and ceiling may lie beyond it. A tile without a number is grey and says why: hatched
"failed" or "missing", plain "—" where the data or the cell has no such task.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from relevance.report.matrix import MARK, Matrix
from relevance.scores import COLUMNS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

SHOWN = [i for i, name in enumerate(COLUMNS) if name != "micro"]
DPI = 150
EVEN = 0.179  # relative luminance on which black and white text have the same contrast
TILE = (1.05, 0.36)  # inches
LETTER = 0.075  # inches
STYLE = {"font.family": "DejaVu Sans", "font.size": 9, "hatch.linewidth": 0.6, "text.parse_math": False}


def write_heat_map(found: list[Matrix], path: Path) -> None:
    """Draw one panel per matrix; the same matrices give the same bytes."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = [len(matrix.rows) + len(matrix.references) for matrix in found]
    with matplotlib.rc_context(STYLE):
        label = max(len(name) for matrix in found for name in _names(matrix))
        size = TILE[0] * len(SHOWN) + LETTER * label + 1.2, sum(TILE[1] * n + 1.2 for n in lines)
        figure = Figure(figsize=size, dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(len(found), 1, squeeze=False, height_ratios=lines)[:, 0]
        limits = _limits(found)
        images = [_panel(axes, matrix, limits) for axes, matrix in zip(panels, found, strict=True)]
        bar = figure.colorbar(images[0], ax=list(panels), pad=0.015, aspect=30, extend="both")
        bar.set_label("accuracy, %")
        bar.outline.set_visible(False)
        figure.savefig(path, metadata={"Software": None})


def _panel(axes: "Axes", matrix: Matrix, limits: tuple[float, float]) -> "AxesImage":
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
    axes.set_xlabel(_caption(matrix))
    return image


def _print(axes: "Axes", matrix: Matrix, values: np.ndarray, image: "AxesImage") -> None:
    """The number of each tile, black or white as its colour asks; a word where there is none."""
    words = [row.unfinished if not row.finished else "" for row in matrix.rows]
    words += [""] * len(matrix.references)
    present = [*(matrix.n > 0), True, True]
    marks = _marks(matrix)
    for y, x in np.ndindex(values.shape):
        value, word = values[y, x], words[y]
        if np.isnan(value) and word and present[SHOWN[x]]:
            axes.fill_between([x - 0.5, x + 0.5], y - 0.5, y + 0.5, fc="0.88", ec="0.7", hatch="////", lw=0)
            axes.text(x, y, word, ha="center", va="center", bbox={"fc": "0.88", "ec": "none", "pad": 1.5})
        elif np.isnan(value):
            axes.text(x, y, "—", ha="center", va="center", color="0.3")
        else:
            light = np.dot(np.power(image.to_rgba(value)[:3], 2.2), [0.2126, 0.7152, 0.0722])
            colour = "black" if light > EVEN else "white"
            axes.text(x, y, f"{value:.1f}{marks[y][SHOWN[x]]}", ha="center", va="center", color=colour)


def _names(matrix: Matrix) -> list[str]:
    labels = [*(row.labels for row in matrix.rows), *matrix.references]
    return [" · ".join(filter(None, words)) for words in labels]


def _values(matrix: Matrix) -> np.ndarray:
    """Percentages [rows and references, 8]."""
    rows = [row.mean for row in matrix.rows] + [scores.columns for scores in matrix.references.values()]
    return 100 * np.array(rows)


def _marks(matrix: Matrix) -> list[list[str]]:
    """What follows each number [rows and references, 8]: the mark of a collapse, or nothing."""
    rows = [[f" {MARK}" if marked else "" for marked in row.marked] for row in matrix.rows]
    return rows + [[""] * len(COLUMNS) for _ in matrix.references]


def _limits(found: list[Matrix]) -> tuple[float, float]:
    """The fives around every value of a trained row, one scale for all panels; 0 to 100 without any."""
    values = np.concatenate([_values(matrix)[: len(matrix.rows), SHOWN].ravel() for matrix in found])
    values = values[~np.isnan(values)]
    if not values.size:
        return 0.0, 100.0
    low, high = 5 * np.floor(values.min() / 5), 5 * np.ceil(values.max() / 5)
    return low, max(high, low + 5)


def _caption(matrix: Matrix) -> str:
    finished, asked = (sum(n) for n in zip(*((r.finished, len(r.cells)) for r in matrix.rows), strict=True))
    told = f"; {MARK} collapsed" if any(row.marked.any() for row in matrix.rows) else ""
    return (
        f"Test accuracy in %, {matrix.n.sum():,} rows of data {matrix.digest[:12]}; "
        f"mean over seeds, {finished} of {asked} cells finished{told}"
    )
