from itertools import pairwise

import numpy as np
import pytest
from page import line

from relevance import predictions
from relevance.calibration import METHODS, Judged, calibrated, temperature, unfit
from relevance.pages.render import markdown
from relevance.report.matrix import leaders, matrices
from relevance.report.sections.calibration import BINS, KINDS, Bins, calibration, calibration_section, pooled
from relevance.tasks import TASK_NAMES


def drawn(n: int, task: int | None = None, seed: int = 0) -> Judged:
    """Rows whose labels are drawn from their own probabilities: perfectly calibrated."""
    rng = np.random.default_rng(seed)
    p = softmax(rng.normal(size=(n, 3)) * 1.5)
    label = (p.cumsum(axis=1)[:, :2] < rng.random((n, 1))).sum(axis=1)
    tasks = np.arange(n) % len(TASK_NAMES) if task is None else np.full(n, task)
    return Judged(tasks, label, p)


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def sharper(judged: Judged, t: float) -> Judged:
    """The same rows with t times the logits."""
    return Judged(judged.task, judged.label, softmax(np.log(judged.p) * t))


def by_loop(confidence: np.ndarray, hit: np.ndarray) -> float:
    """The definition, bin by bin."""
    error, edges = 0.0, np.linspace(0, 1, 16)
    for low, high in pairwise(edges):
        here = (confidence > low) & (confidence <= high)
        if here.any():
            error += here.mean() * abs(hit[here].mean() - confidence[here].mean())
    return error


def leave(study, cell, split: str, judged: Judged) -> None:
    """Replace what a cell predicted for a split of the fixture's table."""
    rows = study.tables[cell.data_digest].query(f"split == '{split}'")
    names, label = rows["task"].to_numpy(), rows["label"].to_numpy()
    found = predictions.table(rows["row"].to_numpy(), names, label, judged.p[: len(rows)])
    predictions.write(found, cell.folder / f"{split}.parquet")


def found(study):
    return matrices(study.sweep())


def section(study) -> list:
    matrices = found(study)
    return calibration_section(matrices, [calibration(matrix) for matrix in matrices], [])


def page(study) -> str:
    return markdown("", section(study))


def test_the_error_is_that_of_a_loop_over_the_bins():
    judged = sharper(drawn(5000), 2.0)
    error = Bins.of(judged).error
    for code in range(len(TASK_NAMES)):
        mine = judged.task == code
        assert error[code] == pytest.approx(by_loop(judged.confidence[mine], judged.hit[mine]), abs=1e-12)
    assert error[-1] == pytest.approx(by_loop(judged.confidence, judged.hit), abs=1e-12)
    assert error[-1] > 0.1


def test_edges_of_bins_belong_to_the_bin_below_and_a_task_without_rows_is_nan():
    p = np.array([[0.6, 0.4, 0.0], [1.0, 0.0, 0.0]])
    bins = Bins.of(Judged(np.array([2, 2]), np.array([0, 1]), p))
    assert np.flatnonzero(bins.count[2]).tolist() == [8, BINS - 1]
    assert bins.error[[2, -1]] == pytest.approx((0.4 + 1) / 2)
    assert np.isnan(bins.error[[0, 1, 3, 4, 5]]).all()


def test_calibrated_rows_have_hardly_an_error():
    assert Bins.of(drawn(60_000)).error[-1] < 0.01


@pytest.mark.parametrize("t", [0.5, 3.0])
def test_temperature_finds_what_sharpened_the_rows_and_takes_the_error_away(t):
    fit, ask = (sharper(drawn(20_000, task=1, seed=seed), t) for seed in (1, 2))
    assert temperature(fit.p, fit.label) == pytest.approx(t, rel=0.03)
    after = calibrated(fit, ask, "temperature")
    assert Bins.of(after).error[-1] < 0.02 < 0.08 < Bins.of(ask).error[-1]
    assert (after.p.argmax(axis=1) == ask.p.argmax(axis=1)).all()


def test_isotonic_takes_the_error_away_and_keeps_sums_of_one():
    fit, ask = (sharper(drawn(20_000, seed=seed), 3.0) for seed in (1, 2))
    after = calibrated(fit, ask, "isotonic")
    assert after.p.sum(axis=1) == pytest.approx(1)
    assert (after.p >= 0).all()
    assert Bins.of(after).error[-1] < 0.02 < 0.08 < Bins.of(ask).error[-1]


def test_each_task_is_fitted_on_its_own_rows():
    fit, ask = (drawn(24_000, seed=seed) for seed in (1, 2))
    for one in (fit, ask):
        one.p[one.task == 3] = softmax(np.log(one.p[one.task == 3]) * 4)
    after = Bins.of(calibrated(fit, ask, "temperature")).error
    assert after[:-1].max() < 0.04
    assert Bins.of(ask).error[3] > 0.15


@pytest.mark.parametrize("method", METHODS)
def test_a_task_with_one_label_or_no_row_in_validation_stays_as_trained(method):
    fit, ask = sharper(drawn(600, seed=1), 3.0), sharper(drawn(600, seed=2), 3.0)
    fit.label[fit.task == 1] = 2
    fit = Judged(*(part[fit.task != 4] for part in (fit.task, fit.label, fit.p)))
    after = calibrated(fit, ask, method)
    assert unfit(fit) == [1, 4]
    same = (after.p == ask.p).all(axis=1)
    assert same[np.isin(ask.task, [1, 4])].all()
    assert not same[~np.isin(ask.task, [1, 4])].any()


@pytest.mark.parametrize("method", METHODS)
def test_probabilities_of_one_and_zero_do_not_break_the_fit(method):
    label = np.arange(60) % 3
    sure = Judged(np.zeros(60, int), label, np.eye(3)[np.where(np.arange(60) < 50, label, (label + 1) % 3)])
    assert Bins.of(calibrated(sure, sure, method)).error[0] == pytest.approx(0, abs=0.01)


def test_the_table_has_a_line_per_kind_with_the_mean_and_deviation_over_seeds(study):
    for seed, t in enumerate((1.0, 4.0)):
        cell = study.cell(f"llm-mhp-joint-s{seed}", metrics={})
        for split in ("validation", "test"):
            leave(study, cell, split, sharper(drawn(200, seed=seed), t))
    matrix = found(study)[0]
    errors = np.array([measured.error for measured in calibration(matrix).rows[0][1]])
    assert errors.shape == (2, len(KINDS), 7)
    assert (np.abs(errors[:, 0] - errors[:, 1]) > 0).any()
    text = page(study)
    assert line(text, "model")[4:7] == ["probabilities", "seeds", "query_item n=20"]
    assert line(text, "model")[-1] == "all n=120"
    for kind, name in enumerate(KINDS):
        mean, sd = 100 * errors[:, kind].mean(axis=0), 100 * errors[:, kind].std(axis=0, ddof=1)
        expected = [f"{m:.1f} ± {s:.1f}" for m, s in zip(mean, sd, strict=True)]
        assert line(text, "llm", "mhp", "joint", "", name)[5:] == ["2", *expected]


def test_cells_without_validation_are_counted_and_a_dash(study):
    (study.cell("llm-mhp-joint-s0", 4).folder / "validation.parquet").unlink()
    cell = study.cell("ce-mh-joint-s0", 4)
    leave(study, cell, "validation", drawn(200))
    text = page(study)
    assert line(text, "llm", "mhp", "joint", "", "as trained")[5:] == ["1", *["20.0"] * 7]
    assert line(text, "llm", "mhp", "joint", "", "isotonic")[5:] == ["0 of 1", *"———————"]
    assert "—" not in line(text, "ce", "mh", "joint", "", "isotonic")
    assert "Without validation.parquet, so as trained only: 1 of 2 cells." in text
    assert "Kept as trained" not in text


def test_tasks_that_stay_as_trained_are_counted(study):
    (table,) = study.tables.values()
    table.loc[(table["task"] == "type_type") & (table["split"] == "validation"), "label"] = np.int8(0)
    study.table(table)
    cell = study.cell("llm-mhp-joint-s0", 4)
    leave(study, cell, "validation", drawn(200))
    assert "or are none: 1 of 6 pairs of cell and task." in page(study)


def test_partial_and_unfinished_rows_stay_out_and_no_section_without_others(study):
    study.cell("llm-none-single_query_item-s0", 0)
    study.cell("llm-mhp-joint-s0", None)
    assert section(study) == []
    study.cell("ce-mh-joint-s0", 3)
    rows = calibration(found(study)[0]).rows
    assert [row.name for row, _ in rows] == ["ce mh joint"]


def test_the_best_rows_are_shown_in_table_order_and_the_others_counted(study, monkeypatch):
    monkeypatch.setattr("relevance.report.sections.calibration.MOST", 2)
    for routing, wrong in (("none", 3), ("prefix", 9), ("mh", 5), ("mhp", 1)):
        study.cell(f"llm-{routing}-joint-s0", wrong)
    study.cell("ce-mh-joint-s0", 12)
    one = calibration(found(study)[0])
    assert [row.name for row, _ in one.rows] == ["llm none joint", "llm mhp joint"]
    assert one.left_out == 3
    assert "Left out, of lower macro accuracy: 3 of 5 rows." in page(study)
    assert {curve.label for curve in one.curves} == {"ce mh", "llm mhp"}


def test_curves_are_of_the_lowest_seed_of_the_best_row_of_each_family(study):
    for seed, wrong in ((0, None), (1, 4), (2, 0)):
        study.cell(f"llm-mhp-joint-s{seed}", wrong)
    study.cell("llm-prefix-joint-s0", 9)
    study.cell("ce-mh-joint-s0", 5)
    matrix = found(study)[0]
    assert [row.name for row in leaders(matrix)] == ["ce mh joint", "llm mhp joint"]
    curves = {(curve.label, curve.panel): curve for curve in calibration(matrix).curves}
    assert len(curves) == 2 * len(TASK_NAMES)
    curve = curves["llm mhp", "item_type"]
    assert (curve.weight.tolist(), curve.y.tolist(), curve.x.tolist()) == ([20], [0.8], [1.0])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([30, 0, 5, 7, 8, 25, 3], [30, 20, 28]),  # below 20 with the next one up, what is left with the one below
        ([3, 4], [7]),
        ([20, 20], [20, 20]),
    ],
)
def test_bins_of_few_rows_are_pooled(rows, expected):
    hits = np.arange(len(rows))
    n, pooled_hits = pooled(np.array([rows, hits]))
    assert n.tolist() == expected
    assert pooled_hits.sum() == hits.sum()


def test_each_predictions_file_is_read_once(study, monkeypatch):
    for seed in range(2):
        cell = study.cell(f"llm-mhp-joint-s{seed}", 4)
        leave(study, cell, "validation", drawn(200))
    matrix, read, real = found(study)[0], [], predictions.read
    monkeypatch.setattr(predictions, "read", lambda path, columns=None: (read.append(path), real(path, columns))[1])
    one = calibration(matrix)
    assert len(read) == len(set(read)) == 4
    assert calibration_section([matrix], [one], [])
    assert len(read) == 4
