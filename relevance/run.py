"""python -m relevance.run: train cells. The only file that knows Hydra's main."""

import os

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from relevance.cli import run_command
from relevance.compose import check_command, launch, register, translated
from relevance.config import conf_folder

register()


@hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="config")
def composed(config: DictConfig) -> None:
    launch([(config, HydraConfig.get().runtime.choices)])


def main() -> None:
    """Train the cells of this process's words; exits as the sweep does."""
    with translated():
        check_command()
        composed()


if __name__ == "__main__":
    os.environ["HYDRA_FULL_ERROR"] = "1"  # it raises its errors, instead of printing them and exiting
    run_command(main)
