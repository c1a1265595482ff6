"""python -m relevance.run: train cells. The only file that knows Hydra's main."""

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from relevance.compose import launch, register
from relevance.config import conf_folder

register()


@hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="config")
def main(config: DictConfig) -> None:
    launch([(config, HydraConfig.get().runtime.choices)])


if __name__ == "__main__":
    main()
