"""Sweeps of small cells for tests: tiny backbones, real MLflow on SQLite."""

from pathlib import Path

from relevance.config import Config, PrivateConfig, RoutingConfig
from relevance.history import sweep_record
from relevance.identity import Request
from relevance.records import SweepRecord
from relevance.resolve import prepared
from relevance.sweep import run_sweep
from relevance.tracking import Store

ROUTINGS = {
    "prefix": RoutingConfig("prefix", prefix=True),
    "mh": RoutingConfig("mh", heads=True),
    "mhp": RoutingConfig("mhp", heads=True, private=PrivateConfig(layers=1)),
}


def sweep(*configs: Config) -> int:
    datasets = prepared(list(configs))
    return run_sweep([Request(config, config) for config in configs], datasets, "python -m relevance.run")


def record(config: Config) -> SweepRecord:
    return sweep_record(config.tracking_uri, config.experiment, Path(config.outputs), None)


def runs(config: Config, wanted: str = "tags.kind = 'cell'") -> list:
    return Store(config.tracking_uri, config.experiment, Path(config.outputs)).runs(wanted)
