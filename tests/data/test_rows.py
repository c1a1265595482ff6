import csv
import json

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from relevance.config import DataConfig, OnBadRow, Source
from relevance.data.__main__ import command
from relevance.data.stored import file_digest
from relevance.data.table import prepare_rows
from relevance.errors import UserError

SPLITS = ("train", "train", "validation", "test")


def pairs(n=8):
    return {
        "task": ["query_item", "query_query"] * (n // 2),
        "left": [f"left {k // 2}" for k in range(n)],
        "right": [f"right {k}" for k in range(n)],
        "label": [k % 3 for k in range(n)],
        "split": [SPLITS[k // 2 % 4] for k in range(n)],
        "left_id": [f"q{k // 2}" for k in range(n)],
        "right_id": [f"r{k}" for k in range(n)],
    }


def saved(tmp_path, table, name="pairs.parquet", **config):
    path = tmp_path / name
    table = pa.table(table)
    if name.endswith("csv"):
        pa.csv.write_csv(table, path)
    elif name.endswith("jsonl"):
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    else:
        pq.write_table(table, path, row_group_size=3)
    return DataConfig(kind=Source.pairs, path=str(path), **config)


def test_rows_lie_on_disk_in_the_order_of_the_contract(tmp_path):
    rows = prepare_rows(saved(tmp_path, pairs() | {"mine": range(8)}), tmp_path / "out")
    assert rows.path == tmp_path / "out" / "data" / rows.digest[:16] / "rows.parquet"
    written = pq.read_table(rows.path)
    assert written.equals(rows.table)
    ids = ["left_id", "right_id", "source"]
    seen = ["label", "left_seen", "right_seen", "mine"]
    assert written.column_names == ["row", "split", "task", "left", "right", *ids, *seen]
    assert written["row"].to_pylist() == list(range(8))
    assert written["source"].null_count == 8
    assert sorted(path.name for path in rows.path.parent.iterdir()) == ["rows.parquet", "rows.parquet.seal"]


def test_the_digest_can_be_taken_again_from_the_table_on_disk(tmp_path):
    columns = pairs() | {"mine": [None, *range(7)], "left_seen": [True] * 8}
    rows = prepare_rows(saved(tmp_path, columns), tmp_path / "out")
    assert file_digest(rows.path) == rows.digest
    generated = prepare_rows(DataConfig(rows=300), tmp_path / "out")
    assert file_digest(generated.path) == generated.digest


def test_a_digest_already_there_is_not_written_again(tmp_path):
    config = saved(tmp_path, pairs())
    path = prepare_rows(config, tmp_path).path
    before = path.stat().st_mtime_ns
    assert prepare_rows(config, tmp_path).path.stat().st_mtime_ns == before


def test_the_digest_is_of_the_content_not_of_the_file(tmp_path):
    table = pairs() | {"weight": [0.5] * 8, "source": ["human", None] * 4}
    digests = {
        prepare_rows(saved(tmp_path, table, name), tmp_path).digest
        for name in ("a.parquet", "b.csv", "c.jsonl", "d.parquet")
    }
    encoded = {name: pa.array(values).dictionary_encode() for name, values in pairs().items() if name != "label"}
    encoded |= {name: table[name] for name in ("weight", "source")} | {"label": pa.array(table["label"], pa.float64())}
    digests.add(prepare_rows(saved(tmp_path, encoded), tmp_path).digest)
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("left", ["left 0!", *pairs()["left"][1:]]),
        ("label", pairs()["label"][::-1]),
        ("split", ["validation", *pairs()["split"][1:]]),
        ("right_id", [None, *pairs()["right_id"][1:]]),
        ("mine", list("12345678")),
    ],
)
def test_whatever_is_said_enters_the_digest(tmp_path, column, values):
    first = prepare_rows(saved(tmp_path, pairs()), tmp_path).digest
    assert first != prepare_rows(saved(tmp_path, pairs() | {column: values}, "b.parquet"), tmp_path).digest


def test_moving_a_letter_to_the_next_cell_changes_the_digest(tmp_path):
    first = pairs() | {"right": ["ab", "c", *pairs()["right"][2:]]}
    two = pairs() | {"right": ["a", "bc", *pairs()["right"][2:]]}
    digests = {prepare_rows(saved(tmp_path, table), tmp_path).digest for table in (first, two)}
    assert len(digests) == 2


def test_seen_means_on_either_side_of_a_training_row_of_the_same_task_and_kind(tmp_path):
    table = {
        "task": ["query_query", "query_query", "query_query", "query_item", "query_item"],
        "left": ["a", "b", "c", "a", "d"],
        "right": ["b", "x", "a", "d", "y"],
        "label": [0, 1, 2, 0, 1],
        "split": ["train", "test", "test", "validation", "train"],
    }
    seen = prepare_rows(saved(tmp_path, table), tmp_path).table
    assert seen["left_seen"].to_pylist() == [True, True, False, False, True]
    assert seen["right_seen"].to_pylist() == [True, False, True, False, True]  # item "d" is not query "d"


def test_without_a_split_no_left_entity_stands_in_two(tmp_path):
    table = pairs(400)
    del table["split"]
    rows = prepare_rows(saved(tmp_path, table, validation_share=0.2, test_share=0.3), tmp_path)
    placed = set(zip(rows.table["left_id"].to_pylist(), rows.table["split"].to_pylist(), strict=True))
    assert len(placed) == 200
    assert any("by left entity, seed 0" in note for note in rows.notes)


def test_bad_rows_are_raised_as_one_error(tmp_path):
    table = pairs() | {
        "label": ["0", "5", "1", "two", "0", "1", "2", "0"],
        "task": ["q", *pairs()["task"][1:]],
    }
    with pytest.raises(UserError) as caught:
        prepare_rows(saved(tmp_path, table, "p.csv"), tmp_path / "out")
    assert all(part in str(caught.value) for part in ("p.csv row 1: 'q'", "p.csv row 2: '5'", "row 4: 'two'"))
    assert not (tmp_path / "out").exists()


def test_quarantine_sets_bad_rows_aside_and_counts_them(tmp_path):
    table = pairs(16) | {
        "label": ["9", *map(str, pairs(16)["label"][1:])],
        "left": ["=1+1", *pairs(16)["left"][1:]],
    }
    config = saved(tmp_path, table, "p.csv", on_bad_row=OnBadRow.quarantine)
    with open(config.path, "a") as file:
        file.write("torn,row\n")
    rows = prepare_rows(config, tmp_path)
    with open(rows.path.with_name("quarantine.csv"), newline="") as file:
        aside = list(csv.DictReader(file))
    assert (aside[0]["row"], aside[0]["value"]) == ("17", "2 cells, not 7: 'torn,row'")
    assert aside[1]["left"] == "'=1+1"
    assert aside[1]["row"] == "1"
    assert (aside[0]["left"], aside[1]["problem"]) == ("", "label is not 0, 1 or 2")
    assert len(rows.table) == 15
    assert rows.table["row"].to_pylist() == list(range(15))
    assert any(note.startswith("quarantined: 2 of 17 rows") for note in rows.notes)
    clean = {name: values[1:] for name, values in table.items()}
    assert prepare_rows(saved(tmp_path, clean, "clean.csv"), tmp_path).digest == rows.digest


def test_the_notes_tell_of_equal_texts_and_of_conflicts_between_tasks(tmp_path):
    table = pairs() | {"left": ["same"] * 8, "right": ["r", "r", *pairs()["right"][2:]]}
    notes = "\n".join(prepare_rows(saved(tmp_path, table), tmp_path).notes)
    assert "equal texts under different ids: 1, in all 4 entities" in notes
    assert "several tasks: 1, with different labels: 1" in notes


def test_a_task_without_test_rows_is_noted_and_a_table_without_refused(tmp_path):
    table = pairs()
    table["task"][6] = "query_query"
    assert any(
        "rows (train/validation/test): query_item 2/" in note and "/0 (it has no test rows)" in note
        for note in prepare_rows(saved(tmp_path, table), tmp_path).notes
    )
    with pytest.raises(UserError, match=r"no test rows.*split column"):
        prepare_rows(saved(tmp_path, {name: values[:6] for name, values in table.items()}), tmp_path)


def test_rows_parquet_can_itself_be_a_source(tmp_path):
    first = prepare_rows(saved(tmp_path, pairs() | {"mine": range(8)}), tmp_path)
    again = prepare_rows(DataConfig(kind=Source.pairs, path=str(first.path)), tmp_path / "again")
    assert again.digest == first.digest
    assert any("replaced: columns row, left_seen, right_seen" in note for note in again.notes)


def test_validate_prints_digest_counts_and_notes(tmp_path, capsys):
    config = saved(tmp_path, pairs())
    command(["validate", f"data.path={config.path}", f"outputs={tmp_path}"])
    printed = capsys.readouterr().out
    assert prepare_rows(config, tmp_path).digest in printed
    assert ["query_item", "train", "2", "1", "0", "1"] in [line.split() for line in printed.splitlines()]
    with pytest.raises(UserError, match=r"data\.path is missing"):
        command(["validate"])


def test_help_names_commands_and_keys(capsys):
    for words in (["--help"], ["validate", "--help"], ["audit", "--help"], ["generate", "--help"]):
        command(words)
    printed = capsys.readouterr().out
    assert "validate data.path=FILE" in printed
    assert "data.on_bad_row=error" in printed
    assert "limits.left=null" in printed
    with pytest.raises(UserError, match=r"unknown command 'valdate'; available: derive, validate, audit, "):
        command(["valdate"])
    with pytest.raises(UserError, match="give the file to write"):
        command(["generate", "output=x.csv"])


def test_where_every_row_is_bad_quarantine_cannot_help(tmp_path):
    config = saved(tmp_path, pairs() | {"label": [9] * 8}, on_bad_row=OnBadRow.quarantine)
    with pytest.raises(UserError, match=r"8 rows at fault[\s\S]*row 8: '9'[\s\S]*no row is left"):
        prepare_rows(config, tmp_path)


def test_a_column_map_names_only_our_columns(tmp_path):
    with pytest.raises(UserError, match="lefty is none of our names: task, left"):
        prepare_rows(saved(tmp_path, pairs(), columns={"lefty": "left"}), tmp_path)


def test_whole_numbers_meet_themselves_though_a_null_made_them_floats(tmp_path):
    first = 12_345_670_000  # from eleven digits on a float is written with an exponent
    table = pairs() | {"left_id": [first + k // 2 for k in range(8)], "right_id": [float(first + k) for k in range(8)]}
    table["right_id"][0] = None
    rows = prepare_rows(saved(tmp_path, table), tmp_path / "out").table
    assert rows["right_id"].to_pylist() == [None, *(str(first + k) for k in range(1, 8))]


def test_a_clean_file_does_not_inherit_the_bad_rows_of_another(tmp_path):
    dirty = {name: [*values, values[0]] for name, values in pairs().items()} | {"label": [*pairs()["label"], 7]}
    dirty["right"][-1] = dirty["right_id"][-1] = "another"
    rows = prepare_rows(saved(tmp_path, dirty, on_bad_row=OnBadRow.quarantine), tmp_path / "out")
    assert rows.path.with_name("quarantine.csv").is_file()
    assert prepare_rows(saved(tmp_path, pairs(), "clean.parquet"), tmp_path / "out").digest == rows.digest
    assert not rows.path.with_name("quarantine.csv").exists()


def test_texts_with_line_breaks_are_counted(tmp_path):
    table = pairs()
    table["left"][0] = "left\n0"
    notes = prepare_rows(saved(tmp_path, table), tmp_path / "out").notes
    assert "texts with line breaks: left 1, right 0" in notes


def test_ids_that_a_csv_wrote_as_floats_are_pointed_out(tmp_path):
    table = pairs() | {"left_id": [f"{k // 2}.0" for k in range(8)]}
    notes = prepare_rows(saved(tmp_path, table, "pairs.csv"), tmp_path / "out").notes
    assert "ids such as 17.0: left 8, right 0; they do not meet 17: write 17" in notes
