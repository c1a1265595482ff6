import re

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import t

from relevance import predictions
from relevance.pages.blocks import Section, Table
from relevance.report.matrix import matrices
from relevance.report.sections.mistakes import Slice, jaccard, mistakes_sections, slices, slices_table
from relevance.tasks import LABELS, TASK_NAMES

NASTY = "<script>|&%_$"


def sections(study, texts: bool = False) -> list[Section]:
    return mistakes_sections(matrices(study.sweep()), texts)


def tables(section: Section) -> list[Table]:
    return [block for block in section.blocks if isinstance(block, Table)]


def told(study, texts: bool) -> str:
    """Every text of the sections."""
    return repr(sections(study, texts))


def rows_of(table: Table, name: str) -> dict[str, list[str]]:
    return {line[1]: line[2:] for line in table.body if line[0] == name}


def leave(study, cell, hit: np.ndarray, confidence: np.ndarray) -> None:
    """Test rows of the fixture's table answered with this confidence [N], right where `hit` [N]."""
    (table,) = study.tables.values()
    rows = table.query("split == 'test'")
    label = rows["label"].to_numpy()
    p = np.repeat((1 - confidence)[:, None] / 2, 3, axis=1)
    p[np.arange(len(rows)), np.where(hit, label, (label + 1) % 3)] = confidence
    found = predictions.table(rows["row"].to_numpy(), rows["task"].to_numpy(), label, p)
    predictions.write(found, cell.folder / "test.parquet")


def with_columns(study, **columns) -> None:
    """The fixture's table with these columns over its test rows [120] and something else elsewhere."""
    (table,) = study.tables.values()
    test = table["split"] == "test"
    for name, values in columns.items():
        table[name] = False if np.asarray(values).dtype == bool else table.get(name, "elsewhere")
        table.loc[test, name] = values
    study.table(table)


def test_a_part_for_the_best_whole_row_of_each_family_and_its_lowest_finished_seed(study):
    study.cell("ce-none-single_query_item-s0", 0)
    for name, wrong in (("ce-none-joint", 4), ("ce-prefix-joint", 3), ("llm-mh-joint", 6), ("llm-mhp-joint", 9)):
        study.cell(f"{name}-s0", None)
        study.cell(f"{name}-s1", wrong)
        study.cell(f"{name}-s2", wrong)
    first, *parts = sections(study)
    assert (first.title, first.deep) == ("Mistakes", False)
    assert [part.title for part in parts] == ["Mistakes of ce prefix joint, seed 1", "Mistakes of llm mh joint, seed 1"]
    assert all(part.deep for part in parts)


def test_no_section_without_a_whole_row(study):
    study.cell("ce-none-single_query_item-s0", 0)
    study.cell("ce-mh-joint-s0", None)
    assert sections(study) == []


def test_the_confusion_counts_labels_in_rows_and_predictions_in_columns(study):
    study.cell("ce-mh-joint-s0", 3)
    table = tables(sections(study)[1])[0]
    assert table.header == ["task", "label", *(f"predicted {word}" for word in LABELS)]
    assert [line[0] for line in table.body] == [f"{task} n=20" for task in TASK_NAMES for _ in LABELS]
    (pairs,) = study.tables.values()
    label = pairs.query("split == 'test' and task == 'item_type'")["label"].to_numpy()
    predicted = np.where(np.arange(20) < 3, (label + 1) % 3, label)
    expected = [[str(((label == i) & (predicted == j)).sum()) for j in range(3)] for i in range(3)]
    assert rows_of(table, "item_type n=20") == dict(zip(LABELS, expected, strict=True))


def test_the_fifty_surest_mistakes_come_by_confidence_then_by_row(study):
    cell = study.cell("ce-mh-joint-s0", metrics={})
    (pairs,) = study.tables.values()
    rows = pairs.query("split == 'test'")["row"].to_numpy()
    confidence = np.round(np.random.default_rng(1).choice([0.5, 0.625, 0.75, 0.875], 120), 3)
    hit = np.arange(120) % 4 == 0
    leave(study, cell, hit, confidence)
    part = sections(study)[1]
    assert "The 50 most confident of 90 mistakes:" in part.blocks
    table = tables(part)[1]
    expected = sorted((-c, row) for c, row in zip(confidence[~hit], rows[~hit], strict=True))[:50]
    assert [(-float(line[4]), int(line[3])) for line in table.body] == expected
    first = pairs.set_index("row").loc[int(table.body[0][3])]
    wrong = (first["label"] + 1) % 3
    assert table.body[0][:3] == [first["task"], LABELS[first["label"]], LABELS[wrong]]


def test_without_texts_none_leaks_with_texts_they_are_raw_and_cut(study):
    long = "ß" * 121
    with_columns(study, left=[f"{NASTY} {i}" for i in range(120)], right=[long[: 120 + i % 2] for i in range(120)])
    cell = study.cell("ce-mh-joint-s0", metrics={})
    leave(study, cell, np.arange(120) % 4 > 0, np.random.default_rng(1).uniform(0.4, 0.9, 120))
    without = told(study, texts=False)
    assert NASTY not in without
    assert "ßß" not in without
    table = tables(sections(study)[1])[1]
    assert {len(table.header), *map(len, table.body)} == {5}
    assert table.left == 3
    table = tables(sections(study, texts=True)[1])[1]
    assert table.header == ["task", "label", "predicted", "left", "right", "row", "confidence"]
    assert table.left == 5
    (pairs,) = study.tables.values()
    for line in table.body:
        row = pairs.set_index("row").loc[int(line[5])]
        assert line[3] == row["left"]
        assert line[4] == (row["right"] if len(row["right"]) == 120 else "ß" * 119 + "…")


def test_no_word_of_the_data_is_told_without_texts(study):
    study.cell("ce-mh-joint-s0", 5)
    (pairs,) = study.tables.values()
    words = set(" ".join([*pairs["left"], *pairs["right"]]).split())
    told_words = [set(re.findall(r"\w+", told(study, texts))) for texts in (False, True)]
    assert not words & told_words[0]
    assert words <= told_words[1]


def test_a_cell_without_mistakes_lists_none(study):
    study.cell("ce-mh-joint-s0", 0)
    assert len(tables(sections(study, texts=True)[1])) == 2


def test_slices_add_up_to_the_rows_and_say_accuracy_interval_and_difference(study):
    rng = np.random.default_rng(3)
    seen = {"left_seen": rng.random(120) < 0.4, "right_seen": rng.random(120) < 0.6}
    with_columns(study, source=rng.choice(["click", "human"], 120), **seen)
    cell = study.cell("ce-mh-joint-s0", metrics={})
    hit = rng.random(120) < 0.7
    leave(study, cell, hit, np.full(120, 0.8))
    table = tables(sections(study)[1])[-1]
    assert table.body[0][:3] == ["all", "", "120"]
    names = ["source", "characters of both", "overlap of words", "left seen in training", "right seen in training"]
    assert list(dict.fromkeys(line[0] for line in table.body[1:])) == names
    for name in names:
        assert sum(int(line[2]) for line in table.body if line[0] == name) == 120
    (pairs,) = study.tables.values()
    pairs = pairs.query("split == 'test'").assign(hit=hit)
    pairs["left"] += pairs["task"].str.partition("_")[0]  # texts of one kind are one entity
    for value, here in (("yes", seen["left_seen"]), ("no", ~seen["left_seen"])):
        n, accuracy = int(here.sum()), hit[here].mean()
        units = pairs[here].groupby("left")["hit"]
        influence = (units.sum() - units.count() * accuracy) / n  # of rows of one left entity
        g = len(influence)
        half = t.ppf(0.975, g - 1) * np.sqrt(g / (g - 1) * (influence**2).sum())
        low, high = accuracy - half, min(1, accuracy + half)
        expected = [f"{100 * accuracy:.1f}", f"{100 * low:.1f}–{100 * high:.1f}"]
        assert rows_of(table, names[3])[value][:3] == [str(here.sum()), *expected]
        assert float(rows_of(table, names[3])[value][3]) == pytest.approx(100 * (accuracy - hit.mean()), abs=0.06)


def test_absent_and_empty_columns_are_no_slice(study):
    cell = study.cell("ce-mh-joint-s0", 3)
    names = {line[0] for line in tables(sections(study)[1])[-1].body}
    assert names == {"all", "characters of both", "overlap of words"}
    (table,) = study.tables.values()
    table["source"] = None
    study.table(table)
    assert {one.name for one in slices(matrices(study.sweep())[0].tested)} == names - {"all"}
    assert cell.folder.is_dir()


def test_small_slices_have_their_n_alone_and_sources_past_the_twelfth_share_a_line(study):
    sources = ["a"] * 30 + [f"s{i:02d}" for i in range(15) for _ in range(6)]
    with_columns(study, source=sources)
    study.cell("ce-mh-joint-s0", 3)
    found = rows_of(tables(sections(study)[1])[-1], "source")
    assert list(found) == ["a", *(f"s{i:02d}" for i in range(11)), "4 others"]
    assert found["s00"] == ["6", "—", "—", "—"]
    assert found["4 others"][0] == "24"
    assert "—" not in found["4 others"] + found["a"]


def test_rows_without_a_source_are_a_value_of_their_own(study):
    with_columns(study, source=["click"] * 80 + [None] * 40)
    study.cell("ce-mh-joint-s0", 3)
    assert {value: line[0] for value, line in rows_of(tables(sections(study)[1])[-1], "source").items()} == {
        "click": "80",
        "—": "40",
    }


def test_lengths_are_quarters_and_equal_lengths_stay_together(study):
    with_columns(study, left=["x" * (1 + i // 30) for i in range(119)] + ["xxxxx"], right=["y"] * 120)
    study.cell("ce-mh-joint-s0", 3)
    found = rows_of(tables(sections(study)[1])[-1], "characters of both")
    assert {value: line[0] for value, line in found.items()} == {"2": "30", "3": "30", "4": "30", "5–6": "30"}
    with_columns(study, left=["x" * i for i in range(1, 121)])
    found = rows_of(tables(sections(study)[1])[-1], "characters of both")
    assert {value: line[0] for value, line in found.items()} == dict.fromkeys(
        ["2–31", "32–61", "62–91", "92–121"], "30"
    )
    with_columns(study, left=["x"] * 120)
    found = rows_of(tables(sections(study)[1])[-1], "characters of both")
    assert {value: line[0] for value, line in found.items()} == {"2": "120"}


def test_overlap_is_jaccard_of_lower_cased_words_with_bins_closed_above(study):
    left = ["Red shoe", "red, RED shoe", "a b", "a b c d", "é x", "!!", "a b c", "a"]
    right = ["red SHOE", "red", "c d", "d", "É", "!!", "c a z", "b a c d e f"]
    expected = [1, 1 / 2, 0, 1 / 4, 1 / 2, 0, 2 / 4, 1 / 6]
    assert jaccard(pa.chunked_array([left]), pa.chunked_array([right])) == pytest.approx(expected)
    assert jaccard(pa.chunked_array([["!"]]), pa.chunked_array([["?"]])).tolist() == [0]
    with_columns(study, left=left * 15, right=right * 15)
    study.cell("ce-mh-joint-s0", 3)
    found = rows_of(tables(sections(study)[1])[-1], "overlap of words")
    counts = {"0": "30", "(0, 0.25]": "30", "(0.25, 0.5]": "45", "(0.5, 1]": "15"}
    assert {value: line[0] for value, line in found.items()} == counts


def test_rows_that_were_not_asked_are_in_no_slice(study):
    study.cell("ce-mh-joint-s0", 3)
    found = slices(matrices(study.sweep())[0].tested)
    asked = np.arange(120) < 70
    table = slices_table(found, np.ones(120, bool), asked, np.arange(120))
    assert table.body[0][:4] == ["all", "", "70", "100.0"]
    assert sum(int(line[2]) for line in table.body if line[0] == "overlap of words") == 70


def test_a_difference_that_rounds_to_nothing_has_no_minus():
    halves = Slice("side", ["left", "right"], np.arange(20_000) % 2)
    hit = np.arange(20_000) % 4 > 1
    hit[0] = True  # 50.01 and 50 percent, of 50.005
    table = slices_table([halves], hit, np.ones(20_000, bool), np.arange(20_000))
    assert [line[-1] for line in table.body] == ["", "+0.0", "+0.0"]


def test_each_table_of_pairs_has_parts_of_its_own(study, pairs):
    study.table(pairs(("query_item",)), "e2" * 32)
    study.cell("ce-mh-joint-s0", 3)
    study.cell("llm-mh-joint-s0", 2, data_digest="e2" * 32)
    parts = sections(study)[1:]
    assert [part.blocks[0] for part in parts] == ["Data d1d1d1d1d1d1.", "Data e2e2e2e2e2e2."]
