"""Hydra's door to a sweep: all composed cells at once, so that their list exists before the first one trains."""

from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class InTurnConfig:
    _target_: str = "hydra_plugins.relevance_launcher.InTurn"


ConfigStore.instance().store(group="hydra/launcher", name="in_turn", node=InTurnConfig, provider="relevance")


class InTurn(Launcher):
    """One cell after another, in this process."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config, self.loader = config, hydra_context.config_loader

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from relevance.compose import launch

        cells = [self.loader.load_sweep_config(self.config, list(words)) for words in job_overrides]
        launch([(cell, cell.hydra.runtime.choices) for cell in cells])
        return [JobReturn() for _ in job_overrides]
