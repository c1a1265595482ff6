"""The rates that a cell leaves null, from conf/rates.yaml by its backbone, family and tuning. Imports no torch.

model.lr=null of model.backbone=embedded:llm → rates.embedded_llm_lora.lr
"""

from dataclasses import asdict
from typing import Any

from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from relevance.config import HEAD, Attention, Config, Family, LoraConfig, ModelConfig, Pooling, Tuning
from relevance.config_io import typed_config
from relevance.errors import UserError, first_line

USUAL = {Family.ce: Tuning.full, Family.llm: Tuning.lora}  # where neither model.tuning nor model.lora.r says it
OWN: dict[Family, dict[str, Any]] = {  # of each family what null says: the same question, asked in words
    Family.ce: {"attention": Attention.bidirectional},
    Family.llm: {"attention": Attention.causal, "pooling": Pooling.last},
}
OF_LORA = ("r", "alpha", "targets")  # of no adapter nothing says them
FEW_STEPS = 200  # of the optimiser: in fewer a new head rarely learns six tasks
FAR = 10.0  # times the rate of its kind


def filled(composed: DictConfig, like: Config | None = None) -> Config:
    """The config of composed settings, each rate its own, else that of `rates.<family>`, else of its kind of backbone.

    `like` is the config whose backbone and tuning decide, null: this one. Raises UserError where a rate is null in all,
    or where a setting cannot be resolved.
    """
    try:
        config = typed_config(composed)
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key}: {first_line(error)}; give it a value that can be") from error
    model, deciding = config.model, (like or config).model
    for key in [key for key, value in OWN[model.family].items() if getattr(model, key) is value]:
        setattr(model, key, None)
    by_rank = model.tuning is None and model.lora.r is not None
    model.tuning = model.tuning or (model.lora.tuning if by_rank else USUAL[model.family])
    places: dict[str, Any] = dict.fromkeys(("lr", "private_lr", "gate_lr", *HEAD), model)
    places |= dict.fromkeys(OF_LORA, model.lora)
    places |= {"step_rows": config.train, "warmup": config.train, "max_epochs": config.trainer}
    rates = _over({key: getattr(place, key) for key, place in places.items()}, _usual(config, deciding, by_rank))
    lacking = [key for key, value in rates.items() if value is None and key not in {*OF_LORA, *HEAD}]
    lacking += ["head_step"] if all(rates[key] is None for key in HEAD) else []
    if lacking:
        where = f"rates.{kind(deciding)}.{lacking[0]}"
        raise UserError(f"{where}=null: nothing else gives it; give a number, or leave it out")
    rates |= {key: getattr(LoraConfig, key) for key in OF_LORA if rates[key] is None}
    for key, place in places.items():
        setattr(place, key, rates[key])
    config.rates = {}
    return config


def _usual(config: Config, deciding: ModelConfig, by_rank: bool) -> dict[str, Any]:
    """The rates by hand of the deciding family, else of its kind; `by_rank`: a rank alone asks for adapters."""
    family, usual = (asdict(config.rates[name]) for name in (deciding.family.value, kind(deciding)))
    if kind(deciding).endswith(Tuning.full):
        family |= dict.fromkeys(OF_LORA)
    if by_rank and USUAL[config.model.family] is Tuning.full:
        usual["alpha"] = None  # 16: cells that were trained before tuning was a setting keep their question
    return _over(family, usual)


def kind(model: ModelConfig) -> str:
    """The entry of conf/rates.yaml for a model: "embedded_llm_lora", "ce_full"."""
    origin = "embedded_" if (model.backbone or "").startswith("embedded:") else ""
    return f"{origin}{model.family.value}_{model.tuning if model.lora.r is None else model.lora.tuning}"


def doubts(config: Config, usual: Config, rows: int) -> tuple[str, ...]:
    """Why a cell of `rows` training rows can hardly learn, each with what to set; `usual` has the rates of its kind."""
    lines = []
    epochs, most, steps = config.trainer.max_epochs, config.trainer.max_steps, optimiser_steps(config, rows)
    if steps < FEW_STEPS:
        more = f"trainer.max_epochs={-(-FEW_STEPS // max(1, steps)) * max(1, epochs)}"
        smaller = f"{more}, or a smaller train.step_rows than {config.train.step_rows}"
        remedy = f"trainer.max_steps={FEW_STEPS} or more" if steps == most else smaller
        lines.append(f"{steps} optimiser steps are few (new heads take about {FEW_STEPS}): give {remedy}")
    for key in ("lr", "head_lr", "head_step", "private_lr"):
        rate, other = getattr(config.model, key), getattr(usual.model, key)
        if None not in (rate, other) and not other / FAR < rate < other * FAR:
            lines.append(
                f"model.{key}={rate:g} is far from the {other:g} that {kind(config.model)} takes (conf/rates.yaml): "
                "expect no learning, or leave it out"
            )
    return tuple(lines)


def optimiser_steps(config: Config, rows: int) -> int:
    """Steps that a cell of `rows` training rows an epoch takes at most."""
    epochs, most = config.trainer.max_epochs, config.trainer.max_steps
    whole = epochs * -(-rows // config.train.step_rows) if epochs > 0 else most
    return min(whole, most) if most > 0 else whole


def _over(upper: dict[str, Any], lower: dict[str, Any]) -> dict[str, Any]:
    """The rates of `upper`, and those of `lower` where it has none."""
    rates = {key: value for key, value in upper.items() if value is not None}
    hidden = HEAD if rates.keys() & HEAD else set()
    return {key: None if key in hidden else value for key, value in lower.items()} | rates
