"""Cells equal in all but seed → one row: their scores, and where they stand in the panels of measures.

model  routing  task_mix  variant  cells        places    values [finished seeds, 8]
llm    mhp      joint              s0, s1, s2   4, 5, 6   0.871, 0.902, ..., micro, macro
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from relevance.cell_id import variant_parts, without
from relevance.config import Config, Match
from relevance.metrics import COLUMNS, Scores
from relevance.report.measures import Tested
from relevance.tracking.records import CellRecord

FINISHED = "FINISHED"
# The parts of a variant that make another kind of its model
KIND = re.compile(r"(?<![^,])(?:tuning|attention|pooling)=[a-z]+(?![^,])")
NOTHING = "learnt nothing"
MICRO, MACRO = COLUMNS.index("micro"), COLUMNS.index("macro")


@dataclass(frozen=True, eq=False)
class Row:
    """Cells equal in all but seed, by seed, each with what it was tested to or, unfinished, None."""

    cells: tuple[CellRecord, ...]
    tested: tuple[Tested | None, ...]
    variant: str  # without what all cells of the matrix have alike

    @property
    def labels(self) -> tuple[str, str, str, str]:
        """Model, routing, task mix and variant."""
        first = self.cells[0]
        return first.model, first.routing, first.task_mix, self.variant

    @property
    def name(self) -> str:
        """The labels as one text: "llm mhp joint"."""
        return " ".join(filter(None, self.labels))

    @cached_property
    def kind(self) -> str:
        """How its model is trained and reads where that is not the usual way: "tuning=full", else ""."""
        return " ".join(KIND.findall(self.cells[0].variant))

    @cached_property
    def done(self) -> list[CellRecord]:
        """The finished cells."""
        return [cell for cell, tested in zip(self.cells, self.tested, strict=True) if tested]

    @cached_property
    def results(self) -> list[Tested]:
        """Of the finished cells."""
        return [tested for tested in self.tested if tested]

    @property
    def scores(self) -> list[Scores]:
        return [tested.scores for tested in self.results]

    @property
    def places(self) -> tuple[int, ...]:
        """Of the finished cells their places in the panels."""
        return tuple(tested.place for tested in self.results)

    @property
    def seeds(self) -> list[int]:
        """Seeds of the finished cells."""
        return [cell.seed for cell in self.done]

    @property
    def finished(self) -> int:
        """How many of the cells have scores."""
        return len(self.done)

    @property
    def config(self) -> Config:
        """The settings of its cells, but for the seed; of a row with a finished cell."""
        return self.done[0].config

    @property
    def budget(self) -> str:
        """ "steps" or "examples" where its budget is matched, else ""."""
        return "" if self.config.match is Match.none else self.config.match.value

    def variant_but(self, *keys: str) -> str:
        """Its variant without some of its settings."""
        parts = variant_parts(self.variant, self.config)
        return without(self.variant, *(part for part in parts if part.partition("=")[0] in keys))

    @property
    def family(self) -> str:
        """Of its model, as the finished cells say; a model whose runs name none is a family by itself."""
        return next((cell.family for cell in self.done if cell.family), self.labels[0])

    @cached_property
    def values(self) -> np.ndarray:
        """Accuracies in the order of COLUMNS, 0 to 1 [finished seeds, 8]; NaN where a task is absent."""
        return np.array([scores.columns for scores in self.scores]).reshape(-1, len(COLUMNS))

    @property
    def mean(self) -> np.ndarray:
        """Mean over finished seeds [8]; NaN throughout when none finished."""
        return self.values.mean(axis=0) if self.finished else np.full(len(COLUMNS), np.nan)

    @property
    def sd(self) -> np.ndarray:
        """Sample standard deviation over finished seeds [8]; NaN below two seeds."""
        return self.values.std(axis=0, ddof=1) if self.finished > 1 else np.full(len(COLUMNS), np.nan)

    @property
    def collapsed(self) -> list[str]:
        """Tasks that any of its seeds collapsed on."""
        return list(dict.fromkeys(task for tested in self.results for task in tested.collapsed))

    @property
    def nothing(self) -> list[CellRecord]:
        """The cells that learnt nothing."""
        return [cell for cell, tested in zip(self.done, self.results, strict=True) if tested.nothing]

    @property
    def learnt(self) -> bool:
        """Whether any finished cell learnt something; a row of which none did is never the highest."""
        return self.finished > len(self.nothing)

    @property
    def idle(self) -> str:
        """A note on its macro accuracy: "learnt nothing", of some cells "learnt nothing: 1 of 3", of none ""."""
        if not self.nothing:
            return ""
        return f"{NOTHING}: {len(self.nothing)} of {self.finished}" if self.learnt else NOTHING

    @property
    def unfinished(self) -> str:
        """What became of the others: "failed", "failed, missing" or ""."""
        return ", ".join(dict.fromkeys(c.status.lower() for c in self.cells if c.status != FINISHED))

    def metric(self, name: str) -> float:
        """Mean of an MLflow metric over the finished cells that logged it as a number; NaN when none did."""
        return spread([c.metrics.get(name, np.nan) for c in self.cells if c.status == FINISHED])[0]


def spread(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Mean and sample standard deviation of the values that are no NaN; NaN below one and below two of them."""
    numbers = np.asarray(values, float)
    numbers = numbers[~np.isnan(numbers)]
    mean = float(numbers.mean()) if len(numbers) else np.nan
    return mean, float(numbers.std(ddof=1)) if len(numbers) > 1 else np.nan


def alike(cells: Sequence[CellRecord]) -> tuple[str, ...]:
    """The parts that the variants of all cells have, "data.rows=10000"; of one cell none, nor where none finished."""
    first = next((cell for cell in cells if cell.status == FINISHED and cell.variant), None)
    if len(cells) < 2 or not first:
        return ()
    parts = variant_parts(first.variant, first.config)
    return tuple(part for part in parts if all(f",{part}," in f",{cell.variant}," for cell in cells))
