"""What came of the cells → multirun_reports/backbones.md, two tables and what failed; another section of it is kept.

| qwen3 | llm | mhp | 1.10 → 0.52 | yes | yes | 0 | 0 / 160,064 | 2,048 / 2,048 | ... |
"""

import math
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from relevance.atomic_io import write_text
from relevance.cell_id import git_commit, package_versions
from relevance.pages.blocks import NONE, Table, count
from relevance.pages.render import block
from tools.survey.cell import Cell
from tools.survey.check import Outcome
from tools.survey.work import Results

REAL_SIZES = "## Real sizes"  # made by tools.survey.speed
PARTS = {"trunk": ("trunk",), "adapters": ("adapters",), "private": ("private", "gates"), "heads": ("heads",)}
CHECKS = ["loss in nats", "saves", "reloads", "logits differ by", "exported by"]
INTRODUCTION = (
    "Backbones of random weights at small size (width 32, 3 blocks), made from the config classes of transformers. A "
    "cell fits when the loss over its 160 training pairs falls; logits are compared over a mixed batch of all tasks, "
    "between the trained network and the one read back, and over three pairs between it and one task's slice, exported "
    "as a plain Hugging Face folder (its LoRA merged). Parameters are trainable / total."
)


def page(results: Results, command: str) -> str:
    """The text of the file without its section on real sizes."""
    routings = [([cell.routing], cell) for cell in results.by_routing]
    kinds = [([cell.kind.value, results.outcomes[cell].start], cell) for cell in results.by_kind]
    blocks = [
        "# Backbones under every routing",
        f"    {command}",
        f"{INTRODUCTION} Made on {made()}, in {results.seconds:,.0f} s on one thread.",
        f"{results.counted}.",
        block([*(_failure(cell, results.outcomes[cell]) for cell in results.failed), *_refusals(results)]),
        "## Routings",
        _table(routings, ["routing"], results),
        "## Kinds of private layers",
        "Under `mhp`, two layers each; start says what makes the network answer, at first, as it would without them.",
        _table(kinds, ["kind", "start"], results),
    ]
    return "\n\n".join(text for text in blocks if text) + "\n\n"


def made() -> str:
    """ "2026-11-24, commit 6965684c, torch 2.13.0, ..."."""
    used = ", ".join(f"{name} {package_versions()[name]}" for name in ("torch", "transformers", "peft", "lightning"))
    changed = " with uncommitted changes" if git_commit()["git_dirty"] == "true" else ""
    return f"{datetime.now(UTC):%Y-%m-%d}, commit {git_commit()['git_commit'][:8] or 'unknown'}{changed}, {used}"


def sections(path: Path) -> tuple[str, str]:
    """An earlier file in two: what `page` wrote, and the section on real sizes; "" for what is not there."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    first, heading, second = text.partition(REAL_SIZES)
    return first, heading + second


def write(path: Path, text: str) -> None:
    """Write whole or not at all."""
    write_text(path, text.rstrip("\n") + "\n")


def _table(lines: list[tuple[list[str], Cell]], more: list[str], results: Results) -> str:
    header = ["architecture", "family", *more, *CHECKS, *PARTS]
    body = []
    for words, cell in lines:
        outcome = results.outcomes[cell]
        sizes = [_size(outcome, parts) for parts in PARTS.values()]
        named = [cell.architecture, cell.family.value, *(word or NONE for word in words)]
        body.append([*named, *_checks(outcome), *sizes])
    return block(Table(header, body, left=2 + len(more)))


def _checks(outcome: Outcome) -> list[str]:
    """A cell for each step; the one that failed says so, those behind it were not tried."""
    shown = [
        f"{outcome.before:.3f} → {outcome.after:.3f}",
        f"{outcome.size / 1000:,.0f} kB",
        "yes",
        f"{outcome.difference:.1g}",
        "refused" if outcome.refused else f"{outcome.exported:.1g}",
    ]
    rest = ["failed", NONE, NONE, NONE, NONE] if outcome.reason else []
    return [*shown[: outcome.done], *rest[: len(shown) - outcome.done]]


def _size(outcome: Outcome, parts: tuple[str, ...]) -> str:
    trained, total = (sum(outcome.sizes.get(part, (0, 0))[at] for part in parts) for at in range(2))
    return f"{count(trained)} / {count(total)}" if total else NONE


def _refusals(results: Results) -> list[str]:
    """Each reason why cells cannot be exported, and how many have it."""
    reasons = Counter(outcome.refused for outcome in results.outcomes.values() if outcome.refused)
    return [f"export refused ({n} of {len(results.outcomes)} cells): {reason}" for reason, n in reasons.items()]


def _failure(cell: Cell, outcome: Outcome) -> str:
    loss = "" if math.isnan(outcome.after) else f" (loss {outcome.before:.3f} → {outcome.after:.3f})"
    return f"{cell.architecture} {cell.routing} {cell.kind} failed{loss}: {outcome.reason}"
