"""A typed config → the same config, or one error that names every setting that cannot be. Imports no torch.

task_mix=temperature task_mix.temperature=0 → "task_mix.temperature=0: must be above 0"
"""

from relevance.checks.model import model_checks
from relevance.checks.pairs import data_checks, mix_checks
from relevance.checks.training import train_checks, trainer_checks
from relevance.config import NAMES, Config, DataConfig, Match
from relevance.errors import UserError


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
