"""Hydra's composed configs → typed requests → the sweep. Imports no torch until a sweep starts."""

import shlex
import sys

import hydra
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from relevance.checks import validate
from relevance.commands import main as command
from relevance.config import Config
from relevance.errors import UserError
from relevance.identity import Request
from relevance.job import from_environment
from relevance.secrets import words

OPEN = ("data.columns", "train.task_weights", "backbones")  # Hydra closes every node that does not say otherwise
NAMED = ("model", "routing", "task_mix")  # groups whose option is a part of the cell's name


def register() -> None:
    """Tell Hydra the schema of conf/; its maps take keys of the user's own."""
    schema = OmegaConf.structured(Config)
    for name in OPEN:
        OmegaConf.set_struct(OmegaConf.select(schema, name), False)
    ConfigStore.instance().store(name="schema", node=schema)


def typed(composed: DictConfig) -> Config:
    """A composed config without Hydra's own node, resolved; raises UserError where a value cannot be resolved."""
    try:
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Config), _ours(composed)))
    except OmegaConfBaseException as error:
        raise UserError(f"config: {error}") from error


def launch(composed: list[tuple[DictConfig, DictConfig]]) -> None:
    """Run the cells of one command, each given as its config and its choice of groups; exits 1 if one failed."""

    def sweep() -> None:
        requests = [_request(*cell) for cell in composed]
        from relevance.resolve import prepared

        datasets = prepared([request.config for request in requests])
        from relevance.sweep import run_sweep  # only now: it takes torch along

        sys.exit(run_sweep(requests, datasets, shlex.join(words(["python", "-m", "relevance.run", *sys.argv[1:]]))))

    command(sweep)


def _ours(composed: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(composed, [key for key in composed if key != "hydra"])


def _request(composed: DictConfig, choices: DictConfig) -> Request:
    groups = [f"{group}={choices[group]}" for group in NAMED]
    return Request(
        validate(typed(composed)), typed(hydra.compose("config", overrides=groups)), from_environment(_ours(composed))
    )
