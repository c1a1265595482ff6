"""Cells in this process, one after another: for a debugger (isolate=false). A cell that kills it ends the sweep."""

from collections.abc import Iterator

from relevance.job import Job, Outcome


class Here:
    """Attempts each job in turn."""

    def __call__(self, jobs: list[Job]) -> Iterator[tuple[Job, Outcome]]:
        from relevance.attempt import attempt

        for job in jobs:
            yield job, attempt(job)

    def close(self) -> None:
        """Nothing was started."""
