"""The commands of relevance.data: from what a search team has to a table of pairs, and how far to trust it.

python -m relevance.data derive judgements=judged.csv items=items.csv taxonomy=tree.csv output=pairs.parquet
python -m relevance.data validate data.path=pairs.parquet
python -m relevance.data audit data.path=pairs.parquet
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from relevance.audit.commands import AuditOptions, Limits, SampleOptions, audit, sample
from relevance.checks import validate_data
from relevance.cli import counts_text, help_text, parse, run_command
from relevance.config import DataConfig, Source
from relevance.derive.commands import DeriveOptions, derive
from relevance.errors import UserError
from relevance.shop.commands import GenerateOptions, ShopOptions, generate, shop
from relevance.tasks import ONE_LABEL, SPLITS, TASK_NAMES

USAGE = """usage: python -m relevance.data COMMAND [key=value ...]

  derive    judgements of query and item, a catalogue and a tree of types become pairs of up to six tasks:
            derive judgements=FILE items=FILE [taxonomy=FILE] output=FILE [source=esci|wands|chorus|bestbuy|shop]
  validate  check a file of pairs and count what it holds: validate data.path=FILE [limits.left=SHARE]
  audit     what a file of pairs holds, where it leaks, how far to trust it: audit data.path=FILE [output=FOLDER]
  sample    pairs for people to grade blindly, then what they say of each rule and label:
            sample data.path=FILE output=FILE.csv [n=20 seed=0]; sample data.path=FILE graded=FILE.csv or [A.csv,B.csv]
  generate  write generated pairs as parquet: generate output=FILE [data.rows=N data.seed=N data.noise=SHARE]
  shop      write the judgements, items and taxonomy of a generated shop: shop output=FOLDER [judgements=N ...]

COMMAND --help lists its keys"""


@dataclass
class ValidateOptions:
    data: DataConfig = field(default_factory=lambda: DataConfig(kind=Source.pairs))
    limits: Limits = field(default_factory=Limits)  # of what training may have seen of the test rows
    outputs: str = "outputs"  # rows.parquet and quarantine.csv go below it


def validate(words: list[str]) -> None:
    """Print digest, counts and notes of a table of pairs; raises UserError with every bad row."""
    options = parse(ValidateOptions, words)
    limited = options.limits.shares()
    from relevance.data.table import prepare_rows, task_counts

    rows = prepare_rows(validate_data(options.data), Path(options.outputs))
    warnings = [note for note in rows.notes if note.startswith(ONE_LABEL)]
    print(*(f"{warning}\n" for warning in warnings), sep="", end="")
    print(f"digest {rows.digest}\nrows   {len(rows.table):,} in {rows.path}\n")
    tasks = zip(TASK_NAMES, task_counts(rows.table).tolist(), strict=True)
    counts = [(task, *line) for task, n in tasks if any(map(any, n)) for line in zip(SPLITS, n, strict=True)]
    print(counts_text(counts), "", *(note for note in rows.notes if note not in warnings), sep="\n")
    if limited:
        from relevance.audit.counts import hold_limits  # in duckdb, slow to import

        hold_limits(options.limits, rows, options.data.path or "generated pairs")


COMMANDS: dict[str, tuple[Callable[[list[str]], None], type]] = {
    "derive": (derive, DeriveOptions),
    "validate": (validate, ValidateOptions),
    "audit": (audit, AuditOptions),
    "sample": (sample, SampleOptions),
    "generate": (generate, GenerateOptions),
    "shop": (shop, ShopOptions),
}


def command(words: list[str]) -> None:
    """Run `words`, the command line after the module's name."""
    if not words or words[0] in ("--help", "-h"):
        print(USAGE)
    elif words[0] not in COMMANDS:
        raise UserError(f"unknown command {words[0]!r}; available: {', '.join(COMMANDS)}")
    elif {"--help", "-h"} & set(words[1:]):
        print(help_text(f"usage: python -m relevance.data {words[0]} [key=value ...]", COMMANDS[words[0]][1]))
    else:
        COMMANDS[words[0]][0](words[1:])


if __name__ == "__main__":
    run_command(lambda: command(sys.argv[1:]))
