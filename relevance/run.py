"""Train cells: the only file that knows Hydra's main. Composed configs in, typed requests to the sweep out."""

import shlex
import sys
from dataclasses import dataclass

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from relevance.commands import main as command
from relevance.config import Config, validate
from relevance.errors import UserError

ConfigStore.instance().store(name="schema", node=Config)
NAMED = ("model", "routing", "task_mix")  # groups whose option is a part of the cell's name


@dataclass(frozen=True)
class Request:
    """A cell as asked for: its config, and the same groups with nothing else changed."""

    config: Config
    defaults: Config


def typed(composed: DictConfig) -> Config:
    """A composed config without Hydra's own node, resolved; raises UserError where a value cannot be resolved."""
    try:
        ours = OmegaConf.masked_copy(composed, [key for key in composed if key != "hydra"])
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Config), ours))
    except OmegaConfBaseException as error:
        raise UserError(f"config: {error}") from error


def launch(composed: list[tuple[DictConfig, DictConfig]]) -> None:
    """Run the cells of one command, each given as its config and its choice of groups; exits 1 if one failed."""

    def sweep() -> None:
        requests = [_request(*cell) for cell in composed]
        from relevance.sweep import run_sweep

        sys.exit(run_sweep(requests, shlex.join(["python", "-m", "relevance.run", *sys.argv[1:]])))

    command(sweep)


def _request(composed: DictConfig, choices: DictConfig) -> Request:
    words = [f"{group}={choices[group]}" for group in NAMED]
    return Request(validate(typed(composed)), typed(hydra.compose("config", overrides=words)))


@hydra.main(version_base="1.3", config_path="../conf", config_name="config")
def main(config: DictConfig) -> None:
    launch([(config, HydraConfig.get().runtime.choices)])


if __name__ == "__main__":
    main()
