"""Trials of rates and what is chosen from them: one design for all, validation alone, the same choice every time."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_sweep import prepared, record, runs, sweep

from relevance import predictions, seal
from relevance.cell_id import Request, fingerprint, variant_of, variant_parts
from relevance.config import (
    Config,
    Match,
    ModelConfig,
    PrivateConfig,
    PrivateKind,
    PromptConfig,
    RoutingConfig,
    TuneConfig,
)
from relevance.errors import UserError
from relevance.sweep.launchers.local import InProcess
from relevance.sweep.sweep import run_sweep
from relevance.trials import SPAN, Rates, chosen, factors, tried

BASE = Config(model=ModelConfig(lr=1e-3, head_lr=2e-3, private_lr=3e-3), routing=RoutingConfig("mh", heads=True))
MHP = RoutingConfig("mhp", heads=True, private=PrivateConfig(layers=2))


def rates(config: Config) -> tuple[float | None, ...]:
    return config.model.lr, config.model.head_lr, config.model.head_step, config.model.private_lr


def trial(number: int, **changes) -> Config:
    return tried(replace(BASE, tune=TuneConfig(trial=number), **changes))


def test_trial_0_has_the_usual_rates_and_the_others_fill_a_box_around_them():
    assert rates(trial(0)) == rates(BASE)
    points = np.log(np.array([factors(number) for number in range(1, 33)])) / np.log(SPAN)
    assert (np.abs(points) <= 1).all()
    assert all(len(set(np.floor(2 * (column + 1)).astype(int))) == 4 for column in points.T)
    assert np.abs(points.mean(axis=0)).max() < 0.15


def test_a_trial_is_of_the_same_factors_whatever_is_tuned_and_leaves_rates_that_nothing_learns_at():
    assert rates(trial(3))[:2] == rates(trial(3, routing=MHP))[:2] != rates(BASE)[:2]
    assert rates(trial(3))[3] == BASE.model.private_lr
    assert rates(trial(3, routing=MHP))[3] != BASE.model.private_lr
    assert rates(trial(3, routing=RoutingConfig("soft_prompt", prompt=PromptConfig(2))))[3] != BASE.model.private_lr
    adapters = replace(MHP, private=PrivateConfig(PrivateKind.lora, 2))
    assert rates(trial(3, routing=adapters))[3] == BASE.model.private_lr
    stepped = trial(3, model=replace(BASE.model, head_lr=None, head_step=0.2))
    assert stepped.model.head_lr is None
    assert stepped.model.head_step == pytest.approx(0.2 * factors(3)[1], rel=1e-2)


def test_a_cell_is_its_rates_and_not_how_it_came_to_them():
    def print_of(config: Config) -> str:
        return fingerprint(config, "d", "b")

    tuned = replace(trial(3), tune=TuneConfig(sweep="tune"))
    assert print_of(tuned) == print_of(trial(3)) != print_of(BASE) == print_of(trial(0))
    variant = variant_of(tuned, BASE, "d", "b")
    assert variant == "tuned=tune"
    assert variant_parts(variant, tuned) == [variant]
    assert variant_of(trial(3), BASE, "d", "b").startswith("head_lr=")


@pytest.fixture
def trials(place):
    """Three trials of a cell, finished; the question whose rates they choose."""
    config = replace(place("ce"), name="tune", match=Match.steps, probes=False, consistency=False, seed=100)
    cells = [tried(replace(config, tune=TuneConfig(trial=number))) for number in range(3)]
    requests = [Request(cell, config) for cell in cells]
    assert run_sweep(requests, prepared(cells), "python -m relevance.run", InProcess()).code == 0
    return replace(config, seed=0, tune=TuneConfig(sweep="tune")), cells


def answer(config: Config, number: int, right: int) -> None:
    """Have the trial answer so many validation rows right, and its test rows the other way round."""
    files = record(config).cells[number].files
    for path, count in ((files.validation, right), (files.test, 0 if right else 10**6)):
        table = pq.read_table(path)
        label = table["label"].to_numpy()
        said = np.where(np.arange(len(label)) < count, label, (label + 1) % 3)
        columns = [table["row"].to_numpy(), table["task"].to_numpy(zero_copy_only=False), label]
        predictions.write(predictions.table(*columns, np.eye(3)[said]), path)
    seal.write(files.path, files.path.name, files.sealed)


def test_the_best_on_validation_is_chosen_whatever_the_test_rows_say(trials):
    config, cells = trials
    for number, right in enumerate((3, 12, 0)):
        answer(config, number, right)
    for _ in range(2):  # and again, by another command
        choice = Rates()
        rated = choice.of(config)
        assert rates(rated) == rates(cells[1])
        assert rated.seed == 0
        (line,) = choice.lines
        assert line.startswith("ce mh joint: lr ")
        assert "the best of 3 trials" in line


def test_other_settings_than_the_trials_had_are_refused_by_name(trials):
    config, _ = trials
    for changed, said in (
        (replace(config, trainer=replace(config.trainer, max_epochs=2)), "with trainer.max_epochs=2; train them"),
        (replace(config, data=replace(config.data, rows=400)), "with data.rows=400"),
        (replace(config, routing=replace(config.routing, name="mhp")), "has no trial of ce mhp joint that finished"),
    ):
        with pytest.raises(UserError, match=said):
            Rates().of(changed)
    with pytest.raises(UserError, match="sweep=other: no such sweep"):
        Rates().of(replace(config, tune=TuneConfig(sweep="other")))


def test_nothing_is_chosen_before_all_trials_have_ended_and_one_that_failed_has_lost(trials):
    config, _ = trials
    first, *others = record(config).cells
    with pytest.raises(UserError, match="1 of 3 trials of ce mh joint are not finished; repeat its command"):
        chosen(config, [replace(first, status="KILLED"), *others])
    rated, line = chosen(config, [replace(first, status="FAILED"), *others])
    assert rates(rated) != rates(first.config)
    assert "the best of 2 trials, 1 more failed" in line


def test_a_trial_that_is_too_poor_at_the_end_of_an_epoch_stops_there(place):
    config = place("ce", probes=False, consistency=False, match=Match.steps)
    config = replace(config, trainer=replace(config.trainer, max_epochs=3))
    for below, epochs in ((1.0, 1), (0.0, 3)):
        assert sweep(replace(config, train=replace(config.train, stop_below=below), name=str(below))) == 0
        assert record(config).cells[0].metrics["epochs"] == epochs
    assert len(runs(config)) == 2
