"""Rows of several tasks beside the same model on one task alone → what sharing gives to each task, and takes.

llm mh joint against llm mh single_type_type (as many steps): +9.8 points [+1.2, +18.3], +13.1 %
"""

from dataclasses import dataclass

import numpy as np

from relevance.config import Mix
from relevance.pages.blocks import NONE, Block, Section, Table, signed
from relevance.report.matrix import MainRows, Matrix
from relevance.report.rows import Row
from relevance.report.stats.contrast import Effect, Verdict, contrast, effect_text, versus
from relevance.report.stats.resample import interval
from relevance.tasks import TASK_NAMES

BUDGETS = {
    "steps": "match=steps: a single-task cell takes as many optimiser steps as its joint cell",
    "examples": "match=examples: a single-task cell sees its rows as often as its joint cell does",
    "": "budgets not matched: each cell trains for its own epochs and may stop early",
}
INTRODUCTION = (
    "Δ: accuracy of a cell of several tasks minus that of a cell of the same model on the task alone, in points, with "
    "the 95 % interval of resampled entities; in parentheses relative to the single-task accuracy. Δp is LibMTL's: the"
    " mean over tasks of the relative Δ, in percent. Baselines have the row's own routing, or else the one named."
)


@dataclass(frozen=True)
class Gain:
    """Of one row, on one task, under one budget."""

    row: Row
    single: Row
    task: str
    budget: str
    effect: Effect
    relative: float  # of the single-task accuracy
    rows: int  # training rows of the task


def gains(main: MainRows) -> list[Gain]:
    """One for each row of several tasks, task and budget for which a baseline shares a finished seed with it."""
    found = []
    for row in main.finished:
        if row.config.task_mix.kind is Mix.single:
            continue
        for budget, singles in main.singles(row).items():
            known = (_gain(row, singles[task], task, budget, main.matrix) for task in TASK_NAMES if task in singles)
            found += [one for one in known if one]
    return found


def _gain(row: Row, single: Row, task: str, budget: str, matrix: Matrix) -> Gain | None:
    delta = contrast(versus(row.series, single.series, task), matrix.n)
    if delta is None:
        return None
    base = _mean(single.values, [single.seeds.index(seed) for seed in _common(row, single)], task)
    trained = row.config.task_mix.share * matrix.train[TASK_NAMES.index(task)]
    rows = max(1, round(trained))  # as data.batches.portion has it
    return Gain(row, single, task, budget, delta, delta.value / base if base else np.nan, rows)


def total(found: list[Gain]) -> tuple[float, float, float]:
    """LibMTL's Δp of one row's gains, a share, with its interval: the mean over tasks of the relative gains."""
    ratios, drawn = [], []
    for gain in found:
        column = TASK_NAMES.index(gain.task)
        common = _common(gain.row, gain.single)
        joint, single = (
            one.draws[[one.seeds.index(seed) for seed in common]][:, :, column].mean(axis=0)
            for one in (gain.row, gain.single)
        )
        ratios.append(gain.relative)
        drawn.append(np.divide(joint - single, single, out=np.full(len(joint), np.nan), where=single > 0))
    return float(np.mean(ratios)), *interval(np.mean(drawn, axis=0))


def baselines_sections(matrix: Matrix, found: list[Gain], figures: list[Block]) -> list[Section]:
    """A table of gains for each budget, each negative transfer by name, the figures; none without baselines."""
    if not found:
        return []
    tested = np.flatnonzero(matrix.n)
    volumes = ", ".join(f"{TASK_NAMES[task]} {matrix.train[task]:,}" for task in tested)
    blocks: list[Block] = [INTRODUCTION, f"Training rows: {volumes}."]
    for budget in dict.fromkeys(gain.budget for gain in found):
        blocks += [f"{BUDGETS.get(budget, budget)}.", _table(matrix, [one for one in found if one.budget == budget])]
    return [Section("Single-task baselines", [*blocks, *_negative(found), *figures])]


def _table(matrix: Matrix, found: list[Gain]) -> Table:
    header = ["model", "routing", "task mix", "variant", "baseline"]
    tested = np.flatnonzero(matrix.n)
    header += [f"{TASK_NAMES[task]} n={matrix.n[task]:,}" for task in tested]
    body = []
    for row in dict.fromkeys(gain.row for gain in found):
        own = {gain.task: gain for gain in found if gain.row is row}
        texts = [_text(own.get(TASK_NAMES[task])) for task in tested]
        whole, low, high = total(list(own.values()))
        asked = f"{signed(whole)} % [{signed(low)}, {signed(high)}]" if len(own) == len(tested) else NONE
        body.append([*row.labels, next(iter(own.values())).single.labels[1], *texts, asked])
    return Table([*header, "Δp"], body, left=5)


def _text(gain: Gain | None) -> str:
    return f"{effect_text(gain.effect)} ({signed(gain.relative)} %)" if gain else NONE


def _negative(found: list[Gain]) -> list[Block]:
    """Tasks that a row is worse at than its baseline, by the rule of the claims."""
    worse = [gain for gain in found if gain.effect.verdict is Verdict.contradicted]
    if not worse:
        return [f"Negative transfer: none of {len(found)} gains lies below zero by the rule of the claims."]
    lines = [f"{one.task}: {one.row.name} {effect_text(one.effect)} points, n={one.effect.n:,}" for one in worse]
    return [f"Negative transfer, {len(worse)} of {len(found)} gains:", lines]


def _common(row: Row, single: Row) -> list[int]:
    return sorted(set(row.seeds) & set(single.seeds))


def _mean(values: np.ndarray, at: list[int], task: str) -> float:
    return float(values[at, TASK_NAMES.index(task)].mean())
