"""The generated table keeps the promises of its rules, whatever its size and seed."""

from random import Random

import numpy as np
import pandas as pd
import pytest

from relevance.errors import UserError
from relevance.shop.catalogue import WORLDS, load_lexicon, misspell
from relevance.shop.entities import build_entities
from relevance.shop.generate import JUDGES, SHARES, describe_pairs, generate_pairs
from relevance.tasks import TASK_NAMES, TASKS

COLUMNS = ["task", "left", "right", "label", "left_id", "right_id", "source", "label_clean"]


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return generate_pairs(6_000, 0, 0.04).to_pandas()


def test_same_arguments_give_the_same_table():
    assert generate_pairs(500, 3, 0.04).equals(generate_pairs(500, 3, 0.04))
    assert not generate_pairs(500, 3, 0.04).equals(generate_pairs(500, 4, 0.04))


@pytest.mark.parametrize("count", [100, 777, 6_000])
def test_any_size_is_met_exactly_and_holds_all_tasks(count):
    table = generate_pairs(count, 1, 0.04)
    assert table.column_names == COLUMNS
    assert len(table) == count
    assert set(table["task"].to_pylist()) == set(TASK_NAMES)


def test_tasks_have_their_shares_and_no_label_has_a_majority(rows):
    counts = rows["task"].value_counts()
    assert all(abs(counts[task] / len(rows) - share) < 0.01 for task, share in SHARES.items())
    assert rows.groupby("task")["label"].value_counts(normalize=True).max() < 0.5


def test_no_pair_stands_twice_in_a_task_nor_mirrored_nor_with_itself(rows):
    assert not rows.duplicated(["task", "left_id", "right_id"]).any()
    assert not rows.duplicated(["task", "left", "right"]).any()
    assert (rows["left"] != rows["right"]).all()
    both = rows[rows["task"].isin([name for name, task in TASKS.items() if task.symmetric])]
    sides = np.sort(both[["left", "right"]].to_numpy(dtype=str), axis=1)
    assert not pd.DataFrame(sides).assign(task=both["task"].to_numpy()).duplicated().any()


def test_an_id_means_one_text_and_says_nothing_else(rows):
    texts = pd.concat([rows[[f"{side}_id", side]].set_axis(["id", "text"], axis=1) for side in ("left", "right")])
    assert (texts.groupby("id")["text"].nunique() == 1).all()
    number = rows["left_id"].str[1:].astype(int)
    assert abs(np.corrcoef(number, rows["label_clean"])[0, 1]) < 0.05


def test_tasks_conflict_on_the_same_texts(rows):
    """Twins are common, and a type and its parent are 2 as types, 1 as query and type."""
    tasks = rows.groupby(["left", "right"])["task"].transform("nunique")
    labels = rows.groupby(["left", "right"])["label_clean"].transform("nunique")
    assert (tasks > 1).mean() >= 0.05
    assert ((tasks > 1) & (labels > 1)).mean() >= 0.03
    types = rows[(rows["task"] == "type_type") & (rows["source"] == "parent")]
    wanted = rows[rows["task"] == "query_type"].merge(types, on=["left", "right"])
    leaves = wanted[~wanted["left"].isin(_group_names())]
    assert len(leaves) > 3
    assert (leaves["label_clean_x"] == 1).all()
    assert (leaves["label_clean_y"] == 2).all()


def _group_names() -> set[str]:
    return {
        name
        for department in load_lexicon()["departments"]
        for group in [*department["groups"], department["accessories"]]
        for name in group["names"]
    }


@pytest.mark.parametrize("noise", [0.0, 0.04, 0.3])
def test_noise_replaces_that_share_of_labels_mostly_by_the_neighbour(noise):
    rows = generate_pairs(6_000, 2, noise).to_pandas()
    changed = rows[rows["label"] != rows["label_clean"]]
    assert abs(len(changed) / len(rows) - noise) < 0.02
    if noise:
        assert ((changed["label"] - changed["label_clean"]).abs() == 1).mean() > 0.7


def test_noise_changes_labels_and_nothing_else():
    quiet, loud = generate_pairs(500, 2, 0.0), generate_pairs(500, 2, 0.3)
    assert quiet.drop_columns(["label"]).equals(loud.drop_columns(["label"]))


def test_worlds_of_any_seeds_share_no_entity():
    texts = {}
    for number, world in enumerate(WORLDS):
        built = [build_entities(4_000, seed, number) for seed in (0, 1)]
        texts[world] = {text for kinds in built for one in kinds.values() for text in one.text}
    assert not texts["shop"] & texts["pretraining"]


def test_every_text_of_a_kind_is_one_entity_and_readable():
    for one in build_entities(2_000, 5, 0).values():
        assert len(set(one.text)) == len(one.text)
        assert all(text and text == " ".join(text.split()) for text in one.text)


def test_judges_of_symmetric_tasks_do_not_mind_the_order():
    shop = build_entities(1_000, 0, 0)
    rng = np.random.default_rng(0)
    for task in ("query_query", "item_item", "type_type"):
        keys = shop[TASKS[task].left].key
        one, other = (
            {name: column[where] for name, column in keys.items()}
            for where in rng.integers(0, len(keys["text"]), (2, 4_000))
        )
        assert (JUDGES[task](one, other) == JUDGES[task](other, one)).all()


def test_every_entity_is_relevant_to_its_own_kind():
    """The product a query was made from meets it; an item's own type is 2, that type's group 1."""
    shop = build_entities(2_000, 0, 0)
    item, kind = shop["item"].key, shop["type"].key
    leaf = {name: column[kind["leaf"] >= 0] for name, column in kind.items()}
    where = np.searchsorted(leaf["leaf"], item["leaf"])
    assert (JUDGES["item_type"](item, {k: v[where] for k, v in leaf.items()}) == 2).all()
    group = {name: column[kind["level"] == 1] for name, column in kind.items()}
    assert (JUDGES["item_type"](item, {k: v[item["group"]] for k, v in group.items()}) == 1).all()
    first = {name: column[np.unique(item["product"], return_index=True)[1]] for name, column in item.items()}
    made = shop["query"].key["product"] >= 0
    query = {name: column[made] for name, column in shop["query"].key.items()}
    place = np.searchsorted(first["product"], query["product"])
    assert (JUDGES["query_item"](query, {k: v[place] for k, v in first.items()}) == 2).all()


def test_a_misspelling_keeps_all_words_and_changes_one():
    for seed in range(50):
        text = misspell("gray corner couch", Random(seed))
        changed = [a != b for a, b in zip(text.split(), ["gray", "corner", "couch"], strict=True)]
        assert sum(changed) <= 1


@pytest.mark.parametrize(
    ("arguments", "word"),
    [((99, 0, 0.04), "rows=99"), ((500, 0, 0.5), "noise=0.5"), ((500, 0, 0.0, "x"), "world=x")],
)
def test_impossible_arguments_are_refused_by_name(arguments, word):
    with pytest.raises(UserError, match=word):
        generate_pairs(*arguments)


def test_description_prints_the_shares_of_the_table(rows):
    lines = describe_pairs(generate_pairs(6_000, 0, 0.04)).splitlines()
    tasks = rows.groupby(["left", "right"])["task"].transform("nunique")
    assert f"{(tasks > 1).mean():.1%}" in lines[-2]
    noise = (rows["label"] != rows["label_clean"]).mean()
    assert lines[-1] == f"label noise: {noise:.2%} of the rows"
