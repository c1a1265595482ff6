import re
from dataclasses import replace

import numpy as np
import pytest

from relevance import predictions
from relevance.errors import UserError
from relevance.metrics import COLUMNS
from relevance.report.files import write_report
from relevance.report.matrix import CEILING, matrices
from relevance.report.page import Form
from relevance.tasks import TASK_NAMES

MICRO, MACRO = COLUMNS.index("micro"), COLUMNS.index("macro")


def only(study):
    (matrix,) = matrices(study.sweep())
    return matrix


def test_seeds_fold_into_mean_and_sample_deviation(study):
    for seed, wrong in enumerate((2, 4, 9)):
        study.cell(f"llm-mhp-joint-s{seed}", wrong)
    (row,) = only(study).rows
    values = [18 / 20, 16 / 20, 11 / 20]
    assert row.mean == pytest.approx(np.full(8, np.mean(values)), abs=1e-12)
    assert row.sd == pytest.approx(np.full(8, np.std(values, ddof=1)), abs=1e-12)


def test_one_seed_has_no_deviation(study):
    study.cell("llm-mhp-joint-s0", 2)
    assert np.isnan(only(study).rows[0].sd).all()


def test_rows_come_by_model_routing_and_mix_joint_first(study):
    for name in ("llm-mhp-joint-s0", "llm-prefix-joint-s0", "ce-mh-single_type_type-s0", "ce-mh-equal-s0"):
        study.cell(name)
    study.cell("ce-mh-joint-s0", variant="lora.r=8")
    study.cell("ce-mh-joint-s1")
    study.cell("ce-prefix_mh-joint-s0")
    study.cell("ce-none-joint-s0")
    assert [row.labels for row in only(study).rows] == [
        ("ce", "none", "joint", ""),
        ("ce", "mh", "joint", ""),
        ("ce", "mh", "joint", "lora.r=8"),
        ("ce", "mh", "equal", ""),
        ("ce", "mh", "single_type_type", ""),
        ("ce", "prefix_mh", "joint", ""),
        ("llm", "prefix", "joint", ""),
        ("llm", "mhp", "joint", ""),
    ]


def test_best_marks_all_that_tie_and_leaves_floors_out(study):
    for name, wrong in (("ce-mh-joint-s0", 3), ("llm-mh-joint-s0", 2), ("llm-mhp-joint-s0", 2)):
        study.cell(name, wrong)
    matrix = only(study)
    assert matrix.best.tolist() == [[False] * 8, [True] * 8, [True] * 8]
    assert matrix.references[CEILING].accuracy[0] > matrix.rows[1].mean[0]


def test_a_single_task_row_competes_for_its_task_but_not_for_micro_and_macro(study):
    study.cell("llm-mh-joint-s0", 5)
    study.cell("llm-mh-single_item_item-s0", 1)
    joint, single = only(study).rows
    task = COLUMNS.index("item_item")
    assert np.flatnonzero(~np.isnan(single.mean)).tolist() == [task, MICRO, MACRO]
    best = only(study).best
    assert best[1].nonzero()[0].tolist() == [task]
    assert best[0, [MICRO, MACRO]].all()
    assert only(study).partial(single)
    assert not only(study).partial(joint)


def test_unfinished_seeds_leave_the_mean_to_the_others(study):
    study.cell("llm-mh-joint-s0", 5)
    study.cell("llm-mh-joint-s1", None)
    study.cell("llm-mh-joint-s2", None, status="MISSING")
    (row,) = only(study).rows
    assert row.mean[0] == pytest.approx(15 / 20)
    assert (row.finished, row.unfinished) == (1, "failed, missing")


def test_a_row_is_marked_where_any_finished_seed_collapsed(study):
    study.cell("llm-mh-joint-s0", 2)
    study.cell("llm-mh-joint-s1", 9)  # 11 of 20 right, where the majority's 7 differ by chance
    study.cell("llm-mh-joint-s2", None)
    study.cell("llm-mh-single_item_item-s0", 9)
    joint, single = only(study).rows
    assert [tested.collapsed for tested in joint.results] == [(), TASK_NAMES]
    assert joint.collapsed == [*TASK_NAMES]
    assert single.collapsed == ["item_item"]


def test_rows_of_one_entity_are_no_proof_of_learning(study):
    """70 % where the majority has 35: shown of 20 entities, not of 10 that have two rows each of one answer."""
    study.cell("ce-mh-joint-s0", 4)
    assert only(study).rows[0].collapsed == []
    (table,) = study.tables.values()
    place = table.groupby(["task", "split"]).cumcount()
    table["left"] = table["task"] + " " + table["split"] + " " + (place // 2).astype(str)
    table.loc[table["split"] == "train", "left"] += " seen"
    study.table(table)
    (row,) = only(study).rows
    assert row.mean[0] == pytest.approx(0.8)
    assert set(row.collapsed) <= set(TASK_NAMES)
    low = only(study).panel().lows(only(study).floor("majority"))[row.places[0]]
    assert row.collapsed == [task for task, end in zip(TASK_NAMES, low, strict=True) if end <= 0]


def test_a_task_of_few_entities_is_marked_where_the_floor_is_not_passed(study):
    (table,) = study.tables.values()
    place = table.groupby(["task", "split"]).cumcount()
    table["left"] = table["task"] + " " + table["split"] + " " + (place % 5).astype(str)
    study.table(table)
    study.cell("ce-mh-joint-s0", 9)
    study.cell("ce-mhp-joint-s0", 15)
    mh, mhp = only(study).rows
    assert (mh.collapsed, mhp.collapsed) == ([], [*TASK_NAMES])


def test_metrics_are_means_over_the_finished_seeds_that_logged_a_number(study):
    for seed, value in enumerate((1.0, 3.0, float("nan"))):
        study.cell(f"llm-mh-joint-s{seed}")
        study.log({"loss": value})
    study.cell("llm-mh-joint-s3", None, metrics={"loss": 50.0})
    (row,) = only(study).rows
    assert row.metric("loss") == 2.0
    assert np.isnan(row.metric("never"))


def test_fewer_than_six_tasks(bare, pairs):
    bare.table(pairs(("query_item", "type_type")))
    bare.cell("ce-mh-joint-s0", 4)
    matrix = only(bare)
    assert matrix.n.tolist() == [20, 0, 0, 0, 0, 20]
    assert matrix.rows[0].mean[[0, 5, MICRO, MACRO]] == pytest.approx([0.8] * 4)
    assert not matrix.partial(matrix.rows[0])
    assert matrix.best[0].tolist() == [True, False, False, False, False, True, True, True]


def test_each_table_of_pairs_has_a_matrix_of_its_own(study, pairs):
    study.table(pairs(("query_item",)), "e2" * 32)
    study.cell("ce-mh-joint-s0", 4)
    study.cell("ce-mh-joint-s0", 8, data_digest="e2" * 32, variant="data.rows=500")
    first, second = matrices(study.sweep())
    assert (first.n.sum(), second.n.sum()) == (120, 20)
    assert (first.rows[0].mean[0], second.rows[0].mean[0]) == pytest.approx((0.8, 0.6))


def test_a_file_of_another_run_is_damaged(study):
    cell = study.cell("llm-mhp-joint-s0", 4)
    study.cells[0] = replace(cell, metrics={**cell.metrics, "test/item_item/accuracy": 0.800002})
    damaged_alone(study, r"item_item accuracy 0\.800000.*logged 0\.800002.*rerun=true")


def damaged_alone(study, reason: str) -> None:
    """The first cell costs its own place alone, is counted, and says why; the others stand as they were."""
    study.cell("llm-mhp-joint-s1", 4)
    study.cell("ce-mh-joint-s0", 4)
    (other, row) = only(study).rows
    assert [cell.status for cell in row.cells] == ["DAMAGED", "FINISHED"]
    assert (other.finished, row.finished, row.unfinished) == (1, 1, "damaged")
    assert re.search(reason, row.cells[0].reason)
    folder = write_report(study.sweep(), study.reports, Form(figures=False))
    page = (folder / "matrix.md").read_text()
    assert "3 cells: 2 finished" in page
    assert ", 1 damaged." in page
    assert "- llm-mhp-joint-s0 damaged: " in page
    assert "llm-mhp-joint-s0,llm,mhp,joint,,0,all,accuracy,,,DAMAGED," in (folder / "cells.csv").read_text()


@pytest.mark.parametrize("content", [None, b"", b"PAR1 cut short"])
def test_damaged_predictions_cost_one_cell(study, content):
    path = study.cell("llm-mhp-joint-s0", 4).folder / "test.parquet"
    path.unlink() if content is None else path.write_bytes(content)
    damaged_alone(study, r"test\.parquet")


def test_absent_rows_name_the_file(study):
    cell = study.cell("llm-mhp-joint-s0")
    study.cells[0] = replace(cell, data_digest="ab" * 32)
    with pytest.raises(UserError, match=r"rows\.parquet: no such file; give outputs="):
        matrices(study.sweep())


def test_a_cell_that_was_refused_takes_no_report_along_and_is_told_with_its_reason(study):
    study.cell("llm-mhp-joint-s0")
    study.cell("llm_b-mhp-joint-s0", None, status="REFUSED", reason="is gated", data_digest="", family="")
    (matrix,) = matrices(study.sweep())
    assert [row.cells[0].cell for row in matrix.rows] == ["llm-mhp-joint-s0"]
    page = (write_report(study.sweep(), study.reports, Form(figures=False)) / "matrix.md").read_text()
    assert "llm_b-mhp-joint-s0 refused: is gated" in page


def test_a_sweep_without_cells_is_refused(study):
    with pytest.raises(UserError, match="sweep nightly: holds no cells"):
        matrices(study.sweep())


def test_every_file_of_a_cell_is_read_once(study, monkeypatch):
    for seed in range(2):
        study.cell(f"ce-mh-joint-s{seed}", 3)
    matrices(study.sweep())  # seals them
    read, real = [], predictions.read
    monkeypatch.setattr(predictions, "read", lambda path, columns=None: (read.append(path), real(path, columns))[1])
    matrices(study.sweep())
    files = [path for cell in study.cells for path in (cell.files.test, cell.files.validation)]
    assert sorted(path for path in read if "cells" in path.parts) == sorted(files)
