"""Hydra's composed configs → typed requests → the sweep. Imports no torch until a sweep starts."""

import shlex
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from contextvars import ContextVar
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from relevance.cell_id import Request
from relevance.checks import OF_LAYERS, validate
from relevance.cli import key_help, run_command
from relevance.config import Config
from relevance.config_io import from_environment
from relevance.errors import UserError
from relevance.masking import mask_words
from relevance.overrides import OPEN, check_composed, translated
from relevance.rates import filled
from relevance.sweep.launchers.local import InProcess, Local
from relevance.train.job import Launch
from relevance.train.processes import stoppable

if TYPE_CHECKING:
    from relevance.sweep.sweep import Ended

FIRST = (  # settings that a newcomer needs
    *("data.path", "data.columns", "data.rows", "model.backbone", "task_mix.share", "train.step_rows"),
    *("trainer.max_epochs", "trainer.precision", "seed", "name", "outputs", "tracking_uri"),
)
NAMED = ("model", "routing", "task_mix")  # groups whose option is a part of the cell's name

Composed = tuple[DictConfig, Mapping[str, str]]
_answer: ContextVar["list[Ended] | None"] = ContextVar("answer", default=None)


def register() -> None:
    """Register the schema of conf/ with Hydra; its mappings take keys of the user's."""
    schema = OmegaConf.structured(Config)
    for name in OPEN:  # Hydra closes every node that does not say otherwise
        OmegaConf.set_struct(OmegaConf.select(schema, name), False)
    ConfigStore.instance().store(name="schema", node=schema)
    OmegaConf.register_new_resolver("settings_help", settings_help, replace=True)  # of conf/config.yaml


def settings_help(*, _root_: DictConfig) -> str:
    """What --help prints of the settings of a composed config: those a newcomer needs, then the others by group."""
    keys = key_help(Config, _ours(_root_))
    lines = ["The settings to know first:", *(keys.pop(key) for key in FIRST)]
    grouped = [key for key in keys if "." in key]
    for group, members in groupby(grouped, lambda key: key.partition(".")[0]):
        lines += ["", f"{group}:", *map(keys.pop, members)]
    lines += ["", "Others:", *keys.values()]
    return "\n".join(lines).replace("$", "$$")  # Hydra fills in a template


def launch(composed: list[Composed], way: Callable[[], Launch] | None = None) -> None:
    """Run the cells of a command, each a config and its choice of groups; exits 1 if one failed, unless `answering`.

    `way` says where they run, null: on this machine, each apart from the sweep.
    """
    if (answer := _answer.get()) is not None:
        answer.append(_sweep(composed, way))
        return
    try:
        run_command(lambda: sys.exit(_sweep(composed, way).code))
    except Exception:  # Hydra would print every word beside it
        traceback.print_exc()
        sys.exit(1)


@contextmanager
def answering() -> Iterator[list["Ended"]]:
    """Within it a launch neither prints its errors nor exits: it raises them, and appends what came of its sweep."""
    answer: list[Ended] = []
    token = _answer.set(answer)
    try:
        yield answer
    finally:
        _answer.reset(token)


def _sweep(composed: list[Composed], way: Callable[[], Launch] | None) -> "Ended":
    forget(composed[0][0])
    with translated():
        check_composed(HydraConfig.instance().cfg or {})
        for cell, _ in composed:
            check_composed(cell)
        requests = [_request(*cell) for cell in composed]
    if all(request.refusal for request in requests):
        raise UserError("\n".join(dict.fromkeys(request.refusal for request in requests)))
    from relevance.sweep.resolve import prepared

    datasets = prepared([request.config for request in requests if not request.refusal])
    line = shlex.join(mask_words(["python", "-m", "relevance.run", *sys.argv[1:]]))
    make = (way or Local) if requests[0].config.isolate else InProcess
    with stoppable(), closing(make()) as launcher:
        from relevance.sweep.sweep import run_sweep  # only now: it takes torch along

        return run_sweep(requests, datasets, line, launcher)


def forget(composed: DictConfig) -> None:
    """Remove the words of a multirun, passwords too, that Hydra writes as typed; the sweep's run has them masked."""
    sweep = OmegaConf.select(composed, "hydra.sweep.dir", throw_on_resolution_failure=False)
    if sweep is not None:
        (Path(sweep) / "multirun.yaml").unlink(missing_ok=True)


def _ours(composed: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])


def _request(composed: DictConfig, choices: Mapping[str, str]) -> Request:
    if absent := [group for group in NAMED if not choices.get(group)]:
        raise UserError(f"{absent[0]}: has no option; give {absent[0]}=OPTION (--help lists them)")
    groups = [f"{group}={choices[group]}" for group in NAMED]
    ours = _ours(composed)
    config = filled(ours)
    defaults = filled(hydra.compose("config", overrides=groups), like=config)
    request = Request(config, defaults, from_environment(ours))
    try:
        validate(request.config, {name: ours.model[name] for name in OF_LAYERS})
    except UserError as error:
        return replace(request, refusal=str(error))
    return request
