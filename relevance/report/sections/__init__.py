"""Parts of the page, each a thought. Here is what they share: the one table of rows, and how numbers are written.

table([[*row.labels, "3", "87.1"]], ["seeds", "macro"]) → | model | routing | task mix | variant | seeds | macro |
effect_text(an effect of evidence.effects) → "+1.2 [-0.3, +2.7]"
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from relevance.metrics import COLUMNS
from relevance.pages.blocks import IDENTITY, NONE, Bold, Table, count, percent, signed
from relevance.report.evidence import DECIDED
from relevance.report.figures import Line
from relevance.report.matrix import MARK, Matrix
from relevance.report.rows import Row, spread
from relevance.tasks import TASK_NAMES

NEAR = "≈"  # no difference to the best of the column is shown
ONE = "¹"  # nor can be: one seed
PLAIN = np.zeros(len(COLUMNS), bool)  # no value is bold
NO_MARKS: Mapping[int, str] = MappingProxyType({})


def table(body: Iterable[Sequence[str]], columns: Sequence[str], words: Sequence[str] = ()) -> Table:
    """Lines that begin with the labels of a row, then `words`; the other columns are numbers."""
    return Table([*IDENTITY, *words, *columns], [list(line) for line in body], left=len(IDENTITY) + len(words))


def headings(matrix: Matrix) -> list[str]:
    """What stands above the eight columns of accuracies: their names, and how many test rows they are over."""
    tasks = [f"{task} n={n:,}" for task, n in zip(TASK_NAMES, matrix.n, strict=True)]
    return [*tasks, f"micro n={matrix.n.sum():,}", "macro"]


def seeds(counted: int, row: Row) -> str:
    """How many cells of a row a line counts: "3", or "2 of 3" where not all."""
    return str(counted) if counted == len(row.cells) else f"{counted} of {len(row.cells)}"


def percents(values: np.ndarray | Sequence[np.ndarray] | Sequence[Sequence[float]]) -> list[str]:
    """Of shares [seeds, columns] the mean and deviation over seeds of each column, in percent."""
    return [percent(*spread(column)) for column in np.transpose(values)]


def decimals(digits: int, mean: float, sd: float = np.nan) -> str:
    """A number that is no share, with its standard deviation where there is one."""
    return NONE if np.isnan(mean) else f"{mean:.{digits}f}" + ("" if np.isnan(sd) else f" ± {sd:.{digits}f}")


def values(row: Row, n: np.ndarray, best: np.ndarray = PLAIN, marks: Mapping[int, str] = NO_MARKS) -> list[str]:
    """The eight values of a row as text: a percentage, "—" for an absent task, or what became of the row.

    `n` counts the test rows of each task [6]; `best` says which values are bold [8], `marks` by column how it stands
    to the best where that is not decided. Macro accuracy says where cells learnt nothing.
    """
    if not row.finished:
        return [row.unfinished if there else NONE for there in (*(n > 0), True, True)]
    texts = [
        f"{percent(mean, sd)}{MARK if column in row.collapsed else ''}{marks.get(at, '')}"
        for at, (column, mean, sd) in enumerate(zip(COLUMNS, row.mean, row.sd, strict=True))
    ]
    texts[-1] = " ".join(filter(None, (texts[-1], row.idle)))
    return [Bold(text) if bold else text for text, bold in zip(texts, best, strict=True)]


def effect_text(effect: Mapping[str, Any] | None) -> str:
    """An effect in points with its interval; "—" where there is none."""
    if effect is None or np.isnan(effect["estimate"]):
        return NONE
    if np.isnan(effect["low"]):
        return signed(effect["estimate"])
    return f"{signed(effect['estimate'])} [{signed(effect['low'])}, {signed(effect['high'])}]"


def short(value: float) -> str:
    """A count of weights: "22.7M", "884k"."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return count(value) if value == value else NONE


def weights_text(trained: Sequence[float]) -> str:
    """Trained weights of the two sides of an effect, first by second; "—" where one is not known."""
    return " : ".join(map(count, trained)) if len(trained) == 2 and not np.isnan(trained).any() else NONE


def decided_text(effect: Mapping[str, Any]) -> str:
    """The effect, bold where it is decided."""
    return Bold(effect_text(effect)) if effect["verdict"] in DECIDED else effect_text(effect)


def drawn(effect: Mapping[str, Any], label: str, group: str = "") -> Line:
    """An effect as a line of a figure."""
    decided = effect["verdict"] in DECIDED
    return Line(label, group, effect["estimate"], effect["low"], effect["high"], decided=decided)


def of_data(matrix: Matrix, tables: Sequence[Matrix], text: str = "Data {}:") -> list[str]:
    """Which table of pairs the next block is of, where there are several."""
    return [text.format(matrix.name)] if len(tables) > 1 else []
