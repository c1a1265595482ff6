"""Matched budgets: what a single-task cell is allowed, and that its last weights count."""

from dataclasses import replace

import numpy as np
import pytest
from small_sweep import record, small_cell, sweep

from relevance.cell_id import Request
from relevance.config import Match, Mix, MixConfig, TrainerConfig
from relevance.data.mixing import portion
from relevance.sweep.resolve import prepared, resolve

SINGLE = MixConfig("single_query_query", Mix.single, "query_query")


@pytest.fixture
def config(tmp_path, backbones):
    return small_cell(tmp_path, backbones, probes=False)


def test_a_single_task_takes_the_steps_of_all_tasks_or_the_examples_of_its_own(config):
    two = replace(config, trainer=replace(config.trainer, max_epochs=2), train=replace(config.train, step_rows=32))
    cells = [
        replace(two, match=Match.steps),
        *(replace(two, match=match, task_mix=replace(SINGLE, name=f"by {match}")) for match in list(Match)[1:]),
    ]
    assert sweep(*cells) == 0
    joint, examples, steps = record(two).cells
    assert joint.metrics["train/rows"] == 2 * 236  # all training rows of the table, in 8 steps an epoch
    assert examples.metrics["train/rows"] == 2 * 12  # those of query_query
    assert steps.metrics["train/rows"] == 16 * 12  # a step holds 32 rows; the task has 12
    assert steps.metrics["epochs"] > 2


def test_a_share_of_the_rows_takes_the_steps_of_all(config):
    """So that a curve over shares shows rows, and not how long a cell learnt."""
    cells = [
        replace(config, match=Match.steps, task_mix=MixConfig(f"share {share}", share=share)) for share in (1.0, 0.25)
    ]
    assert sweep(*cells) == 0
    steps = [cell.metrics["train/rows"] / cell.metrics["epochs"] for cell in record(config).cells]
    whole, part = record(config).cells
    assert steps[1] < steps[0] / 3
    assert part.metrics["epochs"] == pytest.approx(4 * whole.metrics["epochs"], rel=0.5)


def test_a_joint_cell_is_one_question_under_either_match(config):
    cells = [replace(config, match=match) for match in (Match.examples, Match.steps)]
    found, _ = resolve([Request(cell, config) for cell in cells], prepared(cells))
    assert len(found) == 1
    assert found[0].asked == 2
    assert found[0].variant == "match=steps"


def test_the_last_weights_count_under_a_matched_budget(config):
    trainer = TrainerConfig(max_epochs=3, accelerator="cpu")
    plain = replace(config, trainer=trainer, train=replace(config.train, patience=1), match=Match.steps)
    assert sweep(plain) == 0
    assert record(plain).cells[0].metrics["epochs"] == 3


def test_a_smaller_share_is_a_part_of_a_larger_one_task_by_task():
    task = np.repeat([0, 2, 5], [100, 40, 3])
    small, large = portion(task, 0.25, 7), portion(task, 0.5, 7)
    assert set(small) < set(large) < set(range(143))
    assert np.bincount(task[small], minlength=6).tolist() == [25, 0, 10, 0, 0, 1]
    assert portion(task, 1.0, 7).tolist() == list(range(143))
