"""How long and on what a cell may train: settings → (wrong, message) of each check."""

import re

from relevance.checks.devices import device_checks
from relevance.config import HALF, TrainConfig, TrainerConfig
from relevance.tasks import TASK_NAMES

PRECISIONS = ("32-true", "bf16-mixed", HALF)
COUNTS = ("limit_train_batches", "val_check_interval", "check_val_every_n_epoch")  # of 0 nothing comes
LIMITS = (*COUNTS, "limit_val_batches")
LENGTH = re.compile(r"\d+:\d{2}:\d{2}:\d{2}")


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


def _amount(value: object) -> bool:
    """Whether it is null, a number of batches or a share of them."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or (plain and (0 <= value <= 1 or (value > 1 and value == int(value))))


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
            trainer.max_time is not None and not LENGTH.fullmatch(trainer.max_time),
            f"trainer.max_time={trainer.max_time}: give days, hours, minutes and seconds, 00:12:00:00",
        ),
    ]
