"""Effects → forest.png, forest.svg: a difference per line with its interval, under the heading of its group.

Line("macro", "llm", Effect(0.031, 0.012, 0.049, ...)) → llm / macro  ·  |  ├──●──┤  +3.1 [+1.2, +4.9]
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from relevance.report.evidence.contrast import Effect
from relevance.report.figures.canvas import COLOURS, SMALL, WIDTH, erase, picture, zero_line
from relevance.report.figures.labels import INTERVALS, counted, points, span, wrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 40  # lines drawn
LETTERS = 36  # of a label, on one line of it
LETTER, SPACE = 0.16, 0.12  # inches of a line of a label, and between two labels
SEEDS = 0.09  # inches that the dots of single seeds lie below their interval


@dataclass(frozen=True)
class Line:
    """An effect, what it is of and the heading it stands under."""

    label: str
    group: str
    effect: Effect


def write_forest(lines: list[Line], folder: Path, title: str, name: str = "forest") -> str:
    """Draw the first MOST effects, in points; returns the caption, "" where no effect is a number."""
    lines = [line for line in lines if np.isfinite(line.effect.value)]
    if not lines:
        return erase(folder, name)
    drawn = _slots(lines[:MOST])
    texts = [wrap(slot.label if isinstance(slot, Line) else slot, LETTERS) for slot in drawn]
    heights = np.array([SPACE + LETTER * (1 + text.count("\n")) for text in texts])
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
    return _caption(lines)


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
    axes.plot(seeds, np.full(len(seeds), y + SEEDS), "o", color="0.35", markersize=SMALL / 2, markeredgewidth=0)


def _number(effect: Effect) -> str:
    return f"{points(effect.value)} [{points(effect.low)}, {points(effect.high)}]"


def _caption(lines: list[Line]) -> str:
    effects = [line.effect for line in lines[:MOST]]
    told = f" {MOST} of {len(lines):,} differences are drawn." if len(lines) > MOST else ""
    return (
        f"Differences of accuracy in points; bars: {INTERVALS}; a filled circle: the interval leaves out zero; dots "
        f"under it: single seeds. n = {span(effect.n for effect in effects)} test rows and "
        f"{counted((len(effect.seeds) for effect in effects), 'seed')} a difference.{told}"
    )
