"""The rates a cell leaves open, filled in from conf/rates.yaml by its backbone, family and tuning. Imports no torch.

model.lr=null of model.backbone=embedded:llm → rates.embedded_llm_lora.lr
"""

from dataclasses import asdict, replace
from typing import Any

from relevance.config import HEAD, Config, LoraConfig, ModelConfig
from relevance.errors import UserError

FEW_STEPS = 200  # of the optimiser: in fewer a new head rarely learns six tasks
FAR = 10.0  # times the rate of its kind


def filled(config: Config, like: Config | None = None) -> Config:
    """The config with every rate given: its own, else that of `rates.<family>`, else that of its kind of backbone.

    `like` is the config whose backbone and tuning decide, null: this one. Raises UserError where one is null in all.
    """
    model, train, trainer = config.model, config.train, config.trainer
    deciding = (like or config).model
    own = {key: getattr(model, key) for key in ("lr", "private_lr", "gate_lr", *HEAD)}
    own |= {"targets": model.lora.targets, "step_rows": train.step_rows, "warmup": train.warmup}
    own |= {"max_epochs": trainer.max_epochs}
    family = asdict(config.rates[deciding.family.value])
    rates = _over(own, _over(family, asdict(config.rates[kind(deciding)])))
    _complete(rates, kind(deciding))
    lora = replace(model.lora, targets=rates.pop("targets") or LoraConfig.targets)  # of no adapter none are named
    train = replace(train, step_rows=rates.pop("step_rows"), warmup=rates.pop("warmup"))
    trainer = replace(trainer, max_epochs=rates.pop("max_epochs"))
    return replace(config, model=replace(model, lora=lora, **rates), train=train, trainer=trainer, rates={})


def kind(model: ModelConfig) -> str:
    """The entry of conf/rates.yaml for a model: "embedded_llm_lora", "ce_full"."""
    origin = "embedded_" if (model.backbone or "").startswith("embedded:") else ""
    return f"{origin}{model.family.value}_{'lora' if model.lora.r else 'full'}"


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


def _complete(rates: dict[str, Any], name: str) -> None:
    lacking = [key for key, value in rates.items() if value is None and key not in {"targets", *HEAD}]
    lacking += ["head_step"] if all(rates[key] is None for key in HEAD) else []
    if lacking:
        raise UserError(f"rates.{name}.{lacking[0]}=null: nothing else says it; give a number, or leave it out")


def _over(upper: dict[str, Any], lower: dict[str, Any]) -> dict[str, Any]:
    """The rates of `upper`, and those of `lower` where it has none."""
    given = {key: value for key, value in upper.items() if value is not None}
    hidden = HEAD if given.keys() & HEAD else set()
    return {key: None if key in hidden else value for key, value in lower.items()} | given
