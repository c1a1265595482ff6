import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_pairs import ROWS, SAME, read, row

from relevance.audit.grading import BOM, COLUMNS, grading_sheet, write_sheet
from relevance.errors import UserError

MANY = [row(n, label=0 if n < 300 else 1 + n % 2, source="a" if n % 3 else None) for n in range(400)]


def drawn(rows, n=20, seed=0):
    return grading_sheet(read(rows), n, seed)


@SAME
@given(ROWS, st.permutations([0, 1, 2]), st.randoms(use_true_random=False))
def test_a_sheet_of_all_pairs_is_the_same_whatever_labels_rules_and_order_of_rows(rows, renamed, random):
    other = [one | {"label": renamed[one["label"]], "source": random.choice(["x", "y"])} for one in rows]
    random.shuffle(other)
    assert drawn(rows, n=99).equals(drawn(other, n=99))


def test_of_each_rule_and_label_n_pairs_are_drawn_and_a_null_rule_is_one():
    table = drawn(MANY, n=7)
    by_text = {one["left"]: (one["label"], one["source"]) for one in MANY}
    strata = [by_text[left] for left in table["left"].to_pylist()]
    assert {one: strata.count(one) for one in set(strata)} == {(k, s): 7 for k in range(3) for s in ("a", None)}


def test_the_order_of_a_sheet_does_not_tell_the_label():
    """The common label stands neither first nor last, though its pairs are the pick of many more."""
    by_text = {one["left"]: one["label"] for one in MANY}
    labels = np.array([by_text[left] for left in drawn(MANY, n=20)["left"].to_pylist()])
    place = np.flatnonzero(labels == 0) / len(labels)
    assert 0.35 < place.mean() < 0.65


def test_another_seed_draws_other_pairs_and_the_same_seed_the_same():
    assert drawn(MANY, 5, seed=1).equals(drawn(MANY, 5, seed=1))
    assert set(drawn(MANY, 5, seed=1)["key"].to_pylist()) != set(drawn(MANY, 5, seed=2)["key"].to_pylist())


def test_a_pair_of_several_rows_is_shown_once():
    rows = [row(0, left="a", right="b", label=label) for label in (0, 1, 2)]
    assert len(drawn(rows)) == 1


def test_the_file_is_one_for_spreadsheets_and_runs_no_formula(tmp_path):
    path = tmp_path / "grades.csv"
    write_sheet(drawn([row(0, left='=HYPERLINK("x")', right="@é"), row(1)]), path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    assert path.read_bytes().startswith(BOM)
    assert tuple(lines[0]) == COLUMNS
    assert {('\'=HYPERLINK("x")', "'@é", ""), ("left 1", "right 1", "")} == {
        (one["left"], one["right"], one["grade"]) for one in lines
    }


def test_a_file_that_may_hold_grades_is_not_written_over(tmp_path):
    path = tmp_path / "grades.csv"
    path.write_text("key,grade")
    with pytest.raises(UserError, match="may hold grades"):
        write_sheet(drawn(MANY), path)
    assert path.read_text() == "key,grade"
    with pytest.raises(UserError, match="give the csv to write"):
        write_sheet(drawn(MANY), tmp_path / "grades.xlsx")
