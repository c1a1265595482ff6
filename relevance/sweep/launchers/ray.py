"""Cells as Ray tasks: one for each GPU, or for each share of the cores, on this machine or on a cluster.

share(TrainerConfig(devices=4), gpus=None, cpus=None, there=(8, 64)) → (4.0, 32.0), the GPUs and cores of a cell

Workers stay warm, so that imports are paid once. A task whose worker dies is tried again by Ray and goes on from its
checkpoint; an error of the cell's own is its outcome. The folder of outputs is one that all machines share.
"""

import os
import signal
import socket
from dataclasses import dataclass, replace
from typing import Any

from relevance.config import ALL, TrainerConfig
from relevance.distributed import process_count
from relevance.errors import Stopped, UserError, first_line
from relevance.train.job import Job, Launch, Outcome, Outcomes, anchored, thaw
from relevance.train.processes import restored_handlers, signals_ignored, sigterm_event, stoppable

GRACE = 4.0  # seconds that cells may take to stop
ANSWER = 10.0  # seconds a cluster may take to answer
POLL = 0.5  # seconds between two looks at whether the sweep has to stop
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_COLOR_PREFIX": "0",
    "RAY_DEDUP_LOGS": "0",  # lines of different cells are alike, and each counts
    "RAY_task_oom_retries": "1",  # Ray's own is without end
    # a warm worker sees all GPUs and is told which is its own: CUDA fixes what a process sees when it first looks
    "RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@dataclass(frozen=True)
class RayOptions:
    """What one cell takes, and which cluster gives it."""

    address: str | None = None  # of a cluster, "auto" for the one this machine belongs to; null: this machine alone
    gpus_per_cell: float | None = None  # 0.5: two cells share one; null: 1 where there are any
    cpus_per_cell: float | None = None  # null: an equal share of the cores for each GPU; 1 where there are none
    retries: int = 2  # of a cell whose worker dies
    dashboard: bool = False

    def __post_init__(self):
        """Before a cluster starts: Ray takes what is below zero for nothing at all, or ends in a stack trace."""
        for name, least in (("gpus_per_cell", 0), ("cpus_per_cell", 0), ("retries", -1)):
            value = getattr(self, name)
            if value is not None and not least <= value < float("inf"):
                without = "-1 for without end" if name == "retries" else "or leave it out"
                raise UserError(f"hydra.launcher.{name}={value}: give 0 or more, {without}")


class OnRay(Launch):
    """Starts or joins a cluster; jobs → outcomes; `close` it."""

    def __init__(self, options: RayOptions, run: object = None):
        self.options, self.run = options, run or work
        self.waiting: dict[Any, Job] = {}
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        try:
            import ray
        except ImportError as error:
            raise UserError("hydra/launcher=ray: ray is not installed; pip install 'relevance[ray]'") from error
        self.ray = ray
        near = {} if options.address else {"include_dashboard": options.dashboard}
        variables = {"env_vars": dict(SETTINGS)} if options.address else {}
        try:
            knock(options.address)
            with restored_handlers(signal.SIGTERM):  # Ray's handler ends a process without a word
                ray.init(options.address, logging_level="error", runtime_env=variables, **near)
        except (OSError, ValueError, RuntimeError) as error:
            raise UserError(
                f"hydra.launcher.address={options.address}: no Ray there ({first_line(error)}); start one with "
                "ray start --head, or leave the address out"
            ) from error

    def __call__(self, jobs: list[Job]) -> Outcomes:
        """Submit every job; each outcome as it comes."""
        has, options = self.ray.cluster_resources(), self.options
        there = has.get("GPU", 0.0), has["CPU"]
        shares = [share(job.cell.config.trainer, options.gpus_per_cell, options.cpus_per_cell, there) for job in jobs]
        task = self.ray.remote(max_retries=options.retries, retry_exceptions=False, max_calls=0)(self.run)
        for job, (gpus, cpus) in zip(jobs, shares, strict=True):
            config = job.cell.config  # the cores of a cell are shared among its processes
            threads = config.threads or max(1, int(cpus) // devices(config.trainer))
            job = anchored(job).with_settings(threads=threads)
            self.waiting[task.options(num_gpus=gpus, num_cpus=cpus).remote(job.text())] = job
        with sigterm_event() as stop:
            while self.waiting:
                done, _ = self.ray.wait(list(self.waiting), num_returns=1, timeout=POLL)
                if stop.is_set():
                    raise Stopped
                for task in done:
                    job = self.waiting.pop(task)
                    yield job, self._outcome(task, job)

    def close(self) -> None:
        """Stop the cells under way, within GRACE, and what was started here."""
        waiting, self.waiting = list(self.waiting), {}  # closed again, Ray would begin anew
        with signals_ignored():
            for task in waiting:
                self.ray.cancel(task, force=False)
            if waiting:
                self.ray.wait(waiting, num_returns=len(waiting), timeout=GRACE)
            self.ray.shutdown()

    def _outcome(self, task: object, job: Job) -> Outcome:
        from ray.exceptions import RayError, RayTaskError

        try:
            return Outcome.of(self.ray.get(task))
        except RayTaskError as error:
            reason, died = f"{type(error.cause).__name__}: {first_line(error.cause)}", False
        except RayError as error:  # its worker or its machine, more often than it was to be tried again
            reason, died = f"its process died {self.options.retries + 1} times ({first_line(error)})", True
        return Outcome(f"{job.place}: FAILED: {reason}", reason, died)


def knock(address: str | None) -> None:
    """OSError where nothing listens at HOST:PORT: Ray asks for minutes, in words of its own."""
    host, _, port = (address or "").rpartition(":")
    if port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER).close()


def share(
    trainer: TrainerConfig, gpus: float | None, cpus: float | None, there: tuple[float, float]
) -> tuple[float, float]:
    """A GPU for each device, where there are any, and its share of the cores; or what was asked for.

    UserError where the devices cannot be told apart by so many GPUs, or the cluster has too few for this cell alone.
    """
    several = devices(trainer)
    if gpus is None:
        gpus = float(several) if there[0] and trainer.accelerator != "cpu" else 0.0
    if cpus is None:
        cpus = max(float(several), there[1] * gpus / there[0] // 1 if there[0] else 0.0)
    words = f"hydra.launcher.gpus_per_cell={gpus:g} cpus_per_cell={cpus:g} trainer.devices={trainer.devices}"
    if gpus > there[0] or cpus > there[1]:
        raise UserError(
            f"{words}: there are {there[0]:g} GPUs and {there[1]:g} cores; no cell would ever start, ask for less"
        )
    # each device has a GPU of its own, or the only one shares it with other cells
    alone = several == 1 and (gpus <= 1 or (str(trainer.devices) in ALL and float(gpus).is_integer()))
    if not (alone or gpus in (0, several)):
        raise UserError(
            f"{words}: leave gpus_per_cell out, or give as many as there are devices (of one device: 1, or a fraction)"
        )
    return gpus, cpus


def devices(trainer: TrainerConfig) -> int:
    """Of a cell; "all there are" are those of its share."""
    return 1 if str(trainer.devices) in ALL else process_count(trainer)


def work(text: str) -> str:
    """In a Ray worker: attempt the job on the GPUs that Ray gives it."""
    import ray

    from relevance.sweep.attempt import attempt

    job = thaw(text)
    ids = ray.get_runtime_context().get_accelerator_ids().get("GPU", [])
    try:
        with stoppable():
            return attempt(_placed(job, ids)).text()
    except KeyboardInterrupt:
        return Outcome(f"{job.place}: KILLED", "killed").text()


def _placed(job: Job, ids: list[str]) -> Job:
    """The job on those GPUs, counted among the ones this process sees."""
    if not ids or job.cell.config.trainer.accelerator == "cpu":
        return job
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    places = [seen.split(",").index(gpu) if seen else int(gpu) for gpu in ids]
    return job.with_settings(trainer=replace(job.cell.config.trainer, devices=places))
