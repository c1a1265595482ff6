"""A matrix → pareto.png, pareto.svg: macro accuracy by seconds of a cell and by trainable parameters.

rows at (60 s, 81 %), (90 s, 80 %), (300 s, 84 %) → the front steps from the first to the third

Points bear the number of their row in the key: a name with a variant has no room beside its point.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from relevance.report.figures.canvas import MARKERS, SMALL, WIDTH, Look, erase, log_scale, look, picture
from relevance.report.figures.labels import INTERVALS, counted, place, title
from relevance.report.leaders import whole
from relevance.report.matrix import ROUTINGS, Matrix
from relevance.report.row import Row
from relevance.scores import COLUMNS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

MACRO = COLUMNS.index("macro")
COSTS = {"seconds": "seconds of a cell", "params/trainable": "trainable parameters"}
MOST = 14  # points that all bear a number; of more only those of the front
MODELS = 18  # that the key names
LETTERS = 42  # of a line of the key


@dataclass(frozen=True, eq=False)
class Field:
    """The rows and their places; one without a cost of a kind is NaN there."""

    rows: list[Row]
    accuracy: np.ndarray  # macro, percent [N]
    ends: np.ndarray  # low and high of its interval [2, N]
    costs: dict[str, np.ndarray]  # by metric [N]

    def front(self, cost: np.ndarray) -> list[int]:
        """Places on the front, as `front` has it, of the rows that learnt something."""
        return front(np.where([row.learnt for row in self.rows], cost, np.nan), self.accuracy)

    @property
    def numbered(self) -> list[int]:
        """Places of the rows that bear a number: all of a few, else those on a front."""
        if len(self.rows) <= MOST:
            return list(range(len(self.rows)))
        return sorted({int(i) for cost in self.costs.values() for i in self.front(cost)})


def write_pareto(matrix: Matrix, folder: Path, name: str = "pareto") -> str:
    """Draw the rows tested on every task, a panel per cost any of them logged; returns the caption, or ""."""
    field = _field(matrix)
    if not field.costs:
        return erase(folder, name)
    key = [f"{number}  {title(field.rows[i].labels, LETTERS)}" for number, i in enumerate(field.numbered, 1)]
    looks = _looks(field.rows)
    tall = 4.2 + 0.15 * sum(text.count("\n") + 1.4 for text in key) / 2
    with picture(folder, name, (WIDTH, tall)) as figure:
        panels = figure.subplots(1, len(field.costs), sharey=True, squeeze=False)[0]
        for axes, (metric, cost) in zip(panels, field.costs.items(), strict=True):
            _panel(axes, field, cost, looks)
            axes.set_xlabel(f"{COSTS[metric]}, log scale")
        panels[0].set_ylabel("macro accuracy, %")
        _legends(figure, field, looks, key)
        figure.draw_without_rendering()
        for axes, cost in zip(panels, field.costs.values(), strict=True):
            _numbers(axes, field, cost)
    return _caption(matrix, field)


def front(cost: np.ndarray, accuracy: np.ndarray) -> list[int]:
    """Places of the points [N] that no other beats in cost without losing accuracy, cheapest first; NaN: no point."""
    order = [i for i in np.lexsort((-accuracy, cost)) if not np.isnan(cost[i])]
    best, found = -np.inf, []
    for i in order:
        if accuracy[i] > best:
            best = accuracy[i]
            found.append(i)
    return found


def _field(matrix: Matrix) -> Field:
    rows = whole(matrix)
    costs = {metric: np.array([row.metric(metric) for row in rows]) for metric in COSTS}
    costs = {metric: np.where(cost > 0, cost, np.nan) for metric, cost in costs.items()}
    has = np.array([[not np.isnan(cost[i]) for cost in costs.values()] for i in range(len(rows))])
    kept = [i for i in range(len(rows)) if has[i].any()]
    return Field(
        rows=[rows[i] for i in kept],
        accuracy=100 * np.array([rows[i].mean[MACRO] for i in kept]),
        ends=100 * np.array([rows[i].interval[:, MACRO] for i in kept]).reshape(-1, 2).T,
        costs={metric: cost[kept] for metric, cost in costs.items() if not np.isnan(cost).all()},
    )


def _looks(rows: list[Row]) -> list[Look]:
    """Colour and filling of the model, the marker of the routing."""
    models = list(dict.fromkeys(row.labels[0] for row in rows))
    found = []
    for row in rows:
        style = look(models.index(row.labels[0]))
        found.append(Look(style.colour, _marker(row.labels[1]), style.line, style.fill))
    return found


def _marker(routing: str) -> str:
    return MARKERS[ROUTINGS.index(routing)] if routing in ROUTINGS else MARKERS[-1]


def _point(style: Look) -> dict:
    return {
        "color": style.colour, "marker": style.marker, "fillstyle": style.fill, "linestyle": "",
        "markersize": SMALL + 2, "markerfacecoloralt": "white",
    }  # fmt: skip


def _panel(axes: "Axes", field: Field, cost: np.ndarray, looks: list[Look]) -> None:
    best = field.front(cost)
    axes.plot(cost[best], field.accuracy[best], color="0.45", linewidth=1.1, drawstyle="steps-post", zorder=1.2)
    for i in np.flatnonzero(~np.isnan(cost)):
        axes.vlines(cost[i], *field.ends[:, i], color=looks[i].colour, linewidth=0.8, alpha=0.5, zorder=1)
        axes.plot(cost[i], field.accuracy[i], **_point(looks[i]))
    log_scale(axes, cost)
    axes.grid()


def _legends(figure: "Figure", field: Field, looks: list[Look], key: list[str]) -> None:
    """Above, what colours and markers say; below, the rows by number."""
    from matplotlib.lines import Line2D

    def handle(style: Look, label: str) -> "Line2D":
        return Line2D([], [], label=label, **_point(style))

    rows = [handle(looks[i], text) for i, text in zip(field.numbered, key, strict=True)]
    figure.legend(handles=rows, loc="outside lower center", ncols=2, fontsize=8, handletextpad=0.2)
    if len(field.rows) > MOST:
        models = dict(zip([row.labels[0] for row in field.rows], looks, strict=True))
        routings = dict.fromkeys(row.labels[1] for row in field.rows)
        shown = list(models.items())[:MODELS]
        marks = [handle(Look(style.colour, "o", style.line, style.fill), model) for model, style in shown]
        marks += [handle(Look("0.3", _marker(routing), "-", "full"), routing) for routing in routings]
        figure.legend(handles=marks, loc="outside upper center", ncols=min(6, len(marks)), handletextpad=0.2)


def _numbers(axes: "Axes", field: Field, cost: np.ndarray) -> None:
    drawn = np.flatnonzero(~np.isnan(cost))
    at = {int(i): place for place, i in enumerate(drawn)}
    own = drawn if len(field.rows) <= MOST else field.front(cost)
    texts = {at[i]: str(number) for number, i in enumerate(field.numbered, 1) if i in own}
    place(axes, np.stack([cost, field.accuracy], axis=1)[drawn], texts)


def _caption(matrix: Matrix, field: Field) -> str:
    told = " Of these rows only those on a front are numbered." if len(field.rows) > MOST else ""
    models = len({row.labels[0] for row in field.rows})
    told += f" The key names {MODELS} of {models} models." if models > MODELS else ""
    return (
        f"Macro accuracy in % by cost, of {counted([len(field.rows)], 'row')} of the table tested on every task; bars: "
        f"{INTERVALS}; the grey step: no row is cheaper and as accurate. "
        f"n = {matrix.n.sum():,} test rows, {counted((row.finished for row in field.rows), 'seed')} a point.{told}"
    )
