"""Files written in chunks: every value comes back, and half a file is never seen."""

import datetime
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relevance.data.readers import read_table
from relevance.data.writers import json_lines, streamed
from relevance.errors import UserError

KINDS = (".parquet", ".csv", ".tsv", ".jsonl")
TEXTS = ['say "x"', "a, b\tc", "two\nlines", "back\\slash", "größe Ж 机 \u2028", "", " ", "NULL", "\x01\x1f"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_text_comes_back_from_every_kind_of_file(tmp_path, kind):
    table = pa.table({"left": TEXTS, "right": TEXTS[::-1]})
    path = tmp_path / f"new/a{kind}"
    with streamed(path, table.schema) as writer:
        writer.write_table(table[:4])
        writer.write_table(table[4:])
    assert read_table(path, {}).table.to_pydict() == table.to_pydict()


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_leaves_what_stood_there(tmp_path, kind):
    table = pa.table({"left": ["a"]})
    path = tmp_path / f"a{kind}"
    path.write_text("before")

    def fail():
        with streamed(path, table.schema) as writer:
            writer.write_table(table)
            assert path.read_text() == "before"
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fail()
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_jsonl_says_what_json_says():
    values = {
        "text": [*TEXTS, None],
        "whole": [2**62, *range(8), None],
        "float": pa.array([0.5, 1e-30, 1e30, float("nan"), float("inf"), -0.25, 3.0, 0.1, 1 / 3, None]),
        "single": pa.array([0.1, 1e-8, 0.33333334, *[1.0] * 6, None], pa.float32()),
        "flag": [True, False] * 5,
        "nothing": pa.nulls(10),
        "list": [["a", 'b"'], [], None] * 3 + [["é"]],
        "struct": [{"x": 1, "y": None}] * 9 + [None],
        "day": [datetime.date(2024, 1, 2)] * 9 + [None],
        'na"me': range(10),
    }
    lines = json_lines(pa.table(values)).to_pylist()
    actual = [json.loads(line) for line in lines]
    expected = pa.table(values).to_pylist()
    for row in expected:
        row["day"] = None if row["day"] is None else "2024-01-02"
        row["float"] = None if row["float"] in (float("inf"), None) or row["float"] != row["float"] else row["float"]
        row["single"] = None if row["single"] is None else pytest.approx(row["single"], rel=1e-7)
    assert actual == expected
    assert all(line.endswith("}\n") for line in lines)


def test_lists_stand_in_a_csv_as_json(tmp_path):
    table = pa.table({"left": ["a", "b"], "mine": [["x", 'y"'], None]})
    with streamed(tmp_path / "a.csv", table.schema) as writer:
        writer.write_table(table)
    assert read_table(tmp_path / "a.csv", {}).table["mine"].to_pylist() == ['["x", "y\\""]', ""]


def test_bytes_are_refused_where_they_have_no_place(tmp_path):
    table = pa.table({"raw": [b"\xff"]})
    with pytest.raises(UserError, match=r"column raw has type binary.*write \.parquet"):
        streamed(tmp_path / "a.csv", table.schema).__enter__()
    with streamed(tmp_path / "a.parquet", table.schema) as writer:
        writer.write_table(table)
    assert pq.read_table(tmp_path / "a.parquet").equals(table)


def test_what_cannot_be_written_says_why(tmp_path):
    schema = pa.schema([("left", pa.string())])
    with pytest.raises(UserError, match=r"unknown kind of file '.xlsx'; allowed: .parquet"):
        streamed(tmp_path / "a.xlsx", schema).__enter__()
    (tmp_path / "b.csv").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        streamed(tmp_path / "b.csv", schema).__enter__()
