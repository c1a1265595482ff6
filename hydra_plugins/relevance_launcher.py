"""Hydra's doors to a sweep: all composed cells at once, so that their list exists before the first one trains."""

import atexit
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus, env_override
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class NoQueue:
    submitit_folder: str = ""
    max_num_timeout: int = 0


SlurmQueue: Any = NoQueue
with suppress(ImportError):  # an extra; to ask for it without it ends in a message that says so
    from hydra_plugins.hydra_submitit_launcher import config as submitit

    SlurmQueue = submitit.SlurmQueueConf


@dataclass
class LocalConfig:
    _target_: str = "hydra_plugins.relevance_launcher.Local"
    cells: int | None = None  # at once; null: one on a GPU, on the CPU as many as have a core for each thread


@dataclass
class RayConfig:
    """Settings of relevance.sweep.launchers.ray.RayOptions."""

    _target_: str = "hydra_plugins.relevance_launcher.Ray"
    address: str | None = None
    gpus_per_cell: float | None = None
    cpus_per_cell: float | None = None
    retries: int = 2
    dashboard: bool = False


@dataclass
class SlurmConfig(SlurmQueue):
    """Settings of hydra-submitit-launcher, with what suits cells that go on from a checkpoint."""

    _target_: str = "hydra_plugins.relevance_launcher.Slurm"
    cluster: str = "slurm"  # local: the same on this machine, to try it
    submitit_folder: str = "${outputs}/slurm/%j"
    timeout_min: int = 24 * 60
    max_num_timeout: int = 20  # a task out of time is queued again so often
    name: str = "relevance"


for _name, _node in (("local", LocalConfig), ("ray", RayConfig), ("slurm", SlurmConfig)):
    ConfigStore.instance().store(group="hydra/launcher", name=_name, node=_node, provider="relevance")


class Local(Launcher):
    """Cells in worker processes of this machine."""

    def __init__(self, **settings: Any):
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from relevance.compose import forget

        self.config, self.loader = config, hydra_context.config_loader
        atexit.register(forget, config)  # also of a multirun that Hydra refuses

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from relevance.compose import check_words, launch

        for words in job_overrides:  # those of a sweep's file too
            check_words(words)
        cells = [self.loader.load_sweep_config(self.config, list(words)) for words in job_overrides]
        with env_override(self.config.hydra.job.env_set):
            launch([(cell, cell.hydra.runtime.choices) for cell in cells], self.way())
        return [JobReturn(status=JobStatus.COMPLETED) for _ in job_overrides]

    def way(self) -> Callable:
        """What makes the relevance.train.job.Launch."""
        from relevance.sweep.launchers import local

        return lambda: local.Local(**self.settings)


class Ray(Local):
    """Cells as Ray tasks."""

    def way(self) -> Callable:
        from relevance.sweep.launchers.ray import OnRay, RayOptions

        return lambda: OnRay(RayOptions(**self.settings))


class Slurm(Local):
    """Cells as an array of Slurm jobs."""

    def way(self) -> Callable:
        from relevance.sweep.launchers.slurm import OnSlurm

        return lambda: OnSlurm(self.settings)
