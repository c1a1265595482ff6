"""A typed config → the same config, or one error that names every setting that cannot be. Imports no torch.

task_mix=temperature task_mix.temperature=0 → "task_mix.temperature=0: must be above 0"

A function ..._checks returns, for each of its checks, whether the settings fail it and the message for that case.
"""

import re
from dataclasses import asdict, replace
from typing import Any

from relevance.config import (
    ALL,
    HALF,
    NAMES,
    Config,
    DataConfig,
    LoraConfig,
    Match,
    Mix,
    MixConfig,
    ModelConfig,
    PrivateConfig,
    RoutingConfig,
    Source,
    TrainConfig,
    TrainerConfig,
)
from relevance.errors import UserError
from relevance.tasks import TASK_NAMES

ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")  # those of Lightning's that networks here can train on
PRECISIONS = ("32-true", "bf16-mixed", HALF)
COUNTS = ("limit_train_batches", "val_check_interval", "check_val_every_n_epoch")  # of 0 nothing comes
LIMITS = (*COUNTS, "limit_val_batches")
DURATION = re.compile(r"\d+:\d{2}:\d{2}:\d{2}")


def validate(config: Config) -> Config:
    """The same config, or one UserError that names every setting that cannot be."""
    _raise(
        [
            *_run_checks(config),
            *model_checks(config),
            *data_checks(config.data),
            *mix_checks(config.task_mix),
            *train_checks(config.train),
            *trainer_checks(config.trainer),
        ]
    )
    return config


def validate_data(data: DataConfig) -> DataConfig:
    """The same for the part that says where pairs come from."""
    _raise(data_checks(data))
    return data


def _raise(checks: list[tuple[bool, str]]) -> None:
    problems = [message for wrong, message in checks if wrong]
    if problems:
        raise UserError("config:\n" + "\n".join(f"  {problem}" for problem in problems))


def _run_checks(c: Config) -> list[tuple[bool, str]]:
    return [
        (not 0 <= c.seed < 2**32, f"seed={c.seed}: must be in 0 to 2^32 - 1"),
        (
            len(c.name or "") > NAMES,
            f"name={(c.name or '')[:40]}…: has {len(c.name or ''):,} characters; MLflow keeps {NAMES}, give fewer",
        ),
        (c.threads is not None and c.threads < 1, f"threads={c.threads}: must be 1 or more, or null for all cores"),
        (
            c.checkpoint_steps is not None and c.checkpoint_steps < 1,
            f"checkpoint_steps={c.checkpoint_steps}: must be 1 or more, or null for the ends of epochs",
        ),
        (
            c.match is not Match.none and (c.trainer.limit_train_batches, c.trainer.max_time) != (None, None),
            f"match={c.match} trainer.limit_train_batches={c.trainer.limit_train_batches} "
            f"max_time={c.trainer.max_time}: a matched budget is counted in epochs or steps; leave these out",
        ),
        (not c.experiment.strip(), "experiment: is empty; name the MLflow experiment"),
    ]


def model_checks(c: Config) -> list[tuple[bool, str]]:
    model = c.model
    rates = {key: getattr(model, key) for key in ("lr", "head_lr", "head_step", "private_lr", "gate_lr")}
    has = sorted(name for name, value in c.backbones.items() if value)
    return [
        (
            not model.backbone,
            f"model={model.name}: this backbones group has no member for it (it has {', '.join(has)}); "
            "choose another group (backbones=small) or give model.backbone=<hub id or local folder>",
        ),
        (model.max_length < 8, f"model.max_length={model.max_length}: a pair needs at least 8 tokens"),
        (
            any(not 0 < rate < float("inf") for rate in rates.values() if rate is not None),
            f"model.{' '.join(f'{key}={rate}' for key, rate in rates.items())}: each must be above 0",
        ),
        (
            None not in (model.head_lr, model.head_step),
            f"model.head_lr={model.head_lr} model.head_step={model.head_step}: two ways to say one rate; give one",
        ),
        (
            model.attn_implementation not in (None, "eager", "sdpa"),
            f"model.attn_implementation={model.attn_implementation}: use eager, sdpa or null",
        ),
        *_lora_checks(model),
        *_private_checks(c.routing, model),
    ]


def _lora_checks(model: ModelConfig) -> list[tuple[bool, str]]:
    lora = model.lora
    changed = [key for key, value in asdict(LoraConfig()).items() if key != "r" and value != getattr(lora, key)]
    listed = isinstance(lora.targets, list) and lora.targets != [] and all(isinstance(n, str) for n in lora.targets)
    return [
        (lora.r < 0, f"model.lora.r={lora.r}: must be 0 (no adapter) or more"),
        (
            not lora.r and (bool(changed) or model.load_in_4bit),
            f"model={model.name} {', '.join([f'model.lora.{key}' for key in changed] or ['model.load_in_4bit'])}: "
            "needs an adapter; give model.lora.r=16",
        ),
        (not 0 < lora.alpha < float("inf"), f"model.lora.alpha={lora.alpha}: must be above 0"),
        (not 0 <= lora.dropout < 1, f"model.lora.dropout={lora.dropout}: must be in [0, 1)"),
        (
            lora.targets not in ("attention", "all-linear") and not listed,
            f"model.lora.targets={lora.targets}: use attention, all-linear, or a list of module names [q_proj,v_proj]",
        ),
    ]


def _private_checks(routing: RoutingConfig, model: ModelConfig) -> list[tuple[bool, str]]:
    own, kind = routing.private, f"routing.private.kind={routing.private.kind}"
    changed = replace(own, layers=0) != PrivateConfig()
    return [
        (own.layers < 0, f"routing.private.layers={own.layers}: must be 0 or more"),
        (
            not own.layers and changed,
            f"{kind} lr_factor={own.lr_factor}: routing={routing.name} has no private layers; use routing=mhp",
        ),
        (not 0 < own.lr_factor < float("inf"), f"routing.private.lr_factor={own.lr_factor}: must be above 0"),
        (
            own.kind.is_adapter and (not model.lora.r or model.lora.use_dora),
            f"{kind}: needs plain LoRA (model.lora.r={model.lora.r} use_dora={model.lora.use_dora}); use model=llm "
            "with r above 0 and use_dora=false",
        ),
        (
            model.load_in_4bit and own.layers > 0 and not own.kind.is_adapter,
            f"{kind} with model.load_in_4bit=true: copies of 4-bit blocks cannot be trained; use kind=lora",
        ),
    ]


def data_checks(d: DataConfig) -> list[tuple[bool, str]]:
    shares = d.validation_share + d.test_share
    return [
        (
            d.kind is Source.pairs and not d.path,
            "data=pairs: data.path is missing; give data.path=FILE (.parquet, .csv, .tsv or .jsonl)",
        ),
        (
            d.kind is Source.generated and d.path is not None,
            f"data.path={d.path}: generated pairs are read from no file; add data=pairs (data.kind=pairs)",
        ),
        (
            d.kind is Source.pairs and d.rows != DataConfig().rows,
            f"data.rows={d.rows}: is the size of generated data; leave it out with data=pairs",
        ),
        (
            not (d.validation_share > 0 and d.test_share > 0 and shares < 1),
            f"data.validation_share={d.validation_share} data.test_share={d.test_share}: "
            "both must be above 0 and their sum below 1",
        ),
        (d.seed < 0, f"data.seed={d.seed}: must be 0 or more"),
        (d.rows < 100, f"data.rows={d.rows}: the generator needs at least 100"),
        (not 0 <= d.noise < 0.5, f"data.noise={d.noise}: must be in [0, 0.5)"),
    ]


def mix_checks(mix: MixConfig) -> list[tuple[bool, str]]:
    return [
        (
            mix.kind is Mix.single and mix.task not in TASK_NAMES,
            f"task_mix.task={mix.task}: available: {', '.join(TASK_NAMES)}",
        ),
        (
            mix.temperature != 1 and mix.kind is not Mix.temperature,
            f"task_mix.temperature={mix.temperature}: task_mix={mix.name} knows none; add task_mix=temperature",
        ),
        (mix.temperature <= 0, f"task_mix.temperature={mix.temperature}: must be above 0"),
        (not 0 < mix.share <= 1, f"task_mix.share={mix.share}: must be above 0 and at most 1"),
        (mix.draws is not None and mix.draws < 1, f"task_mix.draws={mix.draws}: must be 1 or more"),
        (
            mix.draws is not None and mix.kind in (Mix.joint, Mix.single),
            f"task_mix.draws={mix.draws}: task_mix={mix.name} takes each row once; use temperature or equal",
        ),
    ]


def train_checks(train: TrainConfig) -> list[tuple[bool, str]]:
    weights = train.class_weights
    unknown = sorted(set(train.task_weights) - set(TASK_NAMES))
    return [
        (train.step_rows < 1, f"train.step_rows={train.step_rows}: must be 1 or more"),
        *(
            (getattr(train, key) < 1, f"train.{key}={getattr(train, key)}: must be 1 or more")
            for key in ("token_budget", "score_token_budget")
        ),
        *(
            (not 0 <= getattr(train, key) < float("inf"), f"train.{key}={getattr(train, key)}: must be 0 or more")
            for key in ("weight_decay", "clip", "patience")
        ),
        (not 0 <= train.warmup <= 1, f"train.warmup={train.warmup}: a share of all steps, 0 to 1"),
        (bool(unknown), f"train.task_weights: unknown task {unknown}; available: {', '.join(TASK_NAMES)}"),
        (
            weights is not None and len(weights) != 3,
            f"train.class_weights={weights}: one for each of 0, 1, 2",
        ),
        (
            any(not 0 <= one < float("inf") for one in [*(weights or []), *train.task_weights.values()]),
            f"train.class_weights={weights} train.task_weights={train.task_weights}: each must be 0 or more",
        ),
    ]


def trainer_checks(trainer: TrainerConfig) -> list[tuple[bool, str]]:
    return [
        (
            trainer.max_epochs < 1 and trainer.max_steps < 1,
            f"trainer.max_epochs={trainer.max_epochs} max_steps={trainer.max_steps}: the rate falls towards an "
            "end; give one of them, 1 or more (-1: no limit of its own)",
        ),
        (
            trainer.precision not in (None, *PRECISIONS),
            f"trainer.precision={trainer.precision}: use {', '.join(PRECISIONS)} (16-mixed scales its gradients, "
            "so that train.clip would cut them all)",
        ),
        (
            trainer.gradient_clip_val is not None,
            f"trainer.gradient_clip_val={trainer.gradient_clip_val}: our step clips; use train.clip",
        ),
        (
            trainer.accumulate_grad_batches is not None,
            f"trainer.accumulate_grad_batches={trainer.accumulate_grad_batches}: our step cuts its rows "
            "under train.token_budget; use train.step_rows for a larger step",
        ),
        *_limits(trainer),
        *device_checks(trainer),
    ]


def _limits(trainer: TrainerConfig) -> list[tuple[bool, str]]:
    return [
        *((getattr(trainer, key) == 0, f"trainer.{key}=0: must be above 0, or left out") for key in COUNTS),
        *(
            (not _amount(getattr(trainer, key)), f"trainer.{key}={getattr(trainer, key)}: give a number, or a share")
            for key in LIMITS
        ),
        (
            trainer.max_time is not None and not DURATION.fullmatch(trainer.max_time),
            f"trainer.max_time={trainer.max_time}: give days, hours, minutes and seconds, 00:12:00:00",
        ),
    ]


def _amount(value: Any) -> bool:
    """Whether it is null, a number of batches or a share of them."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or (plain and (0 <= value <= 1 or (value > 1 and value == int(value))))


def device_checks(trainer: TrainerConfig) -> list[tuple[bool, str]]:
    """What is wrong with accelerator or devices, and what to give instead."""
    return [
        (
            not _countable(trainer.devices),
            f"trainer.devices={trainer.devices}: give the number of one cell's devices, 1 or more, auto for all there "
            "are, or a list of different GPU numbers, [0,1]",
        ),
        (
            isinstance(trainer.devices, list) and trainer.accelerator == "cpu",
            f"trainer.devices={trainer.devices} trainer.accelerator=cpu: a list names GPUs; give a number",
        ),
        (
            trainer.accelerator not in ACCELERATORS,
            f"trainer.accelerator={trainer.accelerator}: use {', '.join(ACCELERATORS)}",
        ),
    ]


def _countable(devices: object) -> bool:
    """Whether it says how many devices a cell has: 4, "4", auto, -1 (all) or [0,1]."""
    if isinstance(devices, list):
        whole = all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in devices)
        return whole and bool(devices) and len(set(devices)) == len(devices)
    text = str(devices)
    return text in ALL or (text.isdecimal() and int(text) > 0)
