"""Rows by position, whatever the parts they are read in."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relevance.data.stored import read_rows


@pytest.mark.parametrize("part", [1, 7, 64, 1_000])
@pytest.mark.parametrize("at", [[], [0], [99], [3, 6, 7, 8, 63, 64, 98], list(range(100))])
def test_the_rows_asked_for_come_in_their_order(tmp_path, monkeypatch, part, at):
    monkeypatch.setattr("relevance.data.stored.PART", part)
    table = pa.table({"task": ["a", "b"] * 50, "left": [f"text {n}" for n in range(100)], "right": ["r"] * 100})
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=30)
    picked = read_rows(tmp_path / "rows.parquet", np.array(at, np.int64), ["task", "left"])
    assert picked.to_pylist() == table.select(["task", "left"]).take(pa.array(at, pa.int64())).to_pylist()
