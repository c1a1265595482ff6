"""Finished cells → who votes together: the mhp cells of one seed, its prefix cells, all of it, the seeds of one cell.

mhp, joint, seed 0: ce mhp, llm mhp, llm_b mhp (the paper's vote: three backbones, one routing)
"""

from dataclasses import dataclass

import numpy as np

from relevance.records import CellRecord
from relevance.report.leaders import whole
from relevance.report.matrix import JOINT, Matrix

VOTED = ("mhp", "prefix")  # routings whose cells vote among themselves
ALL, SEEDS, ASKED = "all", "seeds", "asked"  # ASKED: by name, on the command line
LEAST = 2


@dataclass(frozen=True)
class Group:
    """Who votes together."""

    kind: str  # one of VOTED, ALL or SEEDS
    task_mix: str
    variant: str
    seed: int  # of all members; of SEEDS the lowest
    members: tuple[CellRecord, ...]
    answers: tuple[np.ndarray, ...]  # of each member [N]

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(cell.model for cell in self.members))


def groups(matrix: Matrix) -> list[Group]:
    """Every group of at least two cells that were asked all rows: of joint cells first, by kind, by seed."""
    rows = whole(matrix)
    found: list[Group] = []
    kinds = sorted({row.labels[2:] for row in rows}, key=lambda labels: (labels[0] != JOINT, labels))
    for mix, variant in kinds:
        here = [row for row in rows if row.labels[2:] == (mix, variant)]
        for kind in (*VOTED, ALL):
            own = [row for row in here if kind in (ALL, row.labels[1])]
            for seed in sorted({seed for row in own for seed in row.seeds}):
                found += _group(kind, variant, [one for row in own for one in row.done if one[0].seed == seed])
        for row in here:
            found += _group(SEEDS, variant, row.done)
    return found


def _group(kind: str, variant: str, done: list[tuple[CellRecord, np.ndarray]]) -> list[Group]:
    if len(done) < LEAST:
        return []
    cells, answers = zip(*done, strict=True)
    return [Group(kind, cells[0].task_mix, variant, cells[0].seed, cells, answers)]


def folded(found: list[Group]) -> list[list[Group]]:
    """Groups that differ in the seed alone, together; each SEEDS group by itself."""
    same: dict[tuple, list[Group]] = {}
    for group in found:
        members = tuple((cell.model, cell.routing) for cell in group.members)
        same.setdefault((group.kind, group.task_mix, group.variant, members), []).append(group)
    return list(same.values())
