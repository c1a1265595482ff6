"""Groups of conf/ read without Hydra: routings and models as every cell has them. Imports no torch.

conf/routing/mhp.yaml → RoutingConfig(name="mhp", heads=True, private=PrivateConfig(layers=2))
"""

from pathlib import Path

from omegaconf import OmegaConf

from relevance.config import Config, ModelConfig, RoutingConfig, conf_folder
from relevance.rates import filled


def routings() -> dict[str, RoutingConfig]:
    """Every routing of conf/routing by name, what gives a task less of its own first."""
    nodes = [OmegaConf.load(path) for path in (conf_folder() / "routing").glob("*.yaml")]
    found = [OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(RoutingConfig), node)) for node in nodes]
    found.sort(key=lambda one: (one.private.layers, one.heads, one.prefix))
    return {one.name: one for one in found}


def model(name: str, backbone: Path) -> ModelConfig:
    """The model of conf/model/<name>.yaml with the backbone in this folder, at the rates of conf/rates.yaml."""
    node = OmegaConf.load(conf_folder() / "model" / f"{name}.yaml")
    node.backbone = str(backbone)  # the file leaves it to a group of Hydra's
    whole = {"model": node, "rates": OmegaConf.load(conf_folder() / "rates.yaml")}
    return filled(OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Config), whole))).model
