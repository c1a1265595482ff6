"""A matrix → the rows that stand for it: those tested on every task, and the best of them of each family.

macro of ce prefix joint 0.81, ce mh joint 0.84, llm mhp joint 0.87 → ce mh joint, llm mhp joint
"""

from relevance.report.matrix import Matrix
from relevance.report.row import Row


def whole(matrix: Matrix) -> list[Row]:
    """Rows with a finished cell that were tested on every task of the data, in table order."""
    return [row for row in matrix.rows if row.finished and not matrix.partial(row)]


def highest(rows: list[Row], most: int) -> list[Row]:
    """The `most` rows of the highest mean macro accuracy, in the order they came in; of a tie the earlier."""
    chosen = sorted(range(len(rows)), key=lambda i: -rows[i].mean[-1])[:most]
    return [rows[i] for i in sorted(chosen)]


def leaders(matrix: Matrix) -> list[Row]:
    """Of each model family the whole row of the highest mean macro accuracy, in table order.

    One that learnt nothing stands for its family only where all its rows did.
    """
    families: dict[str, list[Row]] = {}
    for row in whole(matrix):
        families.setdefault(row.family, []).append(row)
    best = [highest([row for row in rows if row.learnt] or rows, 1)[0] for rows in families.values()]
    return [row for row in matrix.rows if row in best]
