"""A typed config → the same config, or one error that names every setting that cannot be. Imports no torch.

Bounds of single settings stand with their fields in relevance.config. Here are the checks of several settings, and of
those that may hold values of several types.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from itertools import chain
from typing import Any

from relevance.config import (
    ALL,
    NAMES,
    Attention,
    Config,
    DataConfig,
    Family,
    LoraConfig,
    Match,
    Mix,
    MixConfig,
    ModelConfig,
    Pooling,
    PrivateConfig,
    PrivateKind,
    RoutingConfig,
    Source,
    TrainConfig,
    TrainerConfig,
    allowed,
    allows,
)
from relevance.errors import UserError
from relevance.tasks import TASK_NAMES

DURATION = re.compile(r"\d+:\d{2}:\d{2}:\d{2}")
OF_FILES = "columns task grades header delimiter quotes encoding unpacked ratio on_bad_row".split()
OF_GENERATED = {"rows": "size", "noise": "noise"}
OF_LAYERS = ("private_lr", "gate_lr")  # rates of private layers
LIMITS = ("limit_train_batches", "limit_val_batches", "val_check_interval")


def validate(config: Config, rates: Mapping[str, float | None] | None = None) -> Config:
    """The same config, or one UserError that names every setting that cannot be, or that has no effect.

    `rates` are those of private layers that the command gives itself, by the name of their key in model.
    """
    _raise(
        bounds(config),
        _cell(config),
        _adapters(config.model),
        _reading(config.model),
        _private(config.routing, config.model),
        _idle(config, rates or {}),
        _data(config.data),
        _mix(config.task_mix),
        _train(config.train),
        _trainer(config.trainer),
    )
    return config


def validate_data(data: DataConfig) -> DataConfig:
    """The same for the part that says where pairs come from."""
    _raise(bounds(data, "data."), _data(data))
    return data


def _raise(*problems: Iterator[str]) -> None:
    if lines := [f"  {problem}" for problem in chain(*problems)]:
        raise UserError("\n".join(["config:", *lines]))


def bounds(options: Any, path: str = "") -> Iterator[str]:
    """A message for each field, of nested dataclasses too, whose value is not within its bounds."""
    for field in fields(options):
        value = getattr(options, field.name)
        if is_dataclass(value):
            yield from bounds(value, f"{path}{field.name}.")
        elif not allows(field.metadata, value):
            null = f", or null ({field.metadata['null']})" if field.metadata["null"] else ""
            yield f"{path}{field.name}={value}: must be {allowed(field.metadata)}{null}"


def _cell(c: Config) -> Iterator[str]:
    if c.name and len(c.name) > NAMES:
        yield f"name={c.name[:40]}…: has {len(c.name):,} characters; MLflow keeps {NAMES}, give fewer"
    limits = c.trainer.limit_train_batches, c.trainer.max_time
    if c.match is not Match.none and limits != (None, None):
        why = "a matched budget is counted in epochs or steps; leave these out"
        yield f"match={c.match} trainer.limit_train_batches={limits[0]} max_time={limits[1]}: {why}"
    if None not in (c.tune.trial, c.tune.sweep):
        yield f"tune.trial={c.tune.trial} tune.sweep={c.tune.sweep}: a trial has its own rates; leave one of them out"
    if not c.experiment.strip():
        yield "experiment: is empty; name the MLflow experiment"
    if not c.model.backbone:
        members = ", ".join(sorted(name for name, value in c.backbones.items() if value))
        remedy = "choose another group (backbones=small) or give model.backbone=<hub id or local folder>"
        yield f"model={c.model.name}: this backbones group has no member for it (it has {members}); {remedy}"


def _adapters(model: ModelConfig) -> Iterator[str]:
    lora, targets = model.lora, model.lora.targets
    if model.tuning not in (None, lora.tuning):
        why = f"a rank of {lora.r} is tuning={lora.tuning} (routing=mh_wide has rank 0)"
        yield f"model.tuning={model.tuning} model.lora.r={lora.r}: {why}; leave one of them out"
    if None not in (model.head_lr, model.head_step):
        yield f"model.head_lr={model.head_lr} model.head_step={model.head_step}: two ways to give one rate; give one"
    changed = [key for key, value in asdict(LoraConfig()).items() if key != "r" and value != getattr(lora, key)]
    if not lora.r and (changed or model.load_in_4bit):
        keys = ", ".join(f"model.lora.{key}" for key in changed) or "model.load_in_4bit"
        yield f"model={model.name} {keys}: needs an adapter; give model.lora.r=16 or model.tuning=lora"
    names = isinstance(targets, list) and targets != [] and all(isinstance(name, str) for name in targets)
    if targets not in ("attention", "all-linear") and not names:
        yield f"model.lora.targets={targets}: use attention, all-linear, or a list of module names [q_proj,v_proj]"


def _reading(model: ModelConfig) -> Iterator[str]:
    both = model.attention is Attention.bidirectional
    if model.family is Family.ce and model.attention is Attention.causal:
        why = "transformers has no such mask for an encoder; the decoder of its pair has, model=llm"
        yield f"model.attention=causal model={model.name}: {why}"
    if model.family is Family.llm and model.pooling is Pooling.first and not both:
        why = "under causal attention the first state is of the first token alone"
        yield f"model.pooling=first: {why}; add model.attention=bidirectional, or use model.pooling=mean"


def _private(routing: RoutingConfig, model: ModelConfig) -> Iterator[str]:
    private, lora, kind = routing.private, model.lora, f"routing.private.kind={routing.private.kind}"
    if not private.layers and replace(private, layers=0) != PrivateConfig():
        yield f"{kind} lr_factor={private.lr_factor}: routing={routing.name} has no private layers; use routing=mhp"
    if private.kind.is_adapter and (not lora.r or lora.use_dora):
        remedy = "use model.tuning=lora with use_dora=false"
        yield f"{kind}: needs plain LoRA (model.lora.r={lora.r} use_dora={lora.use_dora}); {remedy}"
    if routing.task_matrix and (not lora.r or lora.use_dora):
        remedy = "use model=llm, or give model.lora.r=16 and use_dora=false"
        why = f"its task_matrix stands in plain LoRA (model.lora.r={lora.r} use_dora={lora.use_dora})"
        yield f"routing={routing.name}: {why}; {remedy}"
    several = {"private.layers": private.layers, "prompt.k": routing.prompt.k, "task_matrix": routing.task_matrix}
    if len(chosen := [f"routing.{key}={value}" for key, value in several.items() if value]) > 1:
        yield f"{' '.join(chosen)}: one of them at a time; leave out all but one"
    if model.load_in_4bit and private.layers > 0 and not private.kind.is_adapter:
        yield f"{kind} with model.load_in_4bit=true: copies of 4-bit blocks cannot be trained; use kind=lora"


def _idle(c: Config, rates: Mapping[str, float | None]) -> Iterator[str]:
    """Settings that cannot change this cell's numbers, and would be a part of its name."""
    private, where = c.routing.private, f"routing={c.routing.name} routing.private.kind={c.routing.private.kind}"
    usual = {"private_lr": [*PrivateKind], "gate_lr": [PrivateKind.inserted, PrivateKind.shared]}
    for key, kinds in usual.items():
        idle = not private.layers or private.kind.is_adapter or private.kind not in kinds
        if rates.get(key) is not None and idle and not (key == "private_lr" and c.routing.prompt.k):
            yield f"model.{key}={rates[key]}: nothing of {where} learns at it; use routing=mhp, or leave it out"
    if c.match is not Match.none and c.train.patience != TrainConfig().patience:
        yield f"train.patience={c.train.patience}: under match={c.match} no cell stops early; leave one of them out"
    if c.task_mix.kind is Mix.single and c.train.task_weights:
        yield f"train.task_weights: task_mix={c.task_mix.name} has one task, which no weight changes; leave them out"


def _data(d: DataConfig) -> Iterator[str]:
    pairs = d.kind is Source.pairs
    if pairs and not d.path:
        yield "data=pairs: data.path is missing; give data.path=FILE (.parquet, .csv, .tsv or .jsonl)"
    if not pairs and d.path is not None:
        yield f"data.path={d.path}: generated pairs are read from no file; add data=pairs (data.kind=pairs)"
    unset = DataConfig()
    for key, what in OF_GENERATED.items():
        if pairs and getattr(d, key) != getattr(unset, key):
            yield f"data.{key}={getattr(d, key)}: is the {what} of generated data; leave it out with data=pairs"
    for key in OF_FILES:
        if not pairs and getattr(d, key) != getattr(unset, key):
            yield f"data.{key}={getattr(d, key)}: is of a file of pairs; add data=pairs"
    yield from form_problems("data.", d.header, d.delimiter)
    if d.validation_share + d.test_share >= 1:
        shares = f"data.validation_share={d.validation_share} data.test_share={d.test_share}"
        yield f"{shares}: nothing is left to train on; give shares with their sum below 1"


def form_problems(setting: str, header: list[str], delimiter: str | None) -> Iterator[str]:
    """What cannot be of the settings of a delimited file, which stand behind `setting`."""
    if twice := [name for name in dict.fromkeys(header) if not name.strip() or header.count(name) > 1]:
        yield f"{setting}header={header}: {', '.join(map(repr, twice))}: give each column a name of its own"
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '\r\n"'):
        yield f"{setting}delimiter={delimiter!r}: must be one character; a tab is '{setting}delimiter=\"\\t\"'"


def _mix(mix: MixConfig) -> Iterator[str]:
    if mix.kind is Mix.single and mix.task not in TASK_NAMES:
        yield f"task_mix.task={mix.task}: available: {', '.join(TASK_NAMES)}"
    if mix.task is not None and mix.kind is not Mix.single:
        yield f"task_mix.task={mix.task}: task_mix={mix.name} trains every task; use task_mix=single_{mix.task}"
    if mix.temperature != 1 and mix.kind is not Mix.temperature:
        yield f"task_mix.temperature={mix.temperature}: task_mix={mix.name} knows none; add task_mix=temperature"
    if mix.draws is not None and mix.kind in (Mix.joint, Mix.single):
        yield f"task_mix.draws={mix.draws}: task_mix={mix.name} takes each row once; use temperature or equal"


def _train(train: TrainConfig) -> Iterator[str]:
    weights = train.class_weights
    if unknown := sorted(set(train.task_weights) - set(TASK_NAMES)):
        yield f"train.task_weights: unknown task {unknown}; available: {', '.join(TASK_NAMES)}"
    if weights is not None and len(weights) != 3:
        yield f"train.class_weights={weights}: one for each of 0, 1, 2"


def _trainer(t: TrainerConfig) -> Iterator[str]:
    if t.max_epochs < 1 and t.max_steps < 1:
        why = "the rate falls towards an end; give one of them, 1 or more (-1: no limit of its own)"
        yield f"trainer.max_epochs={t.max_epochs} max_steps={t.max_steps}: {why}"
    if t.gradient_clip_val is not None:
        yield f"trainer.gradient_clip_val={t.gradient_clip_val}: our step clips; use train.clip"
    if t.accumulate_grad_batches is not None:
        why = "our step cuts its rows under train.token_budget; use train.step_rows for a larger step"
        yield f"trainer.accumulate_grad_batches={t.accumulate_grad_batches}: {why}"
    for key in LIMITS:
        if not _is_amount(getattr(t, key)):
            yield f"trainer.{key}={getattr(t, key)}: give a number, or a share"
    if t.max_time is not None and not DURATION.fullmatch(t.max_time):
        yield f"trainer.max_time={t.max_time}: give days, hours, minutes and seconds, 00:12:00:00"
    if not _is_devices(t.devices):
        remedy = "1 or more, auto for all there are, or a list of different GPU numbers, [0,1]"
        yield f"trainer.devices={t.devices}: give the number of one cell's devices, {remedy}"
    if isinstance(t.devices, list) and t.accelerator == "cpu":
        yield f"trainer.devices={t.devices} trainer.accelerator=cpu: a list names GPUs; give a number"


def _is_amount(value: Any) -> bool:
    """Whether it is null, a number of batches or a share of them."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or (plain and (0 <= value <= 1 or (value > 1 and value == int(value))))


def _is_devices(devices: object) -> bool:
    """Whether it says how many devices a cell has: 4, "4", auto, -1 (all) or [0,1]."""
    if isinstance(devices, list):
        whole = all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in devices)
        return whole and bool(devices) and len(set(devices)) == len(devices)
    text = str(devices)
    return text in ALL or (text.isdecimal() and int(text) > 0)
