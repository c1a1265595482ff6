"""A cell by its name, a beginning of it, a run id, as the best: which is meant, and what is said where none is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from relevance import predictions
from relevance.cli import parse
from relevance.errors import UserError
from relevance.export.__main__ import Options as ExportOptions
from relevance.predict.__main__ import Options as PredictOptions
from relevance.tracking.names import Choice
from relevance.tracking.records import CellRecord

TASKS = ("query_item", "item_item")


def cell(folder: Path, name: str, run_id: str, right: int = 50, tasks: int = 2, **changes) -> CellRecord:
    """A finished cell that was right on so many of the 100 validation rows of each of its tasks."""
    model, routing, *_ = name.split("-")
    seed = int(name[-1])
    known = CellRecord(
        name, model, routing, "joint", "", seed, "llm" if model == "llm" else "ce", f"print {name} {run_id}", "d1",
        "FINISHED", run_id, "1", "", False, "", folder / run_id, {"validation/macro_accuracy": 0.99}, {},
    )  # fmt: skip
    known = replace(known, **changes)
    labels = np.tile([2] * right + [0] * (100 - right), tasks)
    rows, names = np.arange(100 * tasks), np.repeat(TASKS[:tasks], 100)
    known.folder.mkdir(parents=True)
    table = predictions.table(rows, names, np.full(len(rows), 2), np.eye(3)[labels])
    predictions.write(table, known.files.validation)
    return known


@pytest.fixture
def cells(tmp_path):
    return [
        cell(tmp_path, "ce-mh-joint-s0", "0123aaaa", 60),
        cell(tmp_path, "ce-mhp-joint-s0", "1e10bbbb", 70),
        cell(tmp_path, "ce_b-mh-joint-s0", "0124cccc", 65),
        cell(tmp_path, "llm-mh-joint-s0", "dddd0000", 40),
    ]


@pytest.mark.parametrize(
    ("word", "run_id"),
    [
        ("ce-mh-joint-s0", "0123aaaa"),  # whole, though another begins so too
        ("ce-mhp", "1e10bbbb"),
        ("l", "dddd0000"),
        ("0123", "0123aaaa"),
        ("0124cccc", "0124cccc"),
        ("best", "1e10bbbb"),
        ("best:ce", "1e10bbbb"),
        ("best:ce_b", "0124cccc"),
        ("best:llm", "dddd0000"),
        ("best:ce-mh-", "0123aaaa"),
    ],
)
def test_one_cell_is_meant(cells, word, run_id):
    assert Choice(cells, "sweep test").named(word).run_id == run_id


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (
            "ce-mh",
            r"several of sweep test: 0123aaaa \(ce-mh-joint-s0\), 1e10bbbb \(ce-mhp-joint-s0\); write",
        ),
        ("012", "neither a folder nor a run of sweep test"),  # too short for a run id
        ("ce-mph-joint-s0", "did you mean ce-mh-joint-s0 or ce-mhp-joint-s0 or"),
        ("", "several of sweep test"),
        ("best:lm", "has no such cell .*best:ce, best:ce_b, best:llm"),
        ("Best", "or give best"),
    ],
)
def test_several_cells_or_none_are_named(cells, word, said):
    with pytest.raises(UserError, match=said):
        Choice(cells, "sweep test").named(word)


def test_a_cut_name_is_known_whole_too(tmp_path):
    (long,) = [cell(tmp_path, "ce-mh[lr=1…0a]-joint-s0", "aaaa", variant="lr=1e-05,seed=3", routing="mh")]
    able = Choice([long], "sweep test")
    assert able.named("ce-mh[lr=1…0a]-joint-s0") == able.named("ce-mh[lr=1e-05,seed=3]-joint-s0") == long


def test_of_equal_names_the_finished_one_is_meant_and_two_are_told_apart_by_run(tmp_path, cells):
    old = cell(tmp_path, "ce-mh-joint-s0", "eeee0000", status="FAILED")
    assert Choice([old, *cells], "sweep test").named("ce-mh-joint-s0").run_id == "0123aaaa"
    with pytest.raises(UserError, match=r"0123aaaa .*eeee0000"):
        Choice([*cells, replace(old, status="FINISHED")], "sweep test").named("ce-mh-joint-s0")
    failed = cell(tmp_path, "ce-mhx-joint-s0", "ffff0000", status="FAILED")
    with pytest.raises(UserError, match="several of"):  # another cell may be meant that did not finish
        Choice([cells[1], failed], "sweep test").named("ce-mh")


def test_a_run_that_another_took_the_place_of_says_so(tmp_path, cells):
    earlier = replace(cells[0], run_id="0123ffff")
    able = Choice(cells, "sweep test", [earlier])
    with pytest.raises(UserError, match=r"0123ffff: FINISHED, and what its cell ce-mh-joint-s0 keeps is of .*0123aaaa"):
        able.named("0123f")
    with pytest.raises(UserError, match=r"several of .*0123aaaa .*0123ffff"):
        able.named("0123")
    assert able.named("ce-mh-joint-s0").run_id == "0123aaaa"


def test_the_best_learnt_something_on_all_tasks_of_one_table(tmp_path, cells, capsys):
    single = cell(tmp_path, "ce-none-joint-s0", "a1", 90, tasks=1)
    nothing = cell(tmp_path, "ce-none-joint-s1", "a2", 95, learnt=False)
    running = cell(tmp_path, "ce-none-joint-s2", "a3", 99, status="RUNNING")
    torn = cell(tmp_path, "ce-none-joint-s3", "a4", 99)
    torn.files.validation.write_bytes(b"torn")
    able = Choice([single, nothing, running, torn, *cells], "sweep test")
    assert able.named("best").run_id == "1e10bbbb"
    assert "ce-none-joint-s3: is left out (predictions" in capsys.readouterr().err
    with pytest.raises(UserError, match="several tables of pairs, and are not comparable"):
        Choice([*cells, replace(single, data_digest="d2")], "sweep test").named("best")
    with pytest.raises(UserError, match="no such cell that finished and learnt anything"):
        Choice([nothing, running], "sweep test").named("best")
    with pytest.raises(UserError, match="has validation rows"):
        Choice([torn], "sweep test").named("best")


@pytest.mark.parametrize("word", ["0123", "1e10", "0x1f", "1_000", "2026-11-27", "best:ce", "1.50", "yes"])
def test_a_name_stays_what_was_typed(word):
    assert parse(PredictOptions, [f"cells={word}", f"sweep={word}"]).cells == word
    assert parse(PredictOptions, [f"cells=[{word},b]"]).cells == [word, "b"]
    assert parse(ExportOptions, [f"cell={word}"]).cell == word
    assert parse(PredictOptions, ["sweep=null"]).sweep is None
