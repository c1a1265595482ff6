"""A small cell that answers where it suffices, a large one that sees the rest."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_sweep import record
from stand_in import Lengths, pairs, saved

import relevance
from relevance import predictions, seal
from relevance.calibration import Cascade, Judged, Tradeoff, pace, temperatures
from relevance.cell_id import CellFolder
from relevance.data.readers import read_table
from relevance.metrics import task_codes
from relevance.predict.scorer import Scorer
from relevance.tasks import TASK_NAMES
from relevance.tracking.record import Record

STAND_IN = ("query_item", "item_type", "type_type")  # of the stand-in's pairs
P = [*predictions.PROBABILITIES]
SURE = [0.99005, 0.95005, 0.90005, 0.85005, 0.80005, 0.70005, 0.60005, 0.50005]  # of the small cell
SMALL = [1, 1, 0, 1, 1, 1, 0, 0]  # whether it is right
LARGE = [1, 1, 1, 1, 1, 0, 1, 1]


def judged(sure, hits, task=0) -> Judged:
    """Rows of label 2, each answered with this probability."""
    p = np.array([[0, 1 - c, c] if hit else [c, 1 - c, 0] for c, hit in zip(sure, hits, strict=True)])
    return Judged(np.full(len(hits), task), np.full(len(hits), 2), p)


def joined(*parts: Judged) -> Judged:
    return Judged(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("task", "label", "p")))


@pytest.mark.parametrize(
    ("large", "loss", "threshold", "answered"),
    [
        (LARGE, 0, 0.6001, 6),  # right are, where the small one answers 0, 1, … rows: 7 7 7 6 6 6 7 6 5
        (LARGE, 12.5, 0.5001, 7),
        (LARGE, 24.9, 0.5001, 7),
        (LARGE, 25, 0.3333, 8),
        ([1] * 8, 0, 0.9001, 2),  # 8 8 8 7 7 7 7 6 5
        ([1] * 8, 12.5, 0.6001, 6),
        ([0] * 8, 0, 0.3333, 8),
    ],
)
def test_the_lowest_threshold_that_keeps_the_loss(large, loss, threshold, answered):
    tradeoff = Tradeoff.of(judged(SURE, SMALL), judged([1] * 8, large), np.ones(6))
    at = tradeoff.lowest(loss)
    right = sum(SMALL[:answered]) + sum(large[answered:])
    assert (tradeoff.thresholds[at], tradeoff.share[at]) == (threshold, answered / 8)
    assert (tradeoff.macro[at], tradeoff.large) == (pytest.approx(right / 8), pytest.approx(sum(large) / 8))


def test_tasks_weigh_the_same_and_none_is_chosen_where_the_surest_row_costs_too_much():
    small = joined(judged(SURE, [1] * 8), judged([0.4], [0], task=3))
    large = joined(judged([1] * 8, [1] * 8), judged([1], [1], task=3))
    tradeoff = Tradeoff.of(small, large, np.ones(6))
    assert tradeoff.macro[0] == pytest.approx(0.5)
    assert tradeoff.thresholds[tradeoff.lowest(49)] == 0.6001  # of the small one's answers 1 - 0.4 on the last row
    wrong_first = Tradeoff.of(judged(SURE, [0] * 8), judged([1] * 8, [1] * 8), np.ones(6))
    assert wrong_first.lowest(12.4) is None
    assert wrong_first.thresholds[wrong_first.lowest(12.5)] == 0.9501


def test_confidence_is_that_under_the_temperature_of_the_task():
    t = np.array([1, 2, 1, 1, 1, 1.0])
    p = np.array([[0.1, 0.1, 0.8]] * 2)
    roots = np.sqrt(p[1])
    sure = roots.max() / roots.sum()
    for threshold, answers in ((0.7, [True, False]), (sure + 1e-9, [True, False]), (sure - 1e-9, [True, True])):
        assert Cascade(t, threshold).suffices(np.array([0, 1]), p).tolist() == answers


def test_what_a_cascade_takes_is_all_rows_of_the_small_cell_and_the_rest_of_the_large_one():
    assert pace(900, 100, 0.5) == pytest.approx(1000 / (1000 / 900 + 500 / 100))
    assert pace(900, 100, 1) == pytest.approx(900)


class Sure(Lengths):
    """ "0.9 …" → label 2 with 0.9 by the small cell, whose folder is 0; label 1 with 0.6 by the large one."""

    def probabilities(self, table, progress):
        Lengths.seen.append((self.shift, len(table)))
        progress(len(table))
        sure = np.array([float(text.split()[0]) for text in table["left"].to_pylist()])
        rest = (1 - sure) / 2
        p = np.stack([rest, rest, sure], axis=1)
        return (np.tile([0.2, 0.6, 0.2], (len(table), 1)) if self.shift else p).astype(np.float32)


def leave(folder, name, wrong, tasks=STAND_IN, **tags):
    """A finished cell as its folder tells it: 30 validation rows a task, the last `wrong` of each label wrong."""
    folder.mkdir(parents=True)
    tags = {
        "model": "ce",
        "routing": "mh",
        "task_mix": "joint",
        "variant": "",
        "seed": "0",
        "data_digest": "d1" * 32,
        **tags,
    }
    cell = Record(folder)
    cell.append("start", name=name, tags={**tags, "fingerprint": folder.name * 4}, at=0)
    cell.append("log", metrics={"test/rows_per_second": 100.0 if name == "large" else 400.0}, step=0, at=0)
    cell.append("end", status="FINISHED", at=0)
    label = np.tile(np.arange(3), 10 * len(tasks))
    hit = np.tile(np.arange(30) < 30 - wrong, len(tasks))
    row = np.array([100 * TASK_NAMES.index(task) + k for task in tasks for k in range(30)], int)
    p = np.where(np.eye(3)[np.where(hit, label, (label + 1) % 3)] > 0, np.where(hit, 0.9, 0.5)[:, None], 0)
    p[p == 0] = np.repeat((1 - p.max(axis=1)) / 2, 2)
    for split in ("validation", "test"):
        predictions.write(predictions.table(row, np.repeat(tasks, 30), label, p), folder / f"{split}.parquet")
    (folder / "config.yaml").write_text("")
    seal.write(folder, folder.name, CellFolder(folder).sealed)
    model = folder / ("1" if name == "large" else "0")
    model.mkdir()
    (model / "template.json").touch()
    return model


@pytest.fixture
def two(tmp_path, monkeypatch):
    """Model folders of a small and a large cell, of stand-ins."""
    monkeypatch.setitem(sys.modules, "relevance.predict.scorer", SimpleNamespace(Scorer=Sure))
    monkeypatch.setattr(Lengths, "seen", [], raising=False)
    return leave(tmp_path / ("a" * 16), "small", 6), leave(tmp_path / ("b" * 16), "large", 2)


def sures(n=40):
    """Pairs of which the small cell is sure with 0.34, 0.356, …"""
    return pairs(n).set_column(2, "left", pa.array([f"{0.34 + 0.016 * k:.3f} x" for k in range(n)]))


@pytest.mark.parametrize("written", ["csv", "parquet"])
def test_the_large_cell_sees_the_rest_alone(tmp_path, run, two, written):
    source, output = saved(tmp_path / "in.csv", sures()), tmp_path / f"out.{written}"
    words = (f"input={source}", f"output={output}", "chunk=16")
    _, err, code = run(f"cells=[{two[0]},{two[1]}]", "cascade=0.9", *words)
    assert code == 0, err
    found = read_table(output, {}).table
    t = temperatures(Judged.of(predictions.read(two[0].parent / "validation.parquet")))
    p = Sure(two[0], None, False).probabilities(sures(), int)
    here = Cascade(t, 0.9).suffices(task_codes(sures()["task"]), p.astype(float))
    assert 0 < here.sum() < 40
    assert found.column_names[-6:] == ["answered_by", *P, "score", "predicted"]
    assert found["answered_by"].to_pylist() == ["small" if small else "large" for small in here]
    Lengths.seen.pop()
    assert [n for shift, n in Lengths.seen if shift == 0] == [16, 16, 8]
    assert sum(n for shift, n in Lengths.seen if shift) == (~here).sum()
    values = np.stack([found[name].cast(pa.float32()).to_numpy() for name in P], axis=1)
    assert np.array_equal(values[here], p[here])
    assert np.array_equal(values[~here], np.tile(np.float32([0.2, 0.6, 0.2]), ((~here).sum(), 1)))
    assert found["predicted"].cast(pa.int8()).to_pylist() == np.where(here, 2, 1).tolist()
    share = here.mean()
    assert f"small answered {here.sum()} of 40 rows ({100 * share:.1f} %)" in err
    assert f"{100 * (share - 100 / 400):.0f} % less time than the second cell alone" in err
    assert run(f"cells=[{two[0]},{two[1]}]", "cascade=0.9", *words)[2] == 0  # its own output is written anew


def test_auto_says_what_it_chose_and_a_file_that_the_small_cell_answers_asks_no_other(tmp_path, run, two):
    small, large = (Judged.of(predictions.read(model.parent / "validation.parquet")) for model in two)
    tradeoff = Tradeoff.of(small, large, temperatures(small))
    at = tradeoff.lowest(0.3)
    sure = sures().set_column(2, "left", pa.array(["0.999 x"] * 40))
    words = (f"input={saved(tmp_path / 'in.csv', sure)}", f"output={tmp_path / 'out.csv'}")
    _, err, code = run(f"cells=[{two[0]},{two[1]}]", "cascade=auto", *words)
    assert code == 0, err
    assert f"confidence is {tradeoff.thresholds[at]:g} or more, large elsewhere" in err
    assert f"of 90 validation rows the first answers {100 * tradeoff.share[at]:.1f} %" in err
    assert f"macro accuracy {100 * tradeoff.macro[at]:.1f}, of the second alone 93.3" in err
    assert "small answered 40 of 40 rows (100.0 %); 75 % less time" in err
    assert [shift for shift, _ in Lengths.seen] == [0]
    _, err, _ = run(f"cells=[{two[1]},{two[0]}]", "cascade=auto", *words)
    assert "300 % more time" in err  # the first is the slower one: said, not hidden


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["cascade=0"], "cascade=0: give a confidence above 0, at most 1, or auto"),
        (["cascade=1.5"], "cascade=1.5: give a confidence above 0"),
        (["cascade=.nan"], "cascade=nan: give a confidence above 0"),
        (["cascade=true"], "cascade=True: give a confidence"),
        (["cascade=best"], "cascade='best': give a confidence"),
        (["cascade=[0.9]"], "give a confidence above 0"),
        (["cascade=0.9", "cascade_loss=1"], "cascade_loss=1: has no effect under cascade=0.9"),
        (["cascade_loss=1"], "cascade_loss=1: has no effect without a cascade"),
        (["cascade=auto", "cascade_loss=-1"], "cascade_loss=-1: points of macro accuracy, 0 to 100"),
        (["cascade=auto", "vote=mean"], "vote=mean: has no effect in a cascade"),
        (["cascade=auto", "vote=majority"], "vote=majority: has no effect in a cascade"),
        (["cascade=auto", "ties=lower"], "ties=lower: has no effect in a cascade"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(tmp_path, run, two, words, said):
    source, output = saved(tmp_path / "in.csv", sures()), tmp_path / "out.csv"
    _, err, code = run(f"cells=[{two[0]},{two[1]}]", f"input={source}", f"output={output}", *words)
    assert (code, err.count("\n"), output.exists()) == (2, 1, False)
    assert said in err


def test_cells_that_cannot_be_compared_are_refused(tmp_path, run, two):
    small, large = two
    words = (f"input={saved(tmp_path / 'in.csv', sures())}", f"output={tmp_path / 'out.csv'}", "cascade=auto")
    other = leave(tmp_path / ("c" * 16), "other", 0, data_digest="e2" * 32)
    single = leave(tmp_path / ("d" * 16), "single", 0, tasks=STAND_IN[:1])
    empty = leave(tmp_path / ("e" * 16), "empty", 0, tasks=())
    hollow = leave(tmp_path / ("f" * 16), "large", 0, tasks=())
    poor = leave(tmp_path / ("9" * 16), "poor", 30)
    bare = tmp_path / "bare" / "1"
    bare.mkdir(parents=True)
    (bare / "template.json").touch()
    for cells, said in (
        ([small], "takes two cells, not 1; give cells=[SMALL,LARGE]"),
        ([small, large, other], "takes two cells, not 3"),
        ([small, other], "different tables of pairs (small of d1d1d1d1d1d1, other of e2e2e2e2e2e2)"),
        ([small, single], f"of different tasks (small: {', '.join(STAND_IN)}; single: {STAND_IN[0]})"),
        ([empty, hollow], "no validation rows, by which confidence is calibrated"),
        ([small, bare], "has no record of a cell"),
        ([poor, large], "no confidence loses at most 0.3 points against large alone on validation, so that all rows"),
    ):
        _, err, code = run(f"cells=[{','.join(map(str, cells))}]", *words)
        assert (code, err.count("\n")) == (2, 1)
        assert said in err
    (large.parent / "validation.parquet").unlink()
    _, err, code = run(f"cells=[{small},{large}]", *words)
    assert (code, err.count("\n"), "validation.parquet: is gone; copy the cell's whole folder again" in err) == (
        2,
        1,
        True,
    )
    assert Lengths.seen == []


def test_a_task_that_no_temperature_is_known_of_is_named(tmp_path, run, two):
    table = predictions.read(two[0].parent / "validation.parquet")
    for model in two:
        predictions.write(table[:63], model.parent / "validation.parquet")  # one label of the last task, three rows
        seal.write(model.parent, model.parent.name, CellFolder(model.parent).sealed)
    words = (f"input={saved(tmp_path / 'in.csv', sures())}", f"output={tmp_path / 'out.csv'}", "cascade=0.8")
    assert "cascade: confidence" not in run(f"cells=[{two[0]},{two[1]}]", *words)[1]
    for rows in (61, 60):
        for model in two:
            predictions.write(table[:rows], model.parent / "validation.parquet")
            seal.write(model.parent, model.parent.name, CellFolder(model.parent).sealed)
        _, err, code = run(f"cells=[{two[0]},{two[1]}]", *words)
        assert code == 0
        assert "cascade: confidence of small on type_type is as trained: its validation rows lack a label" in err


def test_trained_cells_in_turn_in_python(trained_cell, monkeypatch):
    config, other = trained_cell("ce", "mh"), trained_cell("llm", "mh")
    small, large = (record(each).cells[0] for each in (config, other))
    rows = pq.read_table(next(Path(config.outputs).glob("data/*/rows.parquet")))
    rows = rows.filter(np.array(rows["split"]) == "test").select(["task", "left", "right"])
    alone = [Scorer(cell.folder / "model").probabilities(rows) for cell in (small, large)]
    confidence = float(np.median(alone[0].max(axis=1)))
    seen, forward = [], Scorer.probabilities
    monkeypatch.setattr(
        Scorer,
        "probabilities",
        lambda self, table, *more: (seen.append((self.folder.parent, len(table))), forward(self, table, *more))[1],
    )
    model = relevance.load([small.folder, large.folder], settings="device=cpu", cascade=confidence)
    seen.clear()
    answered = model.predict(rows.to_pandas())
    here = (answered["answered_by"] == small.cell).to_numpy()
    assert 0 < here.sum() < len(rows)
    assert seen == [(small.folder, len(rows)), (large.folder, int((~here).sum()))]
    p = answered[P].to_numpy(np.float32)
    assert np.array_equal(p[here], alone[0][here])
    assert np.allclose(p[~here], alone[1][~here], atol=1e-6)
    ranked = model.rank("red lamp", ["a lamp", "chair"])
    assert ranked["score"].is_monotonic_decreasing
    assert set(ranked["answered_by"]) <= {small.cell, large.cell}
    mean = relevance.load([small.folder, large.folder], settings="device=cpu").predict(rows.to_pandas())
    assert np.allclose(mean[P].to_numpy(), np.mean(alone, axis=0), atol=1e-6)
    with pytest.raises(relevance.UserError, match="cells="):
        relevance.load([])
    with pytest.raises(relevance.UserError, match="cascade=2: give a confidence above 0"):
        relevance.load([small.folder, large.folder], cascade=2)
