"""conf/sweep: each named sweep composes into cells that can be, under one name and one budget."""

import re
from itertools import cycle, islice, product

import hydra
import pytest
from omegaconf import OmegaConf

from relevance.checks import validate
from relevance.compose import register
from relevance.config import Config, Match, conf_folder
from relevance.rates import filled
from relevance.tasks import TASK_NAMES

CONF = conf_folder()
NAMES = sorted(path.stem for path in (CONF / "sweep").glob("*.yaml"))
SINGLES = {f"single_{task}" for task in TASK_NAMES}
MODELS, SHORT = {"llm", "ce"}, {"prefix", "mh", "mhp"}


def lists(name: str) -> dict[str, list[str]]:
    """What the sweep crosses: values by key."""
    whole = OmegaConf.load(CONF / "sweep" / f"{name}.yaml")
    assert whole.hydra.mode == "MULTIRUN"
    return {key: re.split(r",(?![^\[]*\])", str(values)) for key, values in whole.hydra.sweeper.params.items()}


def cells(name: str) -> list[Config]:
    """Some cells of the sweep, each value of each list in one of them at least."""
    crossed = lists(name)
    longest = max(map(len, crossed.values()))
    columns = [[f"{key}={value}" for value in islice(cycle(values), longest)] for key, values in crossed.items()]
    register()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return [
            validate(filled(hydra.compose("config", overrides=[f"+sweep={name}", *words])))
            for words in zip(*columns, strict=True)
        ]


def named(name: str) -> set[tuple[str, ...]]:
    """Model, routing and task mix of each cell."""
    crossed = {"task_mix": ["joint"], **lists(name)}
    return set(product(*(crossed[key] for key in ("model", "routing", "task_mix"))))


def test_the_sweeps_that_claims_need_are_there():
    studies = ["baselines", "controls", "crossed", "distil", "ensemble", "factorial", "matrix", "paper", "rivals"]
    assert [*studies, "tune", "tuned", "volume"] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_sweep_is_of_cells_that_can_be_under_one_name_and_budget(name):
    assert {(cell.name, cell.match) for cell in cells(name)} == {(name, Match.steps)}


def test_each_holds_what_its_claim_needs():
    assert named("matrix") == set(product(MODELS, SHORT, ["joint"]))
    assert named("ensemble") == set(product({*MODELS, "llm_b"}, {"prefix", "mhp"}, ["joint"]))
    assert named("baselines") == set(product(MODELS, ["mh"], {"joint", *SINGLES}))
    assert lists("distil")["train.teacher"] == ["[]", "[best:ce-mhp,best:llm-mhp,best:llm_b-mhp]"]
    assert {cell.train.teacher_sweep for cell in cells("distil")} == {"ensemble"}
    assert named("distil") <= named("ensemble")  # whose cells are the plain ones
    six = {"none", *SHORT, "prefix_mh", "prefix_mhp"}
    assert named("factorial") == set(product(MODELS, {*six, "mhp_shared"}, ["joint"]))
    assert named("crossed") == set(product(MODELS, {"none", *SHORT}, ["joint"]))
    assert lists("crossed")["model.tuning"] == ["full", "lora"]
    equal = {"mh_wide", "mh_r56", "mh_r569"}
    assert named("controls") == set(product(["llm"], {"mh", "mhp", "mhp_shared", "mhp_lora", *equal}, ["joint"]))
    assert named("rivals") == set(product(["llm"], {"none", *SHORT, "soft_prompt", "mtl_lora"}, ["joint"]))
    assert named("matrix") | named("ensemble") | named("baselines") <= named("paper")
    assert lists("volume")["task_mix.share"] == ["0.125", "0.25", "0.5", "1"]
    assert named("tune") == named("tuned") < named("factorial")
    assert lists("tune")["tune.trial"] == [str(number) for number in range(8)]
    assert lists("tune")["seed"] == ["100"]
    assert all(lists(name)["seed"] == ["0", "1", "2"] for name in NAMES if name not in ("matrix", "tune"))
