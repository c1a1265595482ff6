"""What a taught cell learns from beside labels: what its teachers answer, and pairs that have no label.

data/3f55934ea4b3c01d/scored-1b5c917cff1df14c.parquet   a teacher's probabilities of the training rows beside it
data/90c1aa12d8f0e7b4/rows.parquet                      pairs without labels, with task, left and right alone
"""

from pathlib import Path

import numpy as np

from relevance import predictions
from relevance.cell_id import data_folder
from relevance.config import Config
from relevance.data.stored import ROWS
from relevance.vote import BY_MEAN


def unlabelled_path(config: Config) -> Path | None:
    """The table of pairs without labels of a cell, None where it has none; its setting is the name of its folder."""
    digest = config.train.unlabelled
    return data_folder(Path(config.outputs), digest) / ROWS if digest else None


def scored_name(teacher: str) -> str:
    """The name, without .parquet, of what a teacher answers to the training rows of the table beside it."""
    return f"scored-{teacher}"


def soft_targets(rows: Path, teachers: list[str], count: int) -> np.ndarray:
    """The mean of what the teachers answer to each row of a table of `count` [count, 3] float32.

    It is 0 throughout where not all of them answer. Raises UserError where an answer is absent or damaged.
    """
    answers = np.zeros((len(teachers), count, 3), np.float32)
    for teacher, answer in zip(teachers, answers, strict=True):
        table = predictions.checked(rows.with_name(f"{scored_name(teacher)}.parquet"))
        answer[table["row"].to_numpy()] = predictions.probabilities(table)
    every = np.all(answers.any(axis=2), axis=0, keepdims=True)
    return BY_MEAN.count(answers)[0] * every.T
