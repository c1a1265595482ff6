"""Cells one after another: in a worker process that stays warm, or in this one, for a debugger (isolate=false).

python -m relevance.sweep.launchers.sequential is the worker: jobs on stdin, each a line → outcomes on stdout. A new
worker takes the place of one that dies; a cell that kills this process ends the sweep.
"""

import contextlib
import os
import signal
import subprocess
import sys

from relevance.errors import interruptible
from relevance.train.job import Job, Outcome, Outcomes, thaw
from relevance.train.processes import die_with_parent, exit_reason, signals_ignored, stoppable

GRACE = 4.0  # seconds a worker may take to stop
WORKER = (sys.executable, "-m", "relevance.sweep.launchers.sequential")


class Sequential:
    """A worker, started at once so that its imports cost no time of their own; jobs → outcomes; `close` it."""

    def __init__(self, command: tuple[str, ...] | None = None):
        self.command = command or WORKER
        self._start()

    def __call__(self, jobs: list[Job]) -> Outcomes:
        """Attempt each job; a job whose worker dies has failed, with what killed it as the reason."""
        for job in jobs:
            if self.worker.poll() is not None:
                self.close()  # what it started, if anything is left of that
                self._start()
            yield job, self._outcome(job)

    def close(self) -> None:
        """SIGTERM, and SIGKILL for the whole group after the grace: what the worker started goes with it."""
        with signals_ignored():
            if self.worker.poll() is None:
                self.worker.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.worker.wait(GRACE)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.worker.pid, signal.SIGKILL)
            self.worker.wait()
            self.answers.close()
            with contextlib.suppress(BrokenPipeError):
                self.requests.close()

    def _start(self) -> None:
        """In a session of its own: Ctrl-C at the terminal reaches the sweep alone, which then stops it once."""
        pipe, known = subprocess.PIPE, {**os.environ, "RELEVANCE_PARENT": str(os.getpid())}
        worker = subprocess.Popen(self.command, stdin=pipe, stdout=pipe, text=True, start_new_session=True, env=known)
        assert worker.stdin is not None  # pipes, as asked for
        assert worker.stdout is not None
        self.worker, self.requests, self.answers = worker, worker.stdin, worker.stdout

    def _outcome(self, job: Job) -> Outcome:
        with contextlib.suppress(BrokenPipeError):  # it died before it read
            self.requests.write(job.text() + "\n")
            self.requests.flush()
        answer = self.answers.readline()
        if answer.endswith("\n"):
            outcome = Outcome.of(answer)
            if outcome.last:
                self.worker.wait()
            return outcome
        reason = f"its process {exit_reason(self.worker.wait())}"
        return Outcome(f"{job.place}: FAILED: {reason}", reason, died=True)


class InProcess:
    """Attempts each job in turn."""

    def __call__(self, jobs: list[Job]) -> Outcomes:
        from relevance.sweep.attempt import attempt

        for job in jobs:
            yield job, attempt(job)

    def close(self) -> None:
        """Nothing was started."""


def main() -> None:
    """The worker: attempt jobs until there are no more. All else that is printed goes to stderr."""
    interruptible()
    die_with_parent(int(os.environ["RELEVANCE_PARENT"]))  # by its number: a parent that is gone has no other
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    from relevance.sweep.attempt import attempt

    for line in sys.stdin:
        job = thaw(line)
        try:
            with stoppable():
                outcome = attempt(job)
        except KeyboardInterrupt:
            outcome = Outcome(f"{job.place}: KILLED by SIGTERM", "killed by SIGTERM", last=True)
        try:
            answers.write(outcome.text() + "\n")
        except BrokenPipeError:  # the sweep is gone; what the cell did is in its record
            return
        if outcome.last:
            raise SystemExit(143)


if __name__ == "__main__":
    main()
