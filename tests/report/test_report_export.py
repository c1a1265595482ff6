import csv
import io
import json

import pytest

from relevance.report.files import cells_csv, guard, provenance_json
from relevance.report.matrix import matrices
from relevance.report.page import findings_of
from relevance.tasks import TASK_NAMES

HEADER = "sweep,cell,model,routing,task_mix,variant,seed,task,metric,value,n,status,run_id,git_sha"


def lines(study) -> list[dict[str, str]]:
    sweep = study.sweep()
    text = cells_csv(sweep, findings_of(matrices(sweep)))
    assert text.startswith(HEADER + "\n")
    assert "\r" not in text
    return list(csv.DictReader(io.StringIO(text)))


def test_a_finished_cell_has_its_metrics_in_full_precision(study):
    study.cell("llm-mhp-joint-s0", 7)
    mine = [row for row in lines(study) if row["cell"] == "llm-mhp-joint-s0"]
    assert len(mine) == 6 * 8 + 2 + 1
    (item,) = [row for row in mine if (row["task"], row["metric"]) == ("item_type", "accuracy")]
    assert (item["value"], item["n"], item["seed"], item["status"]) == (repr(13 / 20), "20", "0", "FINISHED")
    total = {row["metric"]: (float(row["value"]), row["n"]) for row in mine if row["task"] == "all"}
    assert total == {
        "accuracy": (13 / 20, "120"),
        "macro_accuracy": (pytest.approx(13 / 20, abs=1e-12), "120"),
        "parameters_trainable": (12345, ""),
    }


def test_each_task_tested_says_whether_the_cell_collapsed_on_it(study):
    study.cell("llm-mhp-joint-s0", 2)
    study.cell("llm-mhp-single_item_type-s0", 9)
    found = [row for row in lines(study) if row["metric"] == "collapsed"]
    assert [row["task"] for row in found] == [*TASK_NAMES, "item_type"]
    assert [row["value"] for row in found] == [*"000000", "1"]
    assert {row["n"] for row in found} == {"20"}


def test_probes_and_sizes_stand_with_the_cell_that_logged_them(study):
    study.cell("llm-mhp-joint-s0", 8)
    study.log({"params/total": 123456789.0, "probe/x/accuracy": 0.25, "probe/x/macro_accuracy": 0.3})
    study.log({"probe/x/item_type/accuracy": 0.1, "probe/x/item_item/accuracy": float("nan")})
    study.cell("llm-mhp-joint-s1", None, metrics={"params/total": 5.0, "probe/x/accuracy": 0.5})
    found = {(row["task"], row["metric"]): (row["value"], row["n"]) for row in lines(study) if row["cell"][-2:] == "s0"}
    assert found["all", "parameters_total"] == ("123456789", "")
    assert {key: value for key, value in found.items() if key[1].startswith("probe/")} == {
        ("item_type", "probe/x/accuracy"): ("0.1", "20"),
        ("all", "probe/x/accuracy"): ("0.25", "120"),
        ("all", "probe/x/macro_accuracy"): ("0.3", "120"),
    }
    assert len([row for row in lines(study) if row["cell"][-2:] == "s1"]) == 1


def test_a_failed_cell_has_one_row_with_an_empty_value(study):
    study.cell("llm-mhp-joint-s0", None)
    (row,) = [row for row in lines(study) if row["cell"] == "llm-mhp-joint-s0"]
    assert (row["task"], row["value"], row["n"], row["status"]) == ("all", "", "", "FAILED")


def test_floors_and_ceiling_are_rows_without_a_run(study):
    study.cell("llm-mhp-joint-s0", 7)
    rest = [row for row in lines(study) if row["cell"] != "llm-mhp-joint-s0"]
    assert {(row["model"], row["routing"]) for row in rest} == {
        ("floor", "majority"),
        ("floor", "lexical"),
        ("ceiling", "label noise"),
    }
    assert {row[key] for row in rest for key in ("task_mix", "seed", "status", "run_id", "git_sha")} == {""}


def test_floors_of_several_tables_are_told_apart(study, pairs):
    study.table(pairs(("query_item",)), "e2" * 32)
    study.cell("ce-mh-joint-s0")
    study.cell("ce-mh-joint-s0", data_digest="e2" * 32, variant="data.rows=500")
    variants = {row["variant"] for row in lines(study) if row["model"] == "floor"}
    assert variants == {"data=d1d1d1d1d1d1", "data=e2e2e2e2e2e2"}


def test_formulas_are_guarded_and_numbers_are_not(study):
    study.cell("ce-mh-joint-s0", variant="=SUM(A1)")
    assert "'=SUM(A1)" in {row["variant"] for row in lines(study)}
    assert [guard(text) for text in ("=1", "+x", "@a", "-b", "-1.5e-3", "+2", "a=b", "")] == [
        "'=1", "'+x", "'@a", "'-b", "-1.5e-3", "+2", "a=b", ""
    ]  # fmt: skip


def test_provenance_walks_back_to_runs_code_and_data(study):
    study.cell("ce-mh-joint-s0", dirty=True)
    study.cell("ce-mhp-joint-s0", None)
    sweep = study.sweep()
    found = json.loads(provenance_json(sweep, matrices(sweep)))
    assert found["sweeps"][0]["command"] == sweep.runs[0].command
    assert found["cells"][0] == {
        "backbone": "",
        "cell": "ce-mh-joint-s0",
        "data_digest": "d1" * 32,
        "dirty": True,
        "fingerprint": "0" * 64,
        "git_sha": "9d" * 20,
        "revision": "",
        "run_id": "run0",
        "status": "FINISHED",
        "versions": {"torch": "2.13.0"},
    }
    assert found["cells"][1]["status"] == "FAILED"
    data = found["data"]["d1" * 32]
    assert data["rows"] == {"train": 240, "validation": 24, "test": 120}
    assert data["test_rows"]["type_type"] == 20
