"""A cell of the survey, architecture × routing × kind of private layers → the config it is trained with. Without Hydra.

Cell("qwen3", "mhp", PrivateKind.inserted) → Config(model=llm with LoRA r=4, routing=mhp, 24 steps of 40 rows)
conf/routing/mhp.yaml → routings()["mhp"] = RoutingConfig(name="mhp", heads=True, private=PrivateConfig(layers=2))
"""

from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import OmegaConf

from relevance.config import (
    Config,
    Family,
    LoraConfig,
    ModelConfig,
    PrivateKind,
    RoutingConfig,
    TrainConfig,
    TrainerConfig,
    conf_folder,
)
from relevance.config_io import typed_config
from relevance.rates import filled
from tools.survey.architectures import ENCODERS

KINDS_UNDER = "mhp"  # the routing that the kinds of private layers are compared under
STEP_ROWS = 40
LORA = LoraConfig(r=4, alpha=8.0, targets="attention")


@dataclass(frozen=True)
class Cell:
    """One architecture under one routing; `kind` counts where the routing has private layers."""

    architecture: str
    routing: str
    kind: PrivateKind

    @property
    def family(self) -> Family:
        return Family.ce if self.architecture in ENCODERS else Family.llm

    @property
    def exists(self) -> bool:
        """Private adapters stand beside frozen weights, and an encoder has none."""
        return not self.kind.is_adapter or self.family is Family.llm


def by_routing(architectures: list[str], names: list[str]) -> list[Cell]:
    """Every architecture under every routing as conf/routing defines it."""
    known = routings()
    return [Cell(architecture, name, known[name].private.kind) for architecture in architectures for name in names]


def by_kind(architectures: list[str], kinds: list[PrivateKind]) -> list[Cell]:
    """Every architecture with every kind of private layers."""
    return [Cell(architecture, KINDS_UNDER, kind) for architecture in architectures for kind in kinds]


def settings(cell: Cell, backbone: Path, steps: int) -> Config:
    """The config that trains the cell for `steps` steps on the CPU, on the backbone in this folder."""
    chosen = replace(model(cell.family.value, backbone), name=cell.architecture, max_length=64)
    chosen = replace(chosen, lr=1e-3, head_lr=1e-2, head_step=None, private_lr=1e-3)  # nothing has trained it before
    routing = routings()[cell.routing]
    return Config(
        model=replace(chosen, lora=LORA) if cell.family is Family.llm else chosen,
        routing=replace(routing, private=replace(routing.private, kind=cell.kind)),
        train=TrainConfig(step_rows=STEP_ROWS),
        trainer=TrainerConfig(accelerator="cpu", precision="32-true", max_epochs=-1, max_steps=steps),
        threads=1,
    )


def routings() -> dict[str, RoutingConfig]:
    """Every routing of conf/routing by name, what gives a task less of its own first."""
    nodes = map(OmegaConf.load, (conf_folder() / "routing").glob("*.yaml"))
    # one that sets the model too (mh_wide) is another's network with other weights trained
    groups = [typed_config({"routing": node}).routing for node in nodes if "routing" not in node]
    groups.sort(key=lambda routing: (routing.private.layers, routing.heads, routing.prefix))
    return {routing.name: routing for routing in groups}


def model(name: str, backbone: Path) -> ModelConfig:
    """The model of conf/model/<name>.yaml with the backbone in this folder, at the rates of conf/rates.yaml."""
    node = OmegaConf.load(conf_folder() / "model" / f"{name}.yaml")
    node.backbone = str(backbone)  # the file leaves it to a group of Hydra's
    values = OmegaConf.create({"model": node, "rates": OmegaConf.load(conf_folder() / "rates.yaml")})
    return filled(values).model
