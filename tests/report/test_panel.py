"""Variances by cluster are those of brute force and of draws; effects hold what was put in."""

import numpy as np
import pytest

from relevance.data.entities import KINDS
from relevance.report import panel as module
from relevance.report.panel import EFFECTS, Clusters, Contrast, Panel, Term, difference, effects
from relevance.tasks import TASK_INDEX, TASK_NAMES

TRUTH = 0.6
ITEMS, QUERIES = KINDS.index("item"), KINDS.index("query")
ON = TASK_INDEX["query_item"]


def query_item(left: np.ndarray, right: np.ndarray) -> Clusters:
    """Rows of one task whose entities are numbered from 0 on each side."""
    kind = np.repeat([QUERIES, ITEMS], [left.max() + 1, right.max() + 1])
    return Clusters(np.full(len(left), ON), left, right + left.max() + 1, kind)


def of(clusters: Clusters, values: np.ndarray, covered: np.ndarray | None = None) -> Panel:
    covered = np.ones((len(values), 6), bool) if covered is None else covered
    return Panel("accuracy", clusters, clusters.sums(values), covered)


def rows_variance(panel: Panel, scope: str) -> tuple[float, float]:
    """Of the first cell's own value."""
    weights = panel.weights(scope)
    return panel.rows_variance([side[0] for side in panel.influence([0], weights)], weights)


def shared(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Which rows share an entity [N, N]."""
    return (left[:, None] == left) | (right[:, None] == right) | (left[:, None] == right) | (right[:, None] == left)


def test_two_way_variance_is_the_sum_over_rows_that_share_an_entity():
    random = np.random.default_rng(0)
    left, right = random.integers(0, 200, 900), random.integers(0, 40, 900)
    value = (random.random(900) < TRUTH + 0.3 * (right % 2) - 0.15).astype(float)
    influence = (value - value.mean()) / len(value)
    brute = influence @ shared(left, right + 1_000) @ influence
    variance, df = rows_variance(of(query_item(left, right), value[None]), "query_item")
    assert variance == pytest.approx(brute, rel=0.03)  # G / (G - 1) apart
    assert 39 < df < 199


def test_an_entity_counts_on_whichever_side_and_in_whichever_task_it_stands():
    random = np.random.default_rng(1)
    task = np.repeat([TASK_INDEX["item_item"], ON], [600, 400])
    left = np.concatenate([random.integers(0, 80, 600), random.integers(80, 140, 400)])
    right = random.integers(0, 80, 1_000)
    kind = np.repeat([ITEMS, QUERIES], [80, 60])
    good = random.random(140) < 0.5
    value = (random.random(1_000) < 0.2 + 0.3 * good[left] + 0.3 * good[right]).astype(float)
    panel = of(Clusters(task, left, right, kind), value[None])
    weights = panel.weights("macro")
    influence = (value - panel.means[0][task]) * weights[task] / panel.clusters.n[task]
    variance, _ = rows_variance(panel, "macro")
    assert variance == pytest.approx(influence @ shared(left, right) @ influence, rel=0.05)


def test_one_way_variance_is_that_of_draws_of_entities():
    random = np.random.default_rng(2)
    left = np.repeat(np.arange(150), random.integers(1, 9, 150))
    right = np.arange(len(left))  # none recurs
    value = (random.random(len(left)) < random.uniform(0.2, 1.0, 150)[left]).astype(np.int8)
    clusters = query_item(left, right)
    weights = random.multinomial(150, np.full(150, 1 / 150), 4_000)[:, left]  # times that each entity is drawn
    draws = (weights @ value) / weights.sum(axis=1)
    variance, df = rows_variance(of(clusters, value[None]), "query_item")
    assert np.sqrt(variance) == pytest.approx(draws.std(), rel=0.05)
    assert df < 149  # lists of unlike length count as fewer


def test_intervals_hold_the_truth_where_right_entities_matter():
    random = np.random.default_rng(3)
    left, right = np.repeat(np.arange(120), 5), random.integers(0, 25, 600)
    own = random.uniform(-0.1, 0.1, (1_000, 120))[:, left] + random.uniform(-0.3, 0.3, (1_000, 25))[:, right]
    panel = of(query_item(left, right), (random.random((1_000, 600)) < TRUTH + own).astype(float))
    weights = panel.weights("query_item")
    cells = [Contrast("own", str(cell), "", "query_item", (Term((cell,), weights),)) for cell in range(1_000)]
    lines = effects(panel, cells)
    held = (lines["low"] <= TRUTH) & (lines["high"] >= TRUTH)
    one_way = [np.sqrt((panel.by_group(side) ** 2).sum()) for side in panel.influence(range(1_000), weights)[0]]
    assert held.mean() >= 0.93
    assert (np.abs(lines["estimate"] - TRUTH) <= 1.98 * np.array(one_way)).mean() < 0.85


def test_many_entities_are_pooled_and_the_variance_stays(monkeypatch):
    random = np.random.default_rng(4)
    left, right = np.repeat(np.arange(3_000), 2), random.integers(0, 2_000, 6_000)
    value = (random.random(3_000) < TRUTH)[left].astype(float)[None]
    pooled, df = rows_variance(of(query_item(left, right), value), "query_item")
    monkeypatch.setattr(module, "POOLS", 10_000)
    monkeypatch.setattr(module, "PAIRS", 10_000)
    exact, _ = rows_variance(of(query_item(left, right), value), "query_item")
    assert pooled == pytest.approx(exact, rel=0.2)
    assert df < 512


@pytest.fixture
def panel() -> Panel:
    """Four cells on two tasks: two that differ on a quarter of the rows of one, a floor, one tested on one task."""
    random = np.random.default_rng(5)
    task = np.repeat([0, 3], 200)
    left, right = np.tile(np.repeat(np.arange(40), 5), 2), np.arange(400) + 40
    kind = np.repeat([QUERIES, ITEMS], [40, 400])
    base = (random.random((4, 400)) < TRUTH).astype(float)
    base[1] = np.where((np.arange(400) % 4 == 0) & (task == 0), 1, base[0])
    covered = np.ones((4, 6), bool)
    covered[3, 3] = False
    base[3, task == 3] = 0
    return of(Clusters(task, left, right, kind), base, covered)


def test_an_effect_is_the_difference_of_seed_means(panel):
    weights = panel.weights("macro")
    lines = effects(
        panel,
        [
            difference("best", ("one", [0, 1, 2]), ("other", [2, 0, 1]), "macro", weights),
            difference("best", ("one", [1]), ("other", [0]), "macro", weights),
            Contrast("best", "one", "floor", "macro", (Term((0, 1), weights), Term((2,), -weights, trained=False))),
            difference("best", ("one", [0]), ("part", [3]), "macro", weights),
            Contrast("best", "one", "absent", "macro", (), "no cell of it finished"),
        ],
    )
    assert tuple(lines.columns) == EFFECTS
    same, single, floor, part, absent = (lines.iloc[at] for at in range(5))
    assert (same["estimate"], same["p"], same["seeds"]) == (0, 1, 3)
    assert same["se_rows"] == pytest.approx(0, abs=1e-7)
    assert single["estimate"] == pytest.approx((panel.means[1] - panel.means[0])[[0, 3]].mean())
    assert single["low"] < single["estimate"] < single["high"]
    assert np.isnan([single["p"], single["se_seeds"], single["seeds_needed"]]).all()
    assert floor["seeds"] == 2
    assert floor["p"] > 0
    assert np.isnan(part["estimate"])
    assert (absent["reason"], np.isnan(absent["p"])) == ("no cell of it finished", True)
    assert (single["n_rows"], single["n_lefts"]) == (400, 80)


def test_effects_stand_beside_the_weights_that_both_trained(panel):
    pair = difference("best", ("one", [0, 1]), ("other", [1, 0]), "macro", panel.weights("macro"))
    line = effects(panel, [pair], {"one": 1e6}).iloc[0]
    assert line["trained_a"] == 1e6
    assert np.isnan(line["trained_b"])


def test_lower_ends_against_a_floor_are_those_of_its_contrasts(panel):
    low = panel.lows(2)
    for cell in (0, 1):
        for task in (0, 3):
            weights = np.eye(6)[task]
            terms = (Term((cell,), weights), Term((2,), -weights, trained=False))
            line = effects(panel, [Contrast("floor", "one", "floor", TASK_NAMES[task], terms)]).iloc[0]
            assert low[cell, task] == pytest.approx(line["low"], abs=1e-4)
    assert np.isnan(low[:, 1]).all()
    assert np.isnan(low[3, 3])
    assert low[2, 0] == 0


def test_few_left_entities_give_an_estimate_and_no_interval():
    left = np.repeat(np.arange(9), 4)
    panel = of(query_item(left, np.arange(36)), np.eye(2)[:, np.arange(36) % 2])
    line = effects(panel, [difference("x", ("a", [0]), ("b", [1]), "query_item", panel.weights("query_item"))]).iloc[0]
    assert line["estimate"] == 0
    assert np.isnan([line["low"], line["high"], line["df"]]).all()
    assert np.isnan(panel.lows(0)).all()


def test_lists_are_clustered_by_their_left_entity():
    random = np.random.default_rng(6)
    left = np.arange(300) % 150
    there = np.arange(300) % 3 > 0
    clusters = Clusters(np.repeat([0, 3], 150), left, None, np.full(150, QUERIES)).only(there)
    value = random.random((1, 300))[:, there]
    variance, _ = rows_variance(of(clusters, value), "macro")
    assert clusters.n[[0, 3]].tolist() == [100, 100]
    assert variance == pytest.approx(value.var() / 200, rel=0.3)
