import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from relevance.data.floors import ensure_floors, fit_floors, noise_ceiling, unlearnable
from relevance.metrics import score_predictions
from relevance.tasks import TASK_INDEX


@pytest.fixture
def alike(tmp_path):
    """query_item: label 2 where the texts are one, else 0; type_type: training knows only label 1."""
    rng = np.random.default_rng(1)
    words = np.array([f"w{chr(97 + i)}{chr(97 + j)}" for i in range(12) for j in range(12)])
    left = [" ".join(rng.choice(words, 3)) for _ in range(400)]
    same = rng.random(400) < 0.4
    right = [text if equal else " ".join(rng.choice(words, 3)) for text, equal in zip(left, same, strict=True)]
    split = np.where(np.arange(400) < 300, "train", "test")
    learn = pd.DataFrame({"split": split, "task": "query_item", "left": left, "right": right, "label": 2 * same})
    flat = learn.assign(task="type_type", label=np.where(split == "train", 1, 2 * same))
    table = pd.concat([learn, flat], ignore_index=True).astype({"label": "int8"})
    table.insert(0, "row", np.arange(len(table)))
    path = tmp_path / "rows.parquet"
    table.to_parquet(path)
    return path


def accuracy(table, task: str) -> float:
    return score_predictions(table).accuracy[TASK_INDEX[task]]


def test_lexical_learns_what_words_give_away_and_majority_does_not(alike):
    found = fit_floors(alike)
    assert accuracy(found["lexical"], "query_item") > 0.97
    assert 0.4 < accuracy(found["majority"], "query_item") < 0.75


def test_floors_cover_the_test_rows_in_order(alike):
    rows = pd.read_parquet(alike).query("split == 'test'")
    for table in fit_floors(alike).values():
        assert table["row"].to_pylist() == rows["row"].tolist()
        assert table["label"].to_pylist() == rows["label"].tolist()


def test_a_task_of_one_training_label_falls_back_to_the_majority_and_is_named(alike):
    found = fit_floors(alike)
    for table in found.values():
        predicted = table.to_pandas().query("task == 'type_type'")["predicted"]
        assert set(predicted) == {1}
    assert unlearnable(alike) == ["type_type"]


def test_test_labels_do_not_reach_the_floors(alike):
    before = fit_floors(alike)["lexical"].to_pandas()["p_relevant"]
    table = pd.read_parquet(alike)
    table.loc[table["split"] == "test", "label"] = np.int8(1)
    table.to_parquet(alike)
    assert fit_floors(alike)["lexical"].to_pandas()["p_relevant"].equals(before)


def test_majority_is_per_task_and_takes_the_lowest_label_on_a_tie(tmp_path):
    def rows(task, labels):
        texts = {"left": "a b", "right": "c d"}
        return pd.DataFrame({"split": ["train"] * 4 + ["test"], "task": task, **texts, "label": [*labels, 0]})

    table = pd.concat([rows("query_item", [2, 2, 1, 1]), rows("item_type", [2, 2, 2, 0])], ignore_index=True)
    table.insert(0, "row", np.arange(len(table)))
    table.astype({"label": "int8"}).to_parquet(tmp_path / "rows.parquet")
    assert fit_floors(tmp_path / "rows.parquet")["majority"]["predicted"].to_pylist() == [1, 2]


def test_the_number_of_threads_changes_nothing(alike):
    with threadpool_limits(1):
        one = fit_floors(alike)
    with threadpool_limits(2):
        two = fit_floors(alike)
    assert all(one[name].equals(two[name]) for name in one)


def test_floors_are_computed_once(alike):
    first = ensure_floors(alike)
    alike.write_bytes(b"gone")
    second = ensure_floors(alike)
    assert all(first[name].equals(second[name]) for name in ("majority", "lexical"))


def test_noise_ceiling_is_the_share_of_labels_that_noise_spared(bare, pairs):
    path = bare.table(pairs(clean_wrong=3))
    assert noise_ceiling(path).accuracy == pytest.approx([17 / 20] * 6)
    path = bare.table(pairs().drop(columns="label_clean"))
    assert noise_ceiling(path) is None
