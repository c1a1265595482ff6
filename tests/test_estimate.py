"""How long the rest will take: from history where there is one, said so where there is none."""

import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from relevance.cell_id import Cell
from relevance.cli import duration_text
from relevance.config import Config, ModelConfig, RoutingConfig, TrainerConfig
from relevance.sweep.plan import Progress, durations


@pytest.fixture
def cell(backbones):
    model = ModelConfig(name="ce", backbone=str(backbones["ce"]))
    config = Config(model=model, routing=RoutingConfig("mh"), trainer=TrainerConfig(max_epochs=3))
    return Cell(config, "f" * 64, "ce-mh-joint-s0", "", "d" * 64, "b" * 64, Path("rows.parquet"), train_rows=1000)


def run(routing: str, seconds: float, digest: str = "b" * 16):
    data = SimpleNamespace(
        tags={"model": "ce", "routing": routing},
        params={"backbone_digest": digest},
        metrics={"train/rows": 500, "seconds": seconds},
    )
    return SimpleNamespace(data=data)


def test_the_newest_cell_of_the_same_routing_sets_the_pace(cell):
    seconds, source = durations([cell, cell], [run("mhp", 99), run("mh", 10), run("mh", 50)])
    assert seconds == pytest.approx([3000 * 10 / 500] * 2)
    assert source == "from earlier cells"


def test_another_routing_of_the_model_serves_where_there_is_no_other(cell):
    assert durations([cell], [run("mhp", 10)])[0] == pytest.approx([60])


def test_without_history_it_is_a_guess_that_grows_with_the_work(cell):
    (small,), source = durations([cell], [run("mh", 10, digest="other")])
    (large,), _ = durations([replace(cell, train_rows=50_000)], [])
    assert 0 < small * 10 < large
    assert "guessed" in source


def test_what_is_left_is_told_by_the_clock_of_the_cells_that_ended(cell, monkeypatch):
    """A fifth of the work took 10 s, where a fifth of 100 s was expected: two fifths and two fifths are left."""
    second, third = (replace(cell, fingerprint=letter * 64) for letter in "xy")
    progress = Progress({cell.fingerprint: 20.0, second.fingerprint: 40.0, third.fingerprint: 40.0}, began=100.0)
    monkeypatch.setattr(time, "monotonic", lambda: 110.0)
    assert progress.after(cell) == ["1 of 3 done, about 40 s left"]
    monkeypatch.setattr(time, "monotonic", lambda: 130.0)
    assert progress.after(third) == ["2 of 3 done, about 20 s left"]
    assert progress.after(second) == []


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (59, "59 s"), (90, "2 min"), (7200, "2.0 h")])
def test_duration_text(seconds, words):
    assert duration_text(seconds) == words
