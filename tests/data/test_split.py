from collections import Counter

import pyarrow as pa

from relevance.config import DataConfig
from relevance.data.entities import split_by_entity


def table(ids, texts=None, task="query_item"):
    texts = texts or [f"text {n}" for n in range(len(ids))]
    return pa.table({"task": [task] * len(ids), "left": pa.array(texts), "left_id": pa.array(ids, pa.string())})


IDS = [f"q{n}" for n in range(4000)]
PINNED = "validation validation test test validation validation validation train test test test validation"


def test_shares_are_met_and_every_row_has_a_split():
    split = Counter(split_by_entity(table(IDS), DataConfig(validation_share=0.1, test_share=0.3)).to_pylist())
    assert set(split) == {"train", "validation", "test"}
    assert abs(split["validation"] / 4000 - 0.1) < 0.02
    assert abs(split["test"] / 4000 - 0.3) < 0.03


def test_an_entity_falls_alike_in_every_task_order_and_file():
    whole = dict(zip(IDS, split_by_entity(table(IDS), DataConfig()).to_pylist(), strict=True))
    some = IDS[::-7] * 2
    again = split_by_entity(table(some, task="query_type"), DataConfig()).to_pylist()
    assert again == [whole[entity] for entity in some]


def test_the_split_is_the_same_on_every_machine_and_version():
    split = split_by_entity(table(IDS[:12]), DataConfig(validation_share=0.3, test_share=0.3)).to_pylist()
    assert " ".join(split) == PINNED


def test_the_data_seed_moves_the_split():
    first, second = (split_by_entity(table(IDS), DataConfig(seed=seed)).to_pylist() for seed in (0, 1))
    assert first != second


def test_without_ids_the_text_decides():
    split = split_by_entity(table([None] * 400, ["a", "b"] * 200), DataConfig()).to_pylist()
    assert len({(n % 2, name) for n, name in enumerate(split)}) == 2
    named = split_by_entity(table(["a", "b"]), DataConfig()).to_pylist()
    assert named == split[:2]
