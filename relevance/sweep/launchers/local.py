"""Cells on this machine: in worker processes that stay warm, or in this one, for a debugger (isolate=false).

python -m relevance.sweep.launchers.local is a worker: jobs on stdin, each a line → outcomes on stdout. A new worker
takes the place of one that dies; a cell that kills this process ends the sweep.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from queue import SimpleQueue

from relevance.cell_id import Cell
from relevance.config import Config
from relevance.errors import interruptible
from relevance.train.job import Job, Launch, Outcome, Outcomes, thaw
from relevance.train.processes import die_with_parent, exit_reason, signals_ignored, stoppable

GRACE = 4.0  # seconds a worker may take to stop
WORKER = (sys.executable, "-m", "relevance.sweep.launchers.local")


class Local(Launch):
    """Worker processes, a cell each at a time; the first starts at once, for its imports; `close` it."""

    def __init__(self, cells: int | None = None, command: tuple[str, ...] | None = None):
        self.cells, self.command = cells, command or WORKER
        self.workers = [Worker(self.command)]
        self.idle: SimpleQueue[Worker] = SimpleQueue()
        self.pool: ThreadPoolExecutor | None = None

    def at_once(self, cells: list[Cell]) -> int:
        """As many as asked for, else as their threads have cores; on a GPU one."""
        most = self.cells or min((_side_by_side(cell.config) for cell in cells), default=1)
        return max(1, min(most, len(cells)))

    def __call__(self, jobs: list[Job]) -> Outcomes:
        """Attempt each job; a job whose worker dies has failed, with what killed it as the reason."""
        count = self.at_once([job.cell for job in jobs])
        self.workers += [Worker(self.command) for _ in range(count - len(self.workers))]
        for worker in self.workers:
            self.idle.put(worker)
        self.pool = ThreadPoolExecutor(count)
        attempts = {self.pool.submit(self._attempt, job, count == 1): job for job in jobs}
        for attempt in as_completed(attempts):
            yield attempts.pop(attempt), attempt.result()

    def close(self) -> None:
        """SIGTERM, and SIGKILL for whole groups after the grace: what the workers started goes with them."""
        with signals_ignored():
            if self.pool:
                self.pool.shutdown(wait=False, cancel_futures=True)  # a worker that ends is not replaced
            for worker in self.workers:
                worker.terminate()
            end = time.monotonic() + GRACE
            for worker in self.workers:
                worker.close(end)

    def _attempt(self, job: Job, alone: bool) -> Outcome:
        if not alone:  # its progress bar would be overwritten by those of other cells
            job = job.with_settings(trainer=replace(job.cell.config.trainer, enable_progress_bar=False))
        worker = self.idle.get()
        try:
            return worker.attempt(job)
        finally:
            self.idle.put(worker)


class Worker:
    """A process that attempts a job at a time; a new one takes the place of one that died."""

    def __init__(self, command: tuple[str, ...]):
        self.command = command
        self._start()

    def attempt(self, job: Job) -> Outcome:
        """How the job ended, or what its process died of."""
        if self.process.poll() is not None:
            self.close()  # what it started, if anything is left of that
            self._start()
        with contextlib.suppress(BrokenPipeError):  # it died before it read
            self.requests.write(job.text() + "\n")
            self.requests.flush()
        answer = self.answers.readline()
        if answer.endswith("\n"):
            outcome = Outcome.of(answer)
            if outcome.last:
                self.process.wait()
            return outcome
        reason = f"its process {exit_reason(self.process.wait())}"
        return Outcome(f"{job.place}: FAILED: {reason}", reason, died=True)

    def terminate(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()

    def close(self, end: float = 0.0) -> None:
        """Wait for it until `end` (of time.monotonic), then kill it and what it started."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, end - time.monotonic()))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.answers.close()
        with contextlib.suppress(BrokenPipeError):
            self.requests.close()

    def _start(self) -> None:
        """In a session of its own: Ctrl-C at the terminal reaches the sweep alone, which then stops it once."""
        pipe, known = subprocess.PIPE, {**os.environ, "RELEVANCE_PARENT": str(os.getpid())}
        process = subprocess.Popen(self.command, stdin=pipe, stdout=pipe, text=True, start_new_session=True, env=known)
        assert process.stdin is not None  # pipes, as asked for
        assert process.stdout is not None
        self.process, self.requests, self.answers = process, process.stdin, process.stdout


def _side_by_side(config: Config) -> int:
    """How many cells like this one have a core for each of their threads."""
    from relevance.distributed import on_gpu, process_count

    cores = len(os.sched_getaffinity(0))
    return 1 if on_gpu(config.trainer) else cores // ((config.threads or 1) * process_count(config.trainer))


class InProcess(Launch):
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
