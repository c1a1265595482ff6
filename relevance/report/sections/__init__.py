"""Parts of the page, each a thought: what is computed of a matrix, and how it is shown. Here is what they share.

table([[*row.labels, "3", "87.1"]], ["seeds", "macro"]) → | model | routing | task mix | variant | seeds | macro |
Finding("macro", row, other, effect): what the row is better by, a line of comparisons.csv
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from relevance.metrics import COLUMNS
from relevance.pages.blocks import IDENTITY, NONE, Bold, Table, percent
from relevance.report.matrix import MARK, Matrix
from relevance.report.rows import Row, spread
from relevance.report.stats import Effect, contrast, versus
from relevance.tasks import TASK_NAMES

NEAR = "≈"  # no difference to the best of the column is shown
PLAIN = np.zeros(len(COLUMNS), bool)  # no value is bold


@dataclass(frozen=True, eq=False)
class Finding:
    """What one row is better by than another, in one column."""

    column: str
    row: Row
    other: Row
    effect: Effect | None  # None where the two share no seed
    tests: tuple[dict[str, str | float], ...] = ()  # McNemar's within each seed, as comparisons.csv has them
    budget: str = ""  # of a gain over a single-task cell: "steps", "examples" or "" where none is matched
    relative: float = np.nan  # of a gain: of the single-task accuracy
    trained: int = 0  # of a gain: training rows of the task

    @classmethod
    def of(cls, column: str, row: Row, other: Row, n: np.ndarray) -> "Finding":
        """The difference of two rows on one table of pairs; `n` counts its test rows by task [6]."""
        return cls(column, row, other, contrast(versus(row.series, other.series, column), n))


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


def values(row: Row, n: np.ndarray, best: np.ndarray = PLAIN, near: frozenset[int] = frozenset()) -> list[str]:
    """The eight values of a row as text: a percentage, "—" for an absent task, or what became of the row.

    `n` counts the test rows of each task [6]; `best` says which values are bold [8], `near` the columns in which no
    difference to the best is shown. Macro accuracy says where cells learnt nothing.
    """
    if not row.finished:
        return [row.unfinished if there else NONE for there in (*(n > 0), True, True)]
    texts = [
        percent(mean, sd) + f" {MARK}" * bool(mark) + f" {NEAR}" * (at in near)
        for at, (mean, sd, mark) in enumerate(zip(row.mean, row.sd, row.marked, strict=True))
    ]
    texts[-1] = " ".join(filter(None, (texts[-1], row.idle)))
    return [Bold(text) if bold else text for text, bold in zip(texts, best, strict=True)]


def of_data(matrix: Matrix, tables: Sequence[Matrix], end: str = ":") -> list[str]:
    """Which table of pairs the next block is of, where there are several."""
    return [f"Data {matrix.name}{end}"] if len(tables) > 1 else []
