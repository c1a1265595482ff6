"""Where the files of a cell lie, each name once.

outputs/cells/9f2c41d07be35a66/        what a finished cell leaves
outputs/cells/9f2c41d07be35a66.part/   the same while it trains, with its checkpoints; .lock is held meanwhile
"""

from dataclasses import dataclass
from pathlib import Path

REMEDY = "copy the folder again from where it was trained, or train the cell with rerun=true"  # of a model folder


class _Inside:
    """The path of a name in the folder."""

    def __init__(self, name: str):
        self.name = name

    def __get__(self, folder: "CellFolder", owner: type) -> Path:
        return folder.path / self.name


@dataclass(frozen=True)
class CellFolder:
    """The files in one of these folders."""

    path: Path
    config = _Inside("config.yaml")
    model = _Inside("model")
    validation = _Inside("validation.parquet")
    test = _Inside("test.parquet")  # a cell without it is not finished, whatever its run says
    consistency = _Inside("consistency.parquet")  # of the pairs that the test rows imply (relevance.data.implied)
    record = _Inside("record.jsonl")  # the events of its run (relevance.tracking.record)
    sent = _Inside("record.sent")  # how much of the record which MLflow store has
    progress = _Inside("progress.json")  # how far rank 0 of a cell of several devices is

    @classmethod
    def of(cls, outputs: Path, fingerprint: str) -> "CellFolder":
        return cls(outputs / "cells" / fingerprint[:16])

    @property
    def work(self) -> "CellFolder":
        """What a half-trained cell has so far; it is renamed to this folder when the cell has finished."""
        return CellFolder(self.path.with_suffix(".part"))

    @property
    def lock(self) -> Path:
        return self.path.with_suffix(".lock")

    def predictions(self, split: str) -> Path:
        return self.path / f"{split}.parquet"

    @property
    def sealed(self) -> tuple[Path, ...]:
        """Those that the seal of a finished cell covers; its model folder has a seal of its own."""
        return *self.reported, self.record

    @property
    def reported(self) -> tuple[Path, ...]:
        """Those that a report reads."""
        return self.config, self.consistency, self.test, self.validation
