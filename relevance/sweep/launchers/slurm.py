"""Cells as an array of Slurm jobs, one task each; pre-empted or out of time, a task is queued again and goes on.

submitit writes a task's line of JSON to the shared folder, in which ${oc.env:NAME} stays what it is.
"""

from typing import Any

from relevance.config_io import ConfigFile
from relevance.errors import UserError, first_line
from relevance.masking import mask_settings
from relevance.train.job import Job, Launch, Outcome, Outcomes, anchored, thaw
from relevance.train.processes import STOPPING, signals_ignored

COMMON = frozenset("timeout_min cpus_per_task gpus_per_node tasks_per_node mem_gb nodes name stderr_to_stdout".split())
POLL = 2.0  # seconds between two looks at the queue


class OnSlurm(Launch):
    """Submits an array; jobs → outcomes; `close` cancels what is left. `settings` are hydra-submitit-launcher's."""

    def __init__(self, settings: dict[str, Any]):
        try:
            import submitit
        except ImportError as error:
            raise UserError("hydra/launcher=slurm: submitit is missing; pip install 'relevance[slurm]'") from error
        self.submitit = submitit
        self.tasks: dict[Any, Job] = {}
        settings, cluster = dict(settings), settings["cluster"]
        folder, timeouts = settings.pop("submitit_folder"), settings.pop("max_num_timeout")
        del settings["cluster"]
        try:
            self.executor = submitit.AutoExecutor(folder, cluster=cluster, slurm_max_num_timeout=timeouts)
        except RuntimeError as error:
            raise UserError(f"hydra/launcher=slurm: {first_line(error)}; run it where sbatch is") from error
        self.executor.update_parameters(**{k if k in COMMON else f"slurm_{k}": v for k, v in settings.items()})

    def __call__(self, jobs: list[Job]) -> Outcomes:
        """Submit all at once; each outcome as it comes."""
        if not jobs:
            return
        settings = ConfigFile(jobs[0].cell.config, jobs[0].cell.unresolved).settings()
        if secret := [key for key, value in mask_settings(settings).items() if value != settings[key]]:
            raise UserError(f"{secret[0]}: the queue's files would keep its secret; write that as '${{oc.env:NAME}}'")
        submitted = self.executor.map_array(Task(), [anchored(job).text() for job in jobs])
        self.tasks = dict(zip(submitted, jobs, strict=True))
        for task in self.submitit.helpers.as_completed(submitted, poll_frequency=POLL):
            job = self.tasks.pop(task)
            yield job, _outcome(task, job)

    def close(self) -> None:
        with signals_ignored():
            for task in self.tasks:
                task.cancel()


class Task:
    """What a task of the array calls; `checkpoint` is how submitit asks it to make room."""

    def __call__(self, text: str) -> str:
        from relevance.sweep.attempt import attempt

        try:
            return attempt(thaw(text)).text()
        except KeyboardInterrupt as stop:
            raise stop.__cause__ or stop from None  # submitit's own exit, whose code says that the task is queued again

    def checkpoint(self, text: str) -> Any:
        """The same again: the cell finds its checkpoint by itself."""
        import submitit

        STOPPING.set()  # submitit ends the process by sys.exit, which is no failure of the cell
        return submitit.helpers.DelayedSubmission(self, text)


def _outcome(task: Any, job: Job) -> Outcome:
    from submitit.core.utils import FailedJobError, UncompletedJobError

    try:
        return Outcome.of(task.result())
    except (FailedJobError, UncompletedJobError) as error:
        reason = f"its task {task.job_id} ended as {task.state} ({first_line(error)}; {task.paths.stderr})"
        return Outcome(f"{job.place}: FAILED: {reason}", reason, died=True)
