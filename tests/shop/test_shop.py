"""A generated shop has the sizes asked for, and its judgements are those of the rules."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from relevance.data.__main__ import command
from relevance.errors import UserError
from relevance.shop.commands import FILES, ShopOptions
from relevance.shop.files import GRADES, Shelf, Shop, build_shop, describe_shop, stocked
from relevance.shop.generate import query_item

SIZES = {"judgements": 6_000, "items": 2_000, "types": 120, "queries": 400}
SMALLEST = {"judgements": 200, "items": 100, "types": 100, "queries": 20}


@pytest.fixture(scope="module")
def shop() -> Shop:
    return build_shop(ShopOptions(**SIZES))


@pytest.fixture(scope="module")
def judgements(shop) -> pd.DataFrame:
    return shop.judgements.to_pandas()


@pytest.mark.parametrize(
    "sizes",
    [
        SIZES,
        SMALLEST,
        SMALLEST | {"judgements": 500},  # with a quarter of the items each
        SMALLEST | {"queries": 200},  # one judgement each
        {"judgements": 2_000, "items": 3_000, "types": 5_000, "queries": 1_000},
    ],
)
def test_everything_is_so_many_as_asked(sizes):
    shop = build_shop(ShopOptions(**sizes, seed=3, twice=0.1))
    rows = shop.judgements.to_pandas()
    first = rows[rows["annotator"] == "a"]
    assert len(first) == sizes["judgements"] == len(first[["query", "item_id"]].drop_duplicates())
    assert len(rows) - len(first) == sizes["judgements"] // 10
    assert rows["query"].nunique() == sizes["queries"]
    assert len(shop.items) == sizes["items"] == len(set(shop.items["item_id"].to_pylist()))
    assert len(shop.taxonomy) == sizes["types"]
    assert set(rows["item_id"]) <= set(shop.items["item_id"].to_pylist())
    assert not any(column.null_count for table in (shop.judgements, shop.items) for column in table.columns)


def test_the_types_are_a_tree_of_depth_three_that_knows_the_type_of_every_item(shop):
    parent = dict(zip(*(shop.taxonomy[name].to_pylist() for name in ("type", "parent")), strict=True))
    assert len({name.casefold() for name in parent}) == len(parent)

    def depth(name: str | None) -> int:
        return 0 if name is None else 1 + depth(parent[name])

    assert {depth(name) for name in parent} == {1, 2, 3}
    assert {depth(name) for name in shop.items["product_type"].to_pylist()} == {3}


def test_the_descriptions_are_made_of_the_attributes_and_do_not_name_the_type(shop):
    items = shop.items.to_pandas()
    assert all(f"Brand: {row.brand}" in row.description for row in items.itertuples())
    assert not any(row.product_type in row.description for row in items.itertuples())


def test_labels_are_those_of_the_judge_where_there_is_no_noise():
    options = ShopOptions(**SIZES, noise=0.0)
    shop, (_, kinds) = build_shop(options), stocked(options)
    rows = shop.judgements.to_pandas().merge(shop.items.to_pandas(), on="item_id", how="left")
    place = {kind: {text: at for at, text in enumerate(kinds[kind].text)} for kind in ("query", "item")}
    left, right = rows["query"].map(place["query"]).to_numpy(), rows["title"].map(place["item"]).to_numpy()
    labels = query_item(kinds["query"].at(left), kinds["item"].at(right))
    assert (rows["label"] == np.array(GRADES)[labels]).all()


def test_a_share_of_the_pairs_is_judged_twice_and_each_annotator_errs_alone(judgements):
    shop = build_shop(ShopOptions(**SIZES, noise=0.2, twice=0.5))
    rows = shop.judgements.to_pandas().assign(wrong=lambda rows: rows["label"] != np.array(GRADES)[shop.clean])
    assert rows.groupby("annotator")["wrong"].mean().between(0.17, 0.23).all()
    both = rows.pivot(index=["query", "item_id"], columns="annotator", values="wrong").dropna()
    assert len(both) == SIZES["judgements"] // 2
    assert 0.02 < (both["a"] & both["b"]).mean() < 0.07
    assert not judgements.duplicated(["query", "item_id", "annotator"]).any()


def test_noise_changes_labels_and_nothing_else():
    quiet, loud = (build_shop(ShopOptions(**SIZES, noise=noise)) for noise in (0.0, 0.3))
    assert quiet.judgements.drop_columns(["label"]).equals(loud.judgements.drop_columns(["label"]))
    assert (quiet.clean == loud.clean).all()


def test_judgements_lie_as_in_real_files(shop, judgements):
    """A few broad queries and popular items have most of them, many items none; every label is common."""
    asked = judgements["query"].value_counts()
    assert asked.head(len(asked) // 10).sum() > 0.3 * len(judgements)
    assert asked.median() < 0.7 * asked.mean()
    judged_for = judgements["item_id"].value_counts()
    assert 0.2 < 1 - len(judged_for) / len(shop.items) < 0.6
    assert judged_for.median() <= 3
    assert judged_for.max() > 10 * judged_for.mean()
    shares = judgements["label"].value_counts(normalize=True)
    assert set(shares.index) == set(GRADES)
    assert shares.between(0.15, 0.6).all()


def test_pairs_judged_irrelevant_share_more_words_than_chance_gives(shop, judgements):
    rows = judgements[judgements["label"] == "Irrelevant"].merge(shop.items.to_pandas(), on="item_id")
    queries = [set(text.split()) for text in rows["query"]]
    titles = [set(text.lower().replace(",", "").split()) for text in rows["title"]]
    chance = np.random.default_rng(0).permutation(len(rows))
    shared = np.mean([bool(query & title) for query, title in zip(queries, titles, strict=True)])
    assert shared > 1.5 * np.mean([bool(query & titles[other]) for query, other in zip(queries, chance, strict=True)])


def test_a_shelf_gives_items_of_the_key_by_weight_and_none_of_no_weight():
    shelf = Shelf(np.array([7, 4, 7, 7, 5]), np.array([1.0, 2.0, 3.0, 0.0, 0.0]))
    drawn = shelf.draw(np.repeat([7, 4, 5, 9, -1], 1_000), np.random.default_rng(0)).reshape(5, 1_000)
    assert set(drawn[0]) == {0, 2}
    assert abs((drawn[0] == 2).mean() - 0.75) < 0.05
    assert (drawn[1] == 1).all()
    assert (drawn[2:] == -1).all()


def test_the_command_writes_the_same_bytes_for_the_same_words(tmp_path, capsys):
    words = ["shop", *(f"{key}={value}" for key, value in SMALLEST.items())]
    for folder, seed in (("one", 5), ("two", 5), ("other", 6), ("one", 5)):  # the last in the place of the first
        command([*words, f"seed={seed}", f"output={tmp_path / folder}"])
    one, two, other = (
        [(tmp_path / folder / file).read_bytes() for file in FILES] for folder in ("one", "two", "other")
    )
    assert one == two
    assert all(mine != theirs for mine, theirs in zip(one, other, strict=True))
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two", "other"}
    assert pq.read_table(tmp_path / "one" / "items.parquet").num_rows == SMALLEST["items"]
    assert "210 of 200 pairs" in capsys.readouterr().out


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="holds something else"):
        command(["shop", f"output={tmp_path}", *(f"{key}={value}" for key, value in SMALLEST.items())])
    assert (tmp_path / "thesis.txt").read_text() == "mine"
    with pytest.raises(UserError, match="output=FOLDER"):
        command(["shop"])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"judgements": 199}, "judgements=199: must be 200 or more"),
        ({"items": 99}, "items=99: must be 100 or more"),
        ({"types": 99}, r"types=99: must be in \[100, 17,860\]"),
        ({"types": 17_861}, r"types=17861: must be in \[100, 17,860\]"),
        ({"queries": 19}, "queries=19: must be 20 or more"),
        ({"seed": -1}, "seed=-1"),
        ({"noise": 0.5}, "noise=0.5"),
        ({"twice": 1.5, "queries": 0}, "queries=0.*twice=1.5"),
        ({"queries": 201}, "queries=201: at most judgements=200"),
        ({"judgements": 501}, "judgements=501: at most 500"),
        ({"queries": 20_000, "judgements": 20_000}, "queries=20000: .* have words for"),
    ],
)
def test_sizes_that_no_shop_can_have_are_refused_by_name(asked, said):
    with pytest.raises(UserError, match=said):
        build_shop(ShopOptions(**SMALLEST | asked))


def test_the_description_counts_what_was_built(shop, judgements):
    text = describe_shop(shop)
    assert "6,300 of 6,000 pairs" in text
    assert f"Exact {(judgements['label'] == 'Exact').mean():.1%}" in text
    assert f"{1 - judgements['item_id'].nunique() / 2_000:.0%} never judged" in text
