"""python -m relevance.run: train cells. The only file that knows Hydra's main."""

import re
import sys
from collections.abc import Iterable

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from relevance.cli import run_command
from relevance.compose import launch, register
from relevance.config import conf_folder
from relevance.errors import UserError

register()
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
NO_KEY = re.compile(r"^data\.grades=.*([{,]\s*(null|~)|'|\")\s*:", re.IGNORECASE)


@hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="config")
def sweep(config: DictConfig) -> None:
    launch([(config, HydraConfig.get().runtime.choices)])


def main() -> None:
    """Train the cells of this process's words; exits as the sweep does."""
    run_command(lambda: check_words(sys.argv[1:]))
    sweep()


def check_words(words: Iterable[str]) -> None:
    """Raise UserError for words that Hydra's grammar cannot read: letters beyond ASCII, and keys in quotes or null."""
    for word in words:
        if not QUOTED.sub("", word).isascii() or NO_KEY.match(word):
            raise UserError(
                f"{word}: Hydra reads letters beyond ASCII in quoted values alone, 'data.path=\"café.csv\"', no key "
                "with them, in quotes or null: write such keys to FOLDER/data/own.yaml, "
                "'{defaults: [pairs], grades: {très bon: 2, \"null\": 0}}', and give --config-dir=FOLDER data=own"
            )


if __name__ == "__main__":
    main()
