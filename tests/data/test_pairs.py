import numpy as np
import pyarrow as pa
import pytest

from relevance.data.contract import check_pairs
from relevance.data.faults import SET_ASIDE, Loaded, faults_error
from relevance.errors import UserError

ROW = {"task": "query_item", "left": "cable", "right": "usb cable", "label": "2", "split": "train"}


def loaded(*changes, **columns):
    """A table of one row for each change to ROW; texts differ so that pairs do."""
    rows = [ROW | {"right": f"item {n}"} | change for n, change in enumerate(changes)]
    table = pa.table({name: [row.get(name) for row in rows] for name in {**rows[0], **columns}})
    return Loaded(table, np.arange(1, len(rows) + 1))


def problems(*changes):
    return {
        fault.problem: (fault.rows.tolist(), list(fault.values))
        for fault in check_pairs(loaded(*changes), "f")[0].faults
    }


def test_a_sound_table_passes_with_the_types_of_the_contract():
    checked, _ = check_pairs(loaded({"left": "NA", "label": "2.0"}, {"left": "null", "label": "0"}), "f")
    assert not checked.faults
    assert checked.table["label"].to_pylist() == [2, 0]
    assert checked.table.schema.field("label").type == pa.int8()
    assert checked.table["left_id"].null_count == 2
    assert "weight" not in checked.table.column_names


@pytest.mark.parametrize("label", ["1.5", "two", "3", "-1", "", None, "nan"])
def test_labels_outside_the_scale_are_faults(label):
    assert problems({}, {"label": label}) == {
        "label is not 0, 1 or 2": ([2], ["null" if label is None else repr(label)])
    }


def test_labels_may_be_whole_numbers_of_any_type():
    for column in ([0, 1, 2], [0.0, 1.0, 2.0], ["0", " 1 ", "2.0"]):
        source = loaded({}, {}, {})
        table = source.table.set_column(source.table.column_names.index("label"), "label", pa.array(column))
        assert check_pairs(Loaded(table, source.rows), "f")[0].table["label"].to_pylist() == [0, 1, 2]
    table = table.set_column(table.column_names.index("label"), "label", pa.array([1.5, None, 2.0]))
    (fault,) = check_pairs(Loaded(table, source.rows), "f")[0].faults
    assert (fault.rows.tolist(), fault.values) == ([1, 2], ["'1.5'", "null"])


def test_each_kind_of_bad_row_is_collected():
    faults = problems(
        {},
        {"task": "query_itme"},
        {"left": " \t"},
        {"right": None},
        {"split": "val"},
        {"split": None},
        {"left": "\u00a0"},
    )
    assert {problem: rows for problem, (rows, _) in faults.items()} == {
        "unknown task": [2],
        "left is empty": [3, 7],
        "right is empty": [4],
        "unknown split": [5, 6],
    }


@pytest.mark.parametrize(
    ("weight", "bad"),
    [
        ("0", False),
        ("1e-3", False),
        (" .5", False),
        ("1.", False),
        ("-1", True),
        ("inf", True),
        ("nan", True),
        (None, True),
        ("x", True),
        ("1e999", True),
    ],
)
def test_weights_are_finite_and_not_negative(weight, bad):
    checked, _ = check_pairs(loaded({"weight": "0.5"}, {"weight": weight}), "f")
    assert bool(checked.faults) is bad
    assert checked.table["weight"].to_pylist()[0] == 0.5


def test_a_pair_with_two_labels_names_both_rows():
    faults = problems({"right": "x", "label": "0"}, {}, {"right": "x", "label": "2"})
    assert list(faults) == ["a pair has two labels"]
    rows, values = faults["a pair has two labels"]
    assert rows == [1, 3]
    assert "label 0" in values[0]
    assert "rows 1, 3" in values[0]


def test_a_pair_in_two_splits_and_a_copy_are_told_apart():
    faults = problems({"right": "x"}, {"right": "x", "split": "test"}, {"right": "y"}, {"right": "y"}, {"right": "y"})
    assert faults["a pair stands in two splits"][0] == [1, 2]
    assert faults["a pair is repeated"][0] == [4, 5]


def test_a_pair_is_its_ids_or_else_its_texts():
    same_texts = {"right": "x", "left_id": "q1"}
    assert not problems(same_texts | {"right_id": "i1", "label": "0"}, same_texts | {"right_id": "i2"})
    same_ids = {"left_id": "q1", "right_id": "i1"}
    assert list(problems(same_ids | {"label": "0"}, same_ids)) == ["a pair has two labels"]
    assert not problems({"right": "x", "task": "item_item", "label": "0"}, {"right": "x"})
    assert not problems({"left_id": "cable", "right": "x", "label": "0"}, {"left": "cable", "right": "x"})


def test_a_bad_row_does_not_put_its_sound_twin_at_fault():
    assert list(problems({"right": "x", "label": "9"}, {"right": "x"})) == ["label is not 0, 1 or 2"]


def test_the_rows_at_fault_leave_and_the_others_keep_their_numbers():
    checked, keys = check_pairs(loaded({}, {"label": "9"}, {}), "f")
    assert checked.rows.tolist() == [1, 3]
    assert checked.table["right"].to_pylist() == ["item 0", "item 2"]
    assert len(keys.left) == 2


def test_a_missing_column_is_named_with_the_way_out():
    table = loaded({}).table.rename_columns(["task", "lefft", "right", "label", "split"])
    with pytest.raises(
        UserError, match=r"missing column left; present: task, lefft.*did you mean lefft.*data\.columns"
    ):
        check_pairs(Loaded(table, np.array([1])), "f")


def test_unknown_columns_are_carried_along_untouched():
    source = loaded({}, {})
    table = source.table.append_column("mine", pa.array([[1], [2, 3]]))
    assert check_pairs(Loaded(table, source.rows), "f")[0].table["mine"].to_pylist() == [[1], [2, 3]]


def test_the_error_lists_every_kind_and_counts_what_it_leaves_out():
    faults = check_pairs(loaded(*[{"label": "9"}] * 30, {"task": "t"}, {}), "f.csv")[0].faults
    text = str(faults_error("f.csv", faults, "rows are counted from 1", SET_ASIDE))
    assert "31 rows at fault" in text
    assert "f.csv row 20: '9'" in text
    assert "row 21" not in text
    assert "and 10 more" in text
    assert "f.csv row 31: 't'" in text
    assert "use query_item" in text
    assert "quarantine" in text
