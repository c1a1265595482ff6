"""The cells of both tables, each checked once: architectures × routings, then architectures × kinds under mhp.

["qwen3"], ["mh", "mhp"], ["inserted", "top"] → 3 cells: qwen3 mh, qwen3 mhp inserted (in both tables), qwen3 mhp top
"""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from relevance.config import PrivateKind
from tools.survey.architectures import small
from tools.survey.cell import Cell, by_kind, by_routing
from tools.survey.check import STEPS, Outcome, check
from tools.survey.fit import pairs_table


@dataclass(frozen=True)
class Results:
    """What came of every cell, and how long it took."""

    by_routing: tuple[Cell, ...]
    by_kind: tuple[Cell, ...]
    outcomes: dict[Cell, Outcome]
    seconds: float

    @property
    def failed(self) -> list[Cell]:
        return [cell for cell, outcome in self.outcomes.items() if outcome.reason]

    @property
    def counted(self) -> str:
        """ "140 cells: 140 fit, 140 save, 139 reload, 139 give equal logits, 125 export, 14 cannot; 1 failed"."""
        words = ("fit", "save", "reload", "give equal logits", "export")
        done = [sum(outcome.done > step for outcome in self.outcomes.values()) for step in range(len(STEPS))]
        refused = sum(bool(outcome.refused) for outcome in self.outcomes.values())
        done[-1] -= refused
        steps = ", ".join(f"{n} {word}" for n, word in zip(done, words, strict=True))
        return f"{len(self.outcomes)} cells: {steps}, {refused} cannot; {len(self.failed)} failed"


def check_cells(architectures: list[str], routings: list[str], kinds: list[PrivateKind], steps: int) -> Results:
    """Check every cell on one thread, with a bar on a terminal; files go to a temporary folder."""
    started = time.perf_counter()
    first = by_routing(architectures, routings)
    second = [cell for cell in by_kind(architectures, kinds) if cell.exists]
    cells = list(dict.fromkeys([*first, *second]))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # on networks so small two are slower
    try:
        with tempfile.TemporaryDirectory() as folder:
            outcomes = dict(_checked(cells, Path(folder), steps))
    finally:
        torch.set_num_threads(threads)
    return Results(tuple(first), tuple(second), outcomes, time.perf_counter() - started)


def _checked(cells: list[Cell], folder: Path, steps: int) -> Iterator[tuple[Cell, Outcome]]:
    rows, backbones = pairs_table(), dict[str, Path]()
    for number, cell in enumerate(tqdm(cells, unit="cell", disable=None)):
        kind = cell.architecture
        if kind not in backbones:
            backbones[kind] = small(kind, folder / kind)
        yield cell, check(cell, backbones[kind], rows, steps, folder / f"cell-{number}")
