"""What a cell answers to implied pairs, counted: mirrored labels, broken triangles, single-task cells together."""

import numpy as np
import pytest
from page import line, text

from relevance import predictions, seal
from relevance.cell_id import data_folder
from relevance.data.implied import ensure_implied
from relevance.tasks import TASKS


def answered(cell) -> dict[int, int]:
    """Label by test row."""
    table = predictions.read(cell.folder / "test.parquet")
    return dict(zip(table["row"].to_pylist(), table["predicted"].to_pylist(), strict=True))


def answer(study, cell, mirrored: dict[int, int] | None = None) -> None:
    """Leave a cell's consistency.parquet: mirrors get the label of the row they mirror, or what `mirrored` says."""
    implied = ensure_implied(data_folder(study.outputs, cell.data_digest) / "rows.parquet")
    said = answered(cell)
    of = dict(zip(implied.mirrors["mirror"].to_pylist(), implied.mirrors["row"].to_pylist(), strict=True))
    pairs = implied.pairs.to_pandas()
    if cell.task_mix != "joint":
        pairs = pairs[pairs["task"] == cell.task_mix.removeprefix("single_")]
    label = np.array([(mirrored or {}).get(row, said.get(of.get(row), 2)) for row in pairs["row"]], int)
    table = predictions.table(
        pairs["row"].to_numpy(), pairs["task"].to_numpy(), np.full(len(pairs), -1), np.eye(3)[label].reshape(-1, 3)
    )
    predictions.write(table, cell.folder / "consistency.parquet")
    seal.place(cell.folder).unlink(missing_ok=True)  # of what it left before


def section(study) -> str:
    return text(study).split("## Consistency across tasks")[1].split("## Beyond")[0]


def test_mirrors_that_change_their_label_are_counted(study):
    cell = study.cell("llm-mh-joint-s0", 0)
    implied = ensure_implied(data_folder(study.outputs, cell.data_digest) / "rows.parquet").mirrors.to_pandas()
    own = implied[implied["task"] == "item_item"]
    said = answered(cell)
    changed = {mirror: (said[row] + 1) % 3 for row, mirror in own[["row", "mirror"]].to_numpy()[:5]}
    answer(study, cell, changed)
    page = section(study)
    assert f"item_item mirrored, % n={len(own)}" in page
    row = line(page, "llm", "mh", "joint")
    assert row[5:8] == ["0.0", f"{100 * 5 / len(own):.1f}", "0.0"]


def test_single_task_cells_answer_together(study):
    for task in TASKS:
        answer(study, study.cell(f"ce-mh-single_{task}-s0", 0))
    answer(study, study.cell("ce-mh-joint-s0", 0))
    page = section(study)
    assert line(page, "ce", "mh", "single × 6")[4:8] == ["1", "0.0", "0.0", "0.0"]
    assert line(page, "ce", "mh", "joint")[4:8] == ["1", "0.0", "0.0", "0.0"]


def test_cells_without_implied_pairs_are_counted(study):
    answer(study, study.cell("ce-mh-joint-s0", 0))
    study.cell("ce-mh-joint-s1", 0)
    page = section(study)
    assert line(page, "ce", "mh", "joint")[4] == "1"
    assert "1 cells scored no implied pairs" in page


def test_no_section_where_no_cell_scored_them(study):
    study.cell("ce-mh-joint-s0", 0)
    assert "## Consistency" not in text(study)


def test_a_triangle_breaks_where_two_sides_are_relevant_and_the_third_is_not(bare):
    import pandas as pd

    rows = pd.DataFrame(
        [
            ("query_item", "usb cable", "Volt cable", 2),
            ("item_type", "Volt cable", "cables", 2),
            ("query_item", "usb cable", "a shoe", 0),
            ("query_query", "usb cable", "cable usb", 2),
        ],
        columns=["task", "left", "right", "label"],
    )
    frame = pd.concat([rows.assign(split=split) for split in ("train", "validation", "test")], ignore_index=True)
    frame.loc[frame["split"] != "test", ["left", "right"]] += " other"
    frame["row"], frame["label"] = np.arange(len(frame)), frame["label"].astype("int8")
    bare.table(frame)
    cell = bare.cell("ce-mh-joint-s0", 0)
    implied = ensure_implied(data_folder(bare.outputs, cell.data_digest) / "rows.parquet")
    triangles = implied.triangles.to_pandas().set_index("kind")
    third = triangles.loc["query_item + item_type → query_type", "third"]
    closing = implied.pairs.to_pandas().set_index("row").loc[third]
    assert closing.tolist() == ["query_type", "usb cable", "cables"]
    answer(bare, cell, {third: 0})
    n = len(triangles)
    assert line(section(bare), "ce", "mh", "joint")[-2:] == [f"{100 / n:.1f} [{n}]", "100.0 [1]"]
    answer(bare, cell, {third: 1})
    assert line(section(bare), "ce", "mh", "joint")[-2:] == [f"0.0 [{n}]", "0.0 [1]"]


@pytest.mark.parametrize("seed", [0, 1])
def test_implied_pairs_are_the_same_each_time(study, seed, tmp_path):
    import pyarrow.parquet as pq

    from relevance.data.implied import implied

    table = pq.read_table(data_folder(study.outputs, next(iter(study.tables))) / "rows.parquet")
    shuffled = table.take(np.random.default_rng(seed).permutation(len(table))) if seed else table
    first, second = implied(table), implied(shuffled.sort_by("row"))
    assert first.pairs.equals(second.pairs)
    assert first.triangles.equals(second.triangles)
    known = set(table["row"].to_pylist()) | set(first.pairs["row"].to_pylist())
    assert not set(first.pairs["row"].to_pylist()) & set(table["row"].to_pylist())
    for name in ("first", "second", "third"):
        assert set(first.triangles[name].to_pylist()) <= known


def test_single_task_cells_need_not_know_every_task(bare, pairs):
    bare.table(pairs(("query_item", "item_type")))
    answer(bare, bare.cell("ce-mh-joint-s0", 0))
    for task in ("query_item", "item_type"):
        answer(bare, bare.cell(f"ce-mh-single_{task}-s0", 0))
    assert line(section(bare), "ce", "mh", "single × 6")[4] == "1"
