"""Where cells run: jobs → their outcomes, one by one as they end.

in_turn: one after another in a worker process.  here: in this process.  on_ray: Ray tasks.  on_slurm: a job array.
"""

from collections.abc import Iterator
from typing import Protocol

from relevance.train.job import Job, Outcome


class Launch(Protocol):
    """One way to run cells."""

    def __call__(self, jobs: list[Job]) -> Iterator[tuple[Job, Outcome]]: ...

    def close(self) -> None:
        """End what it started; a cell under way ends as KILLED."""
