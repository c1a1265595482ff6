"""The words of `derive` → the table on disk, and what a person should know of it on the screen."""

from pathlib import Path

from relevance.commands import aligned
from relevance.derive.derive import derive
from relevance.derive.sources import options
from relevance.tasks import LABELS


def run(words: list[str]) -> None:
    asked = options(words)
    made = derive(asked)
    print(f"{asked.output}: {made.rows:,} pairs\n")
    print(aligned([("input", "rows"), *((name, f"{rows:,}") for name, rows in made.inputs.items())], 1))
    if made.faults:
        print()
        told = [(f["input"], f["problem"], "kept" if f["kept"] else "set aside", f"{f['rows']:,}") for f in made.faults]
        print(aligned([("at fault", "", "", "rows"), *told], 3))
    print("\n" + aligned(made.ledger.lines(), 2) + "\n")
    body = [(task, split, f"{sum(n):,}", *(f"{one:,}" for one in n)) for task, split, *n in made.splits]
    print(aligned([("task", "split", "rows", *LABELS), *body], 2))
