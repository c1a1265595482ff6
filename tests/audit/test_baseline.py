import numpy as np
import pyarrow.parquet as pq
import pytest
from small_pairs import read, row, table

from relevance.audit import counts
from relevance.data.floors import fit_floors
from relevance.metrics import score_predictions


@pytest.fixture
def rows():
    """query_item: label 2 where the texts are one, else 0."""
    rng = np.random.default_rng(1)
    words = [f"w{chr(97 + n)}{chr(97 + k)}" for n in range(9) for k in range(9)]
    made = []
    for n in range(240):
        left, other = (" ".join(rng.choice(words, 3)) for _ in range(2))
        same = bool(rng.random() < 0.4)
        made.append(row(n, left=left, right=left if same else other, label=2 * same, left_id=f"q{n}"))
    return made


def test_on_a_small_table_the_numbers_are_those_of_the_report(rows, tmp_path):
    told = counts.baseline(read(rows))["query_item"]
    numbered = table(rows).append_column("row", [list(range(len(rows)))])
    pq.write_table(numbered, tmp_path / "rows.parquet")
    for name, predictions in fit_floors(tmp_path / "rows.parquet").items():
        assert told[name] == score_predictions(predictions).accuracy[0]
    assert (told["train"], told["test"]) == (120, 60)
    assert told["lexical"] > 0.9 > 0.7 > told["majority"]


def test_of_a_large_table_a_sample_is_looked_at_and_its_size_is_told(rows, monkeypatch):
    monkeypatch.setattr(counts, "BASELINE_ROWS", {"train": 80, "test": 30})
    told = counts.baseline(read(rows))
    assert (told["query_item"]["train"], told["query_item"]["test"]) == (80, 30)
    assert told == counts.baseline(read(rows))


def test_a_task_without_training_rows_has_no_accuracy(rows):
    rows += [row(3, task="type_type", left=f"a{n}", right="b") for n in range(4)]
    told = counts.baseline(read(rows))["type_type"]
    assert (told["test"], told["majority"], told["lexical"], told["gain"]) == (4, None, None, None)
