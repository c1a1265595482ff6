import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from small_pairs import SAME, read, row

from relevance.audit.counts import agreement, audit_facts

JUDGEMENTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30)


def couples(pair, label, other):
    """Counts [pairs, 3, 3] of the judgements `label` beside `other` of each pair."""
    groups = np.unique(pair, return_inverse=True)[1]
    counts = np.zeros((groups.max() + 1, 3, 3), int)
    np.add.at(counts, (groups, label, other), 1)
    return counts


def of(judgements):
    return agreement(couples(*np.array(judgements).T))


def judged(rows):
    return audit_facts(read(rows))["agreement"]


@SAME
@given(JUDGEMENTS)
def test_kappa_is_that_of_sklearn(judgements):
    _, one, other = zip(*judgements, strict=True)
    told = of(judgements)
    assert (told["n"], told["pairs"]) == (len(judgements), len({pair for pair, *_ in judgements}))
    assert told["agreement"] == pytest.approx(np.mean(np.array(one) == np.array(other)))
    if min(len({*one}), len({*other})) > 1:
        expected = cohen_kappa_score(one, other, weights="quadratic", labels=[0, 1, 2])
        assert told["kappa"] == pytest.approx(expected)
    else:
        assert told["kappa"] is told["low"] is told["high"] is None


def test_perfect_agreement_is_one_and_its_interval_too():
    told = of([(n, n % 3, n % 3) for n in range(30)])
    assert (told["kappa"], told["low"], told["high"]) == (1, 1, 1)


def test_the_interval_is_of_the_pairs_not_of_the_couples():
    rng = np.random.default_rng(0)
    few = [(n, int(a), int(a if rng.random() < 0.6 else b)) for n, (a, b) in enumerate(rng.integers(0, 3, (40, 2)))]
    told, copied = of(few), of(few * 9)
    assert told["kappa"] == pytest.approx(copied["kappa"])
    assert 0.3 < told["high"] - told["low"] == pytest.approx(copied["high"] - copied["low"])
    assert told["low"] < told["kappa"] < told["high"]


def test_judgements_of_a_pair_are_taken_in_the_order_of_the_annotators():
    said = [("cy", 0), ("ann", 2), ("bob", 1)]
    rows = [row(0, left="a", right="b", label=label, annotator=who) for who, label in said] + [row(5)]
    told = judged(rows)
    assert told["order"] == "column annotator"
    assert told["tasks"]["query_item"]["n"] == 2
    by_name = couples(np.zeros(2, int), np.array([2, 1]), np.array([1, 0]))
    assert told["tasks"]["all"] == agreement(by_name)
    rows = [{name: value for name, value in one.items() if name != "annotator"} for one in rows]
    assert judged(rows)["tasks"]["all"] == agreement(couples(np.zeros(2, int), np.array([0, 2]), np.array([2, 1])))


def test_without_several_judgements_there_is_no_kappa():
    told = judged([row(0), row(1)])["tasks"]["all"]
    assert told == {"n": 0, "pairs": 0, "agreement": None, "kappa": None, "low": None, "high": None}
