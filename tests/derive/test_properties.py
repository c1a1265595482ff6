"""What holds of every shop: drawn at random, derived for real."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relevance.data.contract import check_pairs
from relevance.data.readers import read_table
from relevance.tasks import TASKS
from tests.derive.derived import TREE, run, written

ITEMS = [f"item {number}" for number in range(12)]
QUERIES = [f"query {number}" for number in range(8)]
SHARES = ("validation_share=0.25", "test_share=0.35")
few = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

judgements = st.lists(st.tuples(st.sampled_from(QUERIES), st.sampled_from(ITEMS), st.integers(0, 2)), max_size=60)
catalogues = st.fixed_dictionaries({item: st.sampled_from([None, *TREE]) for item in ITEMS})
modes = st.sampled_from(["left", "strict"])
worlds = {"judged": judgements, "items": catalogues, "mode": modes, "seed": st.integers(0, 5)}


def derived(judged, items, mode, seed, *words):
    with TemporaryDirectory() as name:
        folder = Path(name)
        files = written(folder, judged, items, TREE)
        made, rows = run(folder, files, *SHARES, f"split={mode}", f"seed={seed}", "on_bad_row=quarantine", *words)
        if rows:
            checked, _ = check_pairs(read_table(folder / "pairs.parquet", {}), "pairs")
            assert not checked.faults  # the contract of every table of pairs
        return made, rows, pq.read_table(folder / "pairs.parquet")


def sides(row):
    task = TASKS[row["task"]]
    return (task.left, row["left_id"]), (task.right, row["right_id"])


@few
@given(**worlds)
def test_no_two_texts_have_two_labels_or_stand_twice_in_a_task(judged, items, mode, seed):
    _, rows, _ = derived(judged, items, mode, seed)
    texts = Counter()
    for row in rows:
        pair = (row["left"].lower(), row["right"].lower())
        texts[row["task"], *(sorted(pair) if TASKS[row["task"]].symmetric else pair)] += 1
        assert not (TASKS[row["task"]].symmetric and pair[0] == pair[1])
    assert set(texts.values()) <= {1}


@few
@given(**worlds)
def test_what_stands_in_test_stands_in_no_training_pair(judged, items, mode, seed):
    _, rows, _ = derived(judged, items, mode, seed)
    trained = {side for row in rows if row["split"] == "train" for side in sides(row)}
    for row in rows:
        if row["split"] != "train":
            left, right = sides(row)
            assert left not in trained
            assert mode == "left" or right not in trained


@few
@given(**worlds)
def test_counts_add_up_from_input_to_output(judged, items, mode, seed):
    made, rows, _ = derived(judged, items, mode, seed, "tasks.item_type.rows=7", "tasks.type_type.rows=5")
    steps = list(made.ledger.steps.values())
    kept = Counter(row["source"] for row in rows)
    for name, found in steps[0].items():
        assert found >= steps[1][name] >= steps[-1][name] == kept[name]
    assert all(before[name] >= after[name] for before, after in pairwise(steps) for name in after if name in before)
    assert made.inputs.get("judgements: rows of the files", 0) == len(judged)
    assert made.inputs["judged pairs"] + made.inputs.get("judgements: said again", 0) == len(judged)
    assert steps[0].get("judged", 0) == made.inputs["judged pairs"]
    assert sum(sum(labels) for splits in made.splits.values() for labels in splits.values()) == len(rows) == made.rows
    assert sum(row["task"] == "type_type" for row in rows) <= 5


@few
@given(**worlds, order=st.randoms(use_true_random=False))
def test_the_order_of_the_inputs_rows_changes_nothing(judged, items, mode, seed, order):
    _, _, first = derived(judged, items, mode, seed)
    shuffled, names = list(judged), list(items)
    order.shuffle(shuffled)
    order.shuffle(names)
    _, _, second = derived(shuffled, {name: items[name] for name in names}, mode, seed)
    assert first.equals(second)
