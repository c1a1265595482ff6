"""Sweeps of small cells for tests: tiny backbones, real MLflow on SQLite."""

import atexit
import shutil
import sqlite3
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from unittest import mock

from mlflow import MlflowClient
from sqlalchemy import event
from sqlalchemy.engine import Engine

from relevance.cell_id import Request
from relevance.config import (
    Config,
    DataConfig,
    Family,
    LoraConfig,
    ModelConfig,
    PrivateConfig,
    PromptConfig,
    RoutingConfig,
    Save,
    TrainConfig,
    TrainerConfig,
)
from relevance.data.floors import ensure_floors
from relevance.data.implied import ensure_implied
from relevance.data.table import Rows, prepare_rows
from relevance.shop.generate import generate_pairs
from relevance.sweep import resolve
from relevance.sweep.launchers.local import InProcess
from relevance.sweep.sweep import run_sweep
from relevance.tracking import Store
from relevance.tracking.history import sweep_record
from relevance.tracking.records import SweepRecord

ROUTINGS = {
    "prefix": RoutingConfig("prefix", prefix=True),
    "mh": RoutingConfig("mh", heads=True),
    "mhp": RoutingConfig("mhp", heads=True, private=PrivateConfig(layers=1)),
}
RIVALS = {
    "soft_prompt": RoutingConfig("soft_prompt", prompt=PromptConfig(3)),
    "mtl_lora": RoutingConfig("mtl_lora", heads=True, task_matrix=True),
}
DATA = DataConfig(rows=300)
STORE = "mlflow.db"
_pairs = cache(generate_pairs)


@event.listens_for(Engine, "connect")
def _hasten(connection, _) -> None:
    """A store of a test need not outlive a power cut: to wait for the disk takes as long as to train."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF")


@cache
def _store() -> Path:
    """The tables of an empty store, made once."""
    folder = Path(mkdtemp(prefix="relevance-furniture-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    MlflowClient(f"sqlite:///{folder / STORE}")
    return folder / STORE


@cache
def _furniture(rows: int) -> Path:
    """Outputs with what each sweep would make anew, made once: the pairs, their floors and implied pairs."""
    folder = _store().parent / str(rows)
    with mock.patch("relevance.shop.generate.generate_pairs", _pairs):
        path = prepare_rows(DataConfig(rows=rows), folder).path
    ensure_floors(path)
    ensure_implied(path)
    return folder


def furnish(folder: Path, data: DataConfig = DATA) -> None:
    """Copy it where there is no store yet. What a test removes, or keeps elsewhere, is really made again."""
    if not (folder / STORE).exists():
        rows = data.rows if data == DataConfig(rows=data.rows) else DATA.rows
        shutil.copytree(_furniture(rows), folder / "outputs", dirs_exist_ok=True)
        shutil.copy(_store(), folder)


def small_cell(folder: Path, backbones: dict[str, Path], model: str = "ce", routing: str = "mh", **changes) -> Config:
    """A cell of 300 generated pairs and one epoch that keeps all its files, but no model, in `folder`."""
    chosen = {**ROUTINGS, **RIVALS}[routing]
    family = Family.llm if model in ("llm", "gpt2") else Family.ce
    length, lora = 64 - chosen.prompt.k, LoraConfig(r=4 if family is Family.llm else 0)
    config = Config(
        data=DATA,
        model=ModelConfig(name=model, family=family, backbone=str(backbones[model]), lora=lora, max_length=length),
        routing=chosen,
        train=TrainConfig(token_budget=600),
        trainer=TrainerConfig(max_epochs=1, accelerator="cpu"),
        save=Save.none,  # to log a model takes MLflow as long as all the rest
        threads=1,
        name="test",
        outputs=str(folder / "outputs"),
        tracking_uri=f"sqlite:///{folder / STORE}",
    )
    config = replace(config, **changes)
    furnish(folder, config.data)
    return config


def prepared(configs: list[Config]) -> dict[str, Rows]:
    """What a sweep prepares; the same pairs are generated once a process."""
    with mock.patch("relevance.shop.generate.generate_pairs", _pairs):
        return resolve.prepared(configs)


def sweep(*configs: Config) -> int:
    datasets = prepared(list(configs))
    return run_sweep(
        [Request(config, config) for config in configs], datasets, "python -m relevance.run", InProcess()
    ).code


def record(config: Config) -> SweepRecord:
    return sweep_record(config.tracking_uri, config.experiment, Path(config.outputs), [])


def runs(config: Config, wanted: str = "tags.kind = 'cell'") -> list:
    return Store(config.tracking_uri, config.experiment, Path(config.outputs)).runs(wanted)
