"""Where entities fall, and which pairs cross."""

from collections import defaultdict

from tests.derive.derived import TREE, run, written

QUERIES, EACH = 60, 4
JUDGED = [(f"query {q}", f"item {q * EACH + n}", n % 3) for q in range(QUERIES) for n in range(EACH)]
ITEMS = {f"item {n}": ("sofas", "radios", "chairs")[n % 3] for n in range(QUERIES * EACH)}
SHARES = ("validation_share=0.2", "test_share=0.3")


def test_items_judged_for_one_query_fall_where_it_falls(tmp_path):
    made, rows = run(tmp_path, written(tmp_path, JUDGED, ITEMS, TREE), *SHARES, "split=strict")
    judged = [row for row in rows if row["task"] == "query_item"]
    assert len(judged) == len(JUDGED)  # not one crosses
    splits = defaultdict(set)
    for row in judged:
        splits[row["split"]].add(row["left_id"])
    assert {name: len(queries) > 5 for name, queries in splits.items()} == dict.fromkeys(splits, True)
    assert len(splits) == 3
    assert made.ledger.steps["apart"]["own type"] < made.ledger.steps["settled"]["own type"]  # types are shared


def test_a_symmetric_pair_of_two_splits_is_turned_not_lost(tmp_path):
    judged = [(f"query {q}", "everyone's", 2) for q in range(30)]
    made, rows = run(tmp_path, written(tmp_path, judged, {"everyone's": "sofas"}, {}), *SHARES)
    steps = made.ledger.steps
    assert steps["apart"]["some items"] == steps["settled"]["some items"] == 30 * 29 // 2
    lefts = {row["left_id"] for row in rows if row["split"] == "test"}
    rest = [row for row in rows if row["task"] == "query_query" and row["split"] != "test"]
    assert rest
    assert not lefts & {row[side] for row in rest for side in ("left_id", "right_id")}


def test_another_seed_divides_otherwise(tmp_path):
    files = written(tmp_path, JUDGED, ITEMS, TREE)
    tests = [
        {row["left_id"] for row in run(tmp_path, files, *SHARES, f"seed={seed}")[1] if row["split"] == "test"}
        for seed in (0, 1)
    ]
    assert tests[0] != tests[1]
