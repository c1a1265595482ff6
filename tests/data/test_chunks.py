"""Which rows of a file can be scored, and one schema for lines that differ."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relevance.errors import UserError
from relevance.predict.scoring import fitted, read_chunks, scan_file

ROW = {"task": "query_item", "left": "usb", "right": "usb cable"}


def lines(tmp_path, *changes):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(ROW | change) + "\n" for change in changes))
    return path


def table(path, rows=2):
    """The whole file as its chunks give it under the schema of its scan."""
    schema = scan_file(read_chunks(path, {}, rows)).schema
    parts = [fitted(chunk.table, schema) for chunk in read_chunks(path, {}, rows) if len(chunk.table)]
    return pa.concat_tables(parts)


def problems(path, rows=2):
    return {fault.problem: fault.rows.tolist() for fault in scan_file(read_chunks(path, {}, rows)).faults}


def test_bad_rows_are_told_by_rule_whatever_chunk_they_are_in(tmp_path):
    path = lines(tmp_path, {"task": "q"}, {"left": " "}, {}, {"right": None}, {"label": 5}, {"label": "x"}, {"task": 3})
    assert problems(path) == {
        "unknown task": [1, 7],
        "left is empty": [2],
        "right is empty": [4],
        "label is not 0, 1 or 2": [5, 6],
    }
    assert len(table(path)) == 1


def test_a_label_may_be_absent_empty_or_any_way_of_writing_it(tmp_path):
    labels = [{"label": 2}, {}, {"label": None}, {"label": ""}, {"label": " 1.0 "}, {"label": "0"}]
    path = lines(tmp_path, *labels)
    assert not problems(path)
    assert table(path)["label"].to_pylist() == [2, None, None, None, 1, 0]
    assert scan_file(read_chunks(path, {}, 2)).labelled == 3


def test_pairs_may_be_repeated_disagree_and_have_any_split(tmp_path):
    path = lines(tmp_path, {"label": 0, "split": "x"}, {"label": 2, "split": "y"}, {"label": 2, "weight": -1})
    assert not problems(path)


def test_lines_that_bring_other_columns_and_types_meet_under_one_schema(tmp_path):
    path = lines(
        tmp_path,
        {"price": 1, "note": "a"},
        {"price": 2, "note": "b"},
        {"price": 2.5, "note": 7, "tags": ["x"]},
        {"price": None, "note": [1], "more": {"a": 1}},
        {"note": True, "more": {"b": "z"}, "tags": [1]},
    )
    actual = table(path)
    assert actual.column_names == ["task", "left", "right", "price", "note", "tags", "more"]
    assert actual["price"].to_pylist() == [1.0, 2.0, 2.5, None, None]
    assert actual["note"].to_pylist() == ["a", "b", "7", "[1]", "true"]
    assert actual["tags"].to_pylist() == [None, None, '["x"]', None, "[1]"]
    assert actual["more"].to_pylist() == [None, None, None, {"a": 1, "b": None}, {"a": None, "b": "z"}]


def test_lines_that_cannot_be_read_bring_no_columns(tmp_path):
    path = lines(tmp_path, {})
    path.write_text("{\n" * 4 + json.dumps({"id": 1} | ROW) + "\n")
    assert table(path).column_names == ["id", "task", "left", "right"]


def test_a_column_that_later_lines_lack_is_at_fault_there(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text((json.dumps(ROW) + "\n") * 2 + '{"task": "query_item", "left": "x"}\n{}\n{}\n')
    assert problems(path) == {"right is empty": [3, 4, 5], "unknown task": [4, 5], "left is empty": [4, 5]}


@pytest.mark.parametrize("name", ["task", "left", "right"])
def test_a_missing_column_is_named_with_the_way_out(tmp_path, name):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({("other" if key == name else key): [value] for key, value in ROW.items()}), path)
    with pytest.raises(UserError, match=rf"missing column {name}; present: .*other.*name it with columns={{{name}:"):
        scan_file(read_chunks(path, {}, 2))


def test_a_scan_counts_tasks_and_keeps_the_first_values_of_many_faults(tmp_path):
    path = lines(tmp_path, *[{"task": "type_type"}] * 3, *[{"task": f"t{k}"} for k in range(50)])
    actual = scan_file(read_chunks(path, {}, 7))
    assert actual.rows == actual.tasks[5] == 3
    (fault,) = actual.faults
    assert fault.rows.tolist() == list(range(4, 54))
    assert list(fault.values) == [f"'t{k}'" for k in range(20)]
