"""Where pairs come from and at what rates: settings → (wrong, message) of each check."""

from relevance.config import DataConfig, Mix, MixConfig, Source
from relevance.tasks import TASK_NAMES


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
