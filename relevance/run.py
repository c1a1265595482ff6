"""python -m relevance.run: train cells. The only file that knows Hydra's main."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import env_override
from omegaconf import DictConfig

from relevance.cli import run_command
from relevance.compose import answering, check_command, launch, register, translated
from relevance.config import conf_folder
from relevance.masking import masked_streams

if TYPE_CHECKING:
    from relevance.sweep.sweep import Ended

FULL = {"HYDRA_FULL_ERROR": "1"}  # it raises its errors, instead of printing them and exiting

register()


@hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="config")
def composed(config: DictConfig) -> None:
    launch([(config, HydraConfig.get().runtime.choices)])


def main() -> None:
    """Train the cells of this process's words; exits as the sweep does."""
    with translated():
        check_command()
        composed()


def called(words: Sequence[str]) -> "Ended":
    """What comes of `python -m relevance.run -m WORDS` in this process; raises what that prints, and exits nowhere."""
    before, sys.argv = sys.argv, ["relevance.run", "--multirun", *words]  # Hydra has no other door
    try:
        with env_override(FULL), answering() as answer, masked_streams(), translated():
            check_command()
            composed()
    finally:
        sys.argv = before
    return answer[0]


if __name__ == "__main__":
    os.environ |= FULL
    run_command(main)
