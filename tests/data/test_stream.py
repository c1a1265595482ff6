"""A file in parts: the same rows, numbers and faults as read whole, and never more of it in memory than asked."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from relevance.data.faults import joined
from relevance.data.readers import read_table, stream_table
from relevance.errors import UserError

KINDS = ("parquet", "csv", "tsv", "jsonl")


def saved(path, table):
    """`table` as a file of the kind its name says."""
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=7)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    else:
        delimiter = "\t" if path.suffix == ".tsv" else ","
        pa.csv.write_csv(table, path, pa.csv.WriteOptions(delimiter=delimiter))
    return path


def at_fault(parts):
    """Numbers of the rows at fault as they come, so that one told twice stands here twice."""
    return [row for part in parts for fault in part.faults for row in fault.rows.tolist()]


def pairs(n):
    return pa.table({"task": ["query_item"] * n, "query": [f"q {k}" for k in range(n)], "label": ["1"] * n})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [1, 5, 20, 1000])
def test_the_parts_are_the_whole(tmp_path, kind, rows):
    path = saved(tmp_path / f"a.{kind}", pairs(20))
    parts = list(stream_table(path, {"left": "query"}, rows))
    whole = read_table(path, {"left": "query"})
    assert max(len(part.table) for part in parts) <= rows
    together = joined(parts)
    assert together.table.equals(whole.table)
    assert np.array_equal(together.rows, whole.rows)
    assert together.counted == whole.counted


@pytest.mark.parametrize("block", [40, 64, 1 << 20])
@pytest.mark.parametrize("torn", [[0], [3, 4, 5, 6, 7, 8, 9, 10], [29], [0, 29], list(range(20)), list(range(30))])
def test_rows_of_a_csv_keep_their_numbers_wherever_it_is_cut(tmp_path, monkeypatch, block, torn):
    """Blocks so small that torn rows fall before, into and behind them."""
    monkeypatch.setattr("relevance.data.delimited.BLOCK", block)
    path = tmp_path / "a.csv"
    path.write_text("left,right\n" + "".join("torn\n" if k in torn else f"a{k + 1},b\n" for k in range(30)))
    parts = list(stream_table(path, {}, 4))
    texts = [f"a{row}" for part in parts for row in part.rows.tolist()]
    assert texts == [text for part in parts for text in part.table["left"].to_pylist()]
    assert texts == [f"a{k + 1}" for k in range(30) if k not in torn]
    assert at_fault(parts) == [k + 1 for k in torn]


@pytest.mark.parametrize("block", [64, 1 << 20])
def test_a_quote_that_is_never_closed_is_told_at_the_end_of_a_csv_too(tmp_path, monkeypatch, block):
    monkeypatch.setattr("relevance.data.delimited.BLOCK", block)
    path = tmp_path / "a.csv"
    path.write_text("left,right\n" + "a,b\n" * 30 + 'a,"open\nb,c\n')
    with pytest.raises(UserError, match="row 31 opens a quote that is never closed"):
        list(stream_table(path, {}, 4))


def test_torn_lines_of_jsonl_keep_their_numbers_and_any_part_may_hold_nothing_else(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("{\n" * 5 + '{"query": "x"}\n\n{"query": 3, "more": true}\n{"left": 1, "left": 2}\n')
    parts = list(stream_table(path, {"left": "query"}, 2))
    assert [row for part in parts for row in part.rows.tolist()] == [6, 8]
    assert [value for part in parts if len(part.table) for value in part.table["left"].to_pylist()] == ["x", 3]
    assert at_fault(parts) == [1, 2, 3, 4, 5, 9]


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_that_are_not_utf8_are_faults_with_the_number_of_their_row(tmp_path, kind):
    path = saved(tmp_path / f"a.{kind}", pairs(9))
    if kind == "parquet":
        raw = pa.array([b"caf\xe9" if k == 6 else b"x" for k in range(9)], pa.binary()).view(pa.string())
        pq.write_table(pairs(9).set_column(1, "query", raw), path, row_group_size=4)
    else:
        path.write_bytes(path.read_bytes().replace(b"q 6", b"caf\xe9"))
    parts = list(stream_table(path, {}, 2))
    assert at_fault(parts) == [7]
    assert [row for part in parts for row in part.rows.tolist()] == [1, 2, 3, 4, 5, 6, 8, 9]


def test_what_cannot_be_streamed_says_why(tmp_path):
    with pytest.raises(UserError, match="no such file; give input=FILE"):
        list(stream_table(tmp_path / "a.csv", {}, 5))
    path = saved(tmp_path / "a.csv", pairs(3))
    with pytest.raises(UserError, match=r"columns\.left=qeury: .* did you mean query"):
        list(stream_table(path, {"left": "qeury"}, 5))
    path.with_suffix(".parquet").write_text("no parquet")
    with pytest.raises(UserError, match=r"cannot be read as \.parquet"):
        list(stream_table(path.with_suffix(".parquet"), {}, 5))


@pytest.mark.parametrize("kind", KINDS)
def test_memory_does_not_grow_with_the_file(tmp_path, monkeypatch, kind):
    monkeypatch.setattr("relevance.data.delimited.BLOCK", 1 << 16)
    peaks = []
    random = np.random.default_rng(0)
    for n in (20_000, 80_000):
        path = tmp_path / f"{n}.{kind}"
        texts = [random.bytes(40).hex() for _ in range(n)]
        table = pa.table({"task": ["query_item"] * n, "left": texts, "right": texts[::-1]})
        if kind == "parquet":
            pq.write_table(table, path, row_group_size=n)
        else:
            saved(path, table)
        del table, texts
        before = pa.total_allocated_bytes()
        peaks.append(max(pa.total_allocated_bytes() - before for _ in stream_table(path, {}, 500)))
    assert peaks[1] < 1.5 * peaks[0]  # what is read ahead varies with the load; a file four times as long does not fit
    assert peaks[1] < 80_000 * 160 / 2
