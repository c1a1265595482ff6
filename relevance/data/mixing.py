"""Which rows an epoch holds, in which order: task index of each training row [N] → row positions of the epoch.

joint: each row once.  temperature, equal: N draws, a task of n rows in proportion to n^(1/T); T → ∞ is equal.
single: the rows of one task, each once.
"""

import numpy as np

from relevance.config import Mix, MixConfig
from relevance.tasks import TASK_INDEX


def members(task: np.ndarray, mix: MixConfig) -> np.ndarray:
    """Positions of the rows the mix knows at all."""
    return np.flatnonzero(task == TASK_INDEX[mix.task]) if mix.kind is Mix.single else np.arange(len(task))


def portion(task: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Positions of `share` of the rows of each task [N], ascending; a smaller share is a part of every larger one.

    A task that is there keeps a row at least. The same for the same seed, whatever else an experiment changes.
    """
    if share == 1:
        return np.arange(len(task))
    order = np.random.default_rng(seed).permutation(len(task))
    parts = [order[task[order] == k] for k in np.unique(task)]
    return np.sort(np.concatenate([part[: max(1, round(share * len(part)))] for part in parts]))


def rates(counts: np.ndarray, mix: MixConfig) -> np.ndarray:
    """Share of an epoch's draws for each task [K], from its number of rows [K]; sums to 1."""
    power = 0.0 if mix.kind is Mix.equal else 1.0 / mix.temperature
    raised = np.where(counts > 0, (counts / max(1, counts.max())) ** power, 0.0)  # scaled: no power overflows
    return raised / raised.sum()


def epoch(task: np.ndarray, mix: MixConfig, seed: int, number: int) -> np.ndarray:
    """Row positions of epoch `number` in their order; the same for the same (seed, number), whatever came before."""
    random = np.random.default_rng([seed, number])
    rows = members(task, mix)
    if mix.kind in (Mix.joint, Mix.single):
        return random.permutation(rows)
    counts = np.bincount(task)
    draws = _whole(rates(counts, mix) * (mix.draws or len(task)))
    return random.permutation(
        np.concatenate([_cycle(np.flatnonzero(task == k), n, random) for k, n in enumerate(draws)])
    )


def _cycle(rows: np.ndarray, draws: int, random: np.random.Generator) -> np.ndarray:
    """`draws` of `rows`: all of them before any of them again."""
    if not draws:
        return rows[:0]
    turns = -(-draws // len(rows))
    return np.concatenate([random.permutation(rows) for _ in range(turns)])[:draws]


def _whole(shares: np.ndarray) -> np.ndarray:
    """Whole numbers with the same sum: what is left over goes to the largest remainders."""
    down = np.floor(shares).astype(int)
    left = round(shares.sum()) - down.sum()
    down[np.argsort(down - shares, kind="stable")[:left]] += 1
    return down
