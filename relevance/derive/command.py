"""The words of `derive` → the table on disk, and what a person should know of it on the screen."""

from collections.abc import Iterator
from pathlib import Path

from relevance.commands import aligned
from relevance.tasks import LABELS
from relevance.whole import sibling

LEGEND = (
    "settled: the same two texts once more, or outvoted; apart: entities of two splits; similar: the label doubtful; "
    "capped: an entity had enough; balanced: as tasks.* ask"
)


def derive(words: list[str]) -> None:
    """Write the pairs that judgements, items and a tree of types give, and print how they came about."""
    from relevance.derive.derive import ASIDE, RECORD
    from relevance.derive.derive import derive as make
    from relevance.derive.sources import options

    asked = options(words)
    made = make(asked)
    output = Path(asked.output or "")
    print(f"{output}: {made.rows:,} pairs; how they came about is in {sibling(output, RECORD)}\n")
    print(aligned([("input", "rows"), *((name, f"{rows:,}") for name, rows in made.inputs.items())], 1))
    if made.faults:
        told = [(f["input"], f["problem"], "kept" if f["kept"] else "set aside", f"{f['rows']:,}") for f in made.faults]
        print("\n" + aligned([("at fault", "", "", "rows"), *told], 3) + f"\nlisted in {sibling(output, ASIDE)}")
    print("\n" + aligned(made.ledger.lines(), 2) + f"\n{LEGEND}")
    print(*_notes(made), sep="\n", end="\n\n")
    body = [
        (task, split, f"{sum(n):,}", *(f"{one:,}" for one in n))
        for task, splits in made.splits.items()
        for split, n in splits.items()
    ]
    print(aligned([("task", "split", "rows", *LABELS), *body], 2))


def _notes(made) -> Iterator[str]:
    from relevance.audit.tables import agreed

    n, _, equal, kappa, interval = agreed(made.agreement)
    if made.agreement["n"]:
        yield f"judged again: {n} times, {equal} % alike; Cohen's kappa, quadratic weights: {kappa} ({interval})"
    for task, one in made.ledger.made.items():
        if one.differing:
            yield f"{task}: {one.differing:,} pairs had more than one label"
        if one.alike:
            yield f"{task}: {one.alike:,} rows with two equal texts left out"
    reasons = dict.fromkeys(made.idle.values())
    for reason in reasons:
        yield f"not used, {reason}: {', '.join(name for name, why in made.idle.items() if why == reason)}"
