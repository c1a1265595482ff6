"""Which rows each step of an epoch takes: a function of the seed and the epoch's number alone.

An epoch takes each row once (joint), those of one task (single), or N rows, of a task of n in proportion to n^(1/T).
"""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from relevance.config import Mix, MixConfig
from relevance.tasks import TASK_NAMES


class Steps(Sampler[np.ndarray]):
    """The row positions of each step of an epoch: a function of (seed, epoch) alone."""

    def __init__(self, rows: np.ndarray, task: np.ndarray, mix: MixConfig, step_rows: int, seed: int):
        self.rows, self.task, self.mix = rows, task[rows], mix
        self.step_rows, self.seed, self.number = step_rows, seed, 0
        self.begun = (0, 0)  # the epoch that training resumes in, the steps done of it
        self.count = -(-len(epoch_rows(self.task, mix, seed, 0)) // step_rows)

    def set_epoch(self, number: int) -> None:
        """Lightning calls this before each epoch."""
        self.number = number

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[np.ndarray]:
        order = self.rows[epoch_rows(self.task, self.mix, self.seed, self.number)]
        epoch_begun, done = self.begun
        first = done * self.step_rows if self.number == epoch_begun else 0
        for start in range(first, len(order), self.step_rows):
            yield order[start : start + self.step_rows]


def epoch_rows(task: np.ndarray, mix: MixConfig, seed: int, number: int) -> np.ndarray:
    """Row positions of epoch `number` in their order; the same for the same (seed, number), whatever came before."""
    random = np.random.default_rng([seed, number])
    rows = members(task, mix)
    if mix.kind in (Mix.joint, Mix.single):
        return random.permutation(rows)
    counts = np.bincount(task)
    draws = _whole(draw_shares(counts, mix) * (mix.draws or len(task)))
    drawn = [_cycle(np.flatnonzero(task == k), n, random) for k, n in enumerate(draws)]
    return random.permutation(np.concatenate(drawn))


def members(task: np.ndarray, mix: MixConfig) -> np.ndarray:
    """Positions of the rows the mix knows at all."""
    return np.flatnonzero(task == TASK_NAMES.index(mix.task)) if mix.kind is Mix.single else np.arange(len(task))


def draw_shares(counts: np.ndarray, mix: MixConfig) -> np.ndarray:
    """Share of an epoch's draws for each task [K], from its number of rows [K]; sums to 1."""
    power = 0.0 if mix.kind is Mix.equal else 1.0 / mix.temperature
    raised = np.where(counts > 0, (counts / max(1, counts.max())) ** power, 0.0)  # scaled: no power overflows
    return raised / raised.sum()


def _whole(shares: np.ndarray) -> np.ndarray:
    """Whole numbers with the same sum: what is left over goes to the largest remainders."""
    counts = np.floor(shares).astype(int)
    left_over = round(shares.sum()) - counts.sum()
    counts[np.argsort(counts - shares, kind="stable")[:left_over]] += 1
    return counts


def _cycle(rows: np.ndarray, draws: int, random: np.random.Generator) -> np.ndarray:
    """`draws` of `rows`: all of them before any of them again."""
    if not draws:
        return rows[:0]
    turns = -(-draws // len(rows))
    return np.concatenate([random.permutation(rows) for _ in range(turns)])[:draws]


def portion(task: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Positions of `share` of the rows of each task [N], ascending; a smaller share is a part of every larger one."""
    if share == 1:
        return np.arange(len(task))
    order = np.random.default_rng(seed).permutation(len(task))
    parts = [order[task[order] == k] for k in np.unique(task)]
    return np.sort(np.concatenate([part[: max(1, round(share * len(part)))] for part in parts]))
