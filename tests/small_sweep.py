"""Sweeps of small cells for tests: tiny backbones, real MLflow on SQLite."""

import atexit
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from mlflow import MlflowClient

from relevance.cell_id import Request
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
from relevance.data.floors import ensure_floors
from relevance.data.implied import ensure_implied
from relevance.data.table import prepare_rows
from relevance.sweep.launchers.local import InProcess
from relevance.sweep.resolve import prepared
from relevance.sweep.sweep import run_sweep
from relevance.tracking import Store
from relevance.tracking.history import sweep_record
from relevance.tracking.records import SweepRecord

ROUTINGS = {
    "prefix": RoutingConfig("prefix", prefix=True),
    "mh": RoutingConfig("mh", heads=True),
    "mhp": RoutingConfig("mhp", heads=True, private=PrivateConfig(layers=1)),
}
DATA = DataConfig(rows=300)
STORE = "mlflow.db"


@cache
def _furniture(rows: int) -> Path:
    """What each sweep would make anew, made once: the tables of an empty store; the pairs, floors, implied pairs."""
    folder = Path(mkdtemp(prefix="relevance-furniture-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    MlflowClient(f"sqlite:///{folder / STORE}")
    path = prepare_rows(DataConfig(rows=rows), folder / "outputs").path
    ensure_floors(path)
    ensure_implied(path)
    return folder


def _furnish(folder: Path, data: DataConfig) -> None:
    """Copy it where there is no store yet. What a test removes, or keeps elsewhere, is really made again."""
    if not (folder / STORE).exists():
        rows = data.rows if data == DataConfig(rows=data.rows) else DATA.rows
        shutil.copytree(_furniture(rows), folder, dirs_exist_ok=True)


def small_cell(folder: Path, backbones: dict[str, Path], model: str = "ce", routing: str = "mh", **changes) -> Config:
    """A cell of 300 generated pairs and one epoch that keeps all its files in `folder`."""
    family = Family.llm if model in ("llm", "gpt2") else Family.ce
    lora = LoraConfig(r=4 if family is Family.llm else 0)
    config = Config(
        data=DATA,
        model=ModelConfig(name=model, family=family, backbone=str(backbones[model]), lora=lora, max_length=64),
        routing=ROUTINGS[routing],
        train=TrainConfig(token_budget=600),
        trainer=TrainerConfig(max_epochs=1, accelerator="cpu"),
        threads=1,
        name="test",
        outputs=str(folder / "outputs"),
        tracking_uri=f"sqlite:///{folder / STORE}",
    )
    config = replace(config, **changes)
    _furnish(folder, config.data)
    return config


def sweep(*configs: Config) -> int:
    datasets = prepared(list(configs))
    return run_sweep([Request(config, config) for config in configs], datasets, "python -m relevance.run", InProcess())


def record(config: Config) -> SweepRecord:
    return sweep_record(config.tracking_uri, config.experiment, Path(config.outputs), [])


def runs(config: Config, wanted: str = "tags.kind = 'cell'") -> list:
    return Store(config.tracking_uri, config.experiment, Path(config.outputs)).runs(wanted)
