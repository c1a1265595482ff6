import pytest
from small_pairs import row, write

from relevance.audit.commands import Limits
from relevance.data.__main__ import command
from relevance.errors import UserError


@pytest.fixture
def validate(tmp_path, capsys):
    """Validate a table in which 1 of 4 test rows has a left entity of training, 2 of 4 a right one."""
    rows = [row(n, left_id=f"q{n}", right_id=f"i{n}") for n in range(16)]
    rows[3] |= {"left_id": "q1"}
    rows[7] |= {"right_id": "i1"}
    rows[11] |= {"right_id": "i5"}

    def run(*words, rows=rows):
        command(["validate", f"data.path={write(tmp_path, rows)}", f"outputs={tmp_path / 'out'}", *words])
        return capsys.readouterr().out

    return run


def test_shares_up_to_the_limit_pass_and_are_told(validate):
    said = validate("limits.left=0.25", "limits.right=0.5", "limits.either=0.75", "limits.pair=0", "limits.texts=0")
    assert "seen in training of any task: left 25 %, right 50 %, either 75 %" in said


def test_shares_beyond_a_limit_are_refused_with_the_rows_by_id(validate):
    with pytest.raises(UserError) as caught:
        validate("limits.left=0.1", "limits.right=0.5", "limits.either=0")
    said = str(caught.value)
    assert "limits.left=0.1: 25.0 % of 4 test rows (1) have a left entity" in said
    assert "row 4: query_item 'q1' | 'i3'" in said
    assert "limits.either=0: 75.0 % of 4 test rows (3)" in said
    assert "limits.right" not in said
    assert "remedy: " in said


def test_rows_keep_their_numbers_in_the_file_where_others_are_set_aside(validate):
    rows = [row(n, left=f"left {n % 5}") for n in range(12)]
    rows[0]["label"] = 9
    with pytest.raises(UserError, match="row 12: query_item 'left 1'"):
        validate("limits.left=0", "data.on_bad_row=quarantine", rows=rows)


def test_of_many_rows_the_first_are_named_and_the_others_counted(validate):
    rows = [row(n, left=f"left {n % 3}") for n in range(120)]
    with pytest.raises(UserError, match="… and 10 more"):
        validate("limits.left=0", rows=rows)


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_limit_that_is_no_share_is_refused_before_the_file_is_read(share):
    with pytest.raises(UserError, match=r"limits\.pair="):
        Limits(pair=share).shares()
    with pytest.raises(UserError, match=r"limits\.pair="):
        command(["validate", "data.path=nowhere.parquet", f"limits.pair={share}"])
