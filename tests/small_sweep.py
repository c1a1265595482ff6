"""Sweeps of small cells for tests: tiny backbones, real MLflow on SQLite."""

from dataclasses import replace
from pathlib import Path

from relevance.config import (
    Config,
    DataConfig,
    Family,
    LoraConfig,
    ModelConfig,
    PrivateConfig,
    RoutingConfig,
    TrainConfig,
    TrainerConfig,
)
from relevance.history import sweep_record
from relevance.identity import Request
from relevance.launch.here import Here
from relevance.records import SweepRecord
from relevance.resolve import prepared
from relevance.sweep import run_sweep
from relevance.tracking import Store

ROUTINGS = {
    "prefix": RoutingConfig("prefix", prefix=True),
    "mh": RoutingConfig("mh", heads=True),
    "mhp": RoutingConfig("mhp", heads=True, private=PrivateConfig(layers=1)),
}


def small_cell(folder: Path, backbones: dict[str, Path], model: str = "ce", routing: str = "mh", **changes) -> Config:
    """A cell of 300 generated pairs and one epoch that keeps all its files in `folder`."""
    family = Family.llm if model in ("llm", "gpt2") else Family.ce
    lora = LoraConfig(r=4 if family is Family.llm else 0)
    config = Config(
        data=DataConfig(rows=300),
        model=ModelConfig(name=model, family=family, backbone=str(backbones[model]), lora=lora, max_length=64),
        routing=ROUTINGS[routing],
        train=TrainConfig(token_budget=600),
        trainer=TrainerConfig(max_epochs=1, accelerator="cpu"),
        threads=1,
        name="test",
        outputs=str(folder / "outputs"),
        tracking_uri=f"sqlite:///{folder / 'mlflow.db'}",
    )
    return replace(config, **changes)


def sweep(*configs: Config) -> int:
    datasets = prepared(list(configs))
    return run_sweep([Request(config, config) for config in configs], datasets, "python -m relevance.run", Here())


def record(config: Config) -> SweepRecord:
    return sweep_record(config.tracking_uri, config.experiment, Path(config.outputs), [])


def runs(config: Config, wanted: str = "tags.kind = 'cell'") -> list:
    return Store(config.tracking_uri, config.experiment, Path(config.outputs)).runs(wanted)
