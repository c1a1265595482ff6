"""Where the files of a cell lie, each name once.

outputs/cells/9f2c41d07be35a66/        what a finished cell leaves
outputs/cells/9f2c41d07be35a66.part/   the same while it trains, with its checkpoints; .lock is held meanwhile
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CellFolder:
    """The files in one of these folders."""

    path: Path

    @classmethod
    def of(cls, outputs: Path, fingerprint: str) -> "CellFolder":
        return cls(outputs / "cells" / fingerprint[:16])

    @property
    def work(self) -> "CellFolder":
        """What a half-trained cell has so far; it is renamed to this folder when the cell has finished."""
        return CellFolder(self.path.with_suffix(".part"))

    @property
    def lock(self) -> Path:
        """Held by the process that trains the cell."""
        return self.path.with_suffix(".lock")

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def model(self) -> Path:
        return self.path / "model"

    def predictions(self, split: str) -> Path:
        """The predictions of the rows of a split."""
        return self.path / f"{split}.parquet"

    @property
    def validation(self) -> Path:
        return self.predictions("validation")

    @property
    def test(self) -> Path:
        """A cell without it is not finished, whatever its run says."""
        return self.predictions("test")

    @property
    def consistency(self) -> Path:
        """Predictions of the pairs that the test rows imply (relevance.data.implied)."""
        return self.path / "consistency.parquet"

    @property
    def record(self) -> Path:
        """The events of its run (relevance.tracking.record)."""
        return self.path / "record.jsonl"

    @property
    def sent(self) -> Path:
        """How much of the record which MLflow store has."""
        return self.path / "record.sent"

    @property
    def progress(self) -> Path:
        """How far rank 0 of a cell of several devices is."""
        return self.path / "progress.json"

    @property
    def reported(self) -> tuple[Path, ...]:
        """Those that a report reads."""
        return self.config, self.consistency, self.test, self.validation
