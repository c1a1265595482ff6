"""The options of audit and sample, and the limits of validate; imports nothing heavy, for --help.

limits.left=0 → a table where any test row's left entity is seen in training is refused
"""

from dataclasses import dataclass, field, fields
from typing import Any

from relevance.config import DataConfig, Source
from relevance.errors import UserError


@dataclass
class Limits:
    """Shares, 0 to 1, of the test rows that may be seen in training; null: told, not limited."""

    left: float | None = None  # entity on either side of a training row of any task
    right: float | None = None
    either: float | None = None
    pair: float | None = None  # same task and entities or texts, mirrored ones too
    texts: float | None = None  # the same two texts, in either order, under any task

    def given(self) -> dict[str, float]:
        """Those that are not null; raises UserError for one that is no share."""
        found = {one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name) is not None}
        for name, share in found.items():
            if not 0 <= share <= 1:
                raise UserError(f"limits.{name}={share}: give a share of the test rows, 0 to 1, or null for no limit")
        return found


@dataclass
class AuditOptions:
    data: DataConfig = field(default_factory=lambda: DataConfig(kind=Source.pairs))
    output: str | None = None  # folder; null: <stem of the file>.audit beside it


@dataclass
class SampleOptions:
    data: DataConfig = field(default_factory=lambda: DataConfig(kind=Source.pairs))
    output: str | None = None  # the csv to write; with graded the folder, null: <stem of the first>.graded beside it
    n: int = 20  # pairs for each rule and label of a task
    seed: int = 0  # of which pairs
    graded: Any = None  # file or files, one for each grader
