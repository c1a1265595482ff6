import csv

import pytest
from small_pairs import read, row

from relevance.audit.grading import COLUMNS, graded, grading_sheet
from relevance.errors import UserError

ROWS = [row(n, source="kind" if n % 2 else None) for n in range(24)]
LABELS = {one["left"]: one["label"] for one in ROWS}


@pytest.fixture
def found():
    return read(ROWS)


@pytest.fixture
def save(tmp_path, found):
    """A maker of graded files: `grade` says what a person writes beside the true label of line n."""

    def make(name, grade, delimiter=",", encoding="utf-8-sig", shown=None, **cells):
        shown = (shown or grading_sheet(found, 99, 0)).to_pylist()
        for n, line in enumerate(shown):
            line |= {"grade": grade(LABELS.get(line["left"]), n)}
            line |= {key: value(line, n) for key, value in cells.items()}
        with (tmp_path / name).open("w", encoding=encoding, newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, delimiter=delimiter)
            writer.writeheader()
            writer.writerows(shown)
        return tmp_path / name

    return make


def perfect(label, n):
    return label


@pytest.mark.parametrize(("delimiter", "encoding"), [(",", "utf-8"), (";", "utf-8-sig"), ("\t", "cp1252")])
def test_perfect_grades_have_a_kappa_of_one_however_a_spreadsheet_saves_them(found, save, delimiter, encoding):
    path = save("a.csv", perfect, delimiter, encoding, right=lambda line, n: f"é {line['right']}")
    told = graded(found, [path])
    assert [(rule["task"], rule["source"]) for rule in told["rules"]] == [("query_item", "kind"), ("query_item", None)]
    for one in (*told["rules"], told["all"]):
        assert (one["kappa"], one["agreement"], one["ungraded"]) == (1, 1, 0)
    assert told["confusion"] == [[8, 0, 0], [0, 8, 0], [0, 0, 8]]
    assert sum(rule["graded"] for rule in told["rules"]) == told["all"]["graded"] == 24


def test_empty_grades_are_counted_and_left_out(found, save):
    told = graded(found, [save("a.csv", lambda label, n: "" if n < 10 else f" {label}.0 ")])
    assert (told["all"]["graded"], told["all"]["ungraded"], told["all"]["kappa"]) == (14, 10, 1)
    assert told["graders"][0] | {"file": ""} == {"file": "", "graded": 14, "ungraded": 10}


def test_several_people_are_held_against_the_rules_and_against_one_another(found, save):
    paths = [save("a.csv", perfect), save("b.csv", lambda label, n: 2 - label if n < 12 else label)]
    told = graded(found, paths)
    (between,) = told["between"]
    assert between["graders"] == [str(path) for path in paths]
    assert between["n"] == 24
    assert between["kappa"] < told["all"]["kappa"] < 1
    assert (told["all"]["n"], told["all"]["pairs"]) == (48, 24)


def test_a_label_weighs_in_the_table_what_it_holds_there(save):
    """Of 90 labels 0 and 10 labels 2 five each are shown; who says 0 throughout agrees with half and with 90 %."""
    found = read([row(n, label=0 if n < 90 else 2) for n in range(100)])
    (rule,) = graded(found, [save("a.csv", lambda label, n: 0, shown=grading_sheet(found, 5, 0))])["rules"]
    assert (rule["agreement"], rule["weighted"]) == (0.5, 0.9)


def test_bad_grades_unknown_keys_and_pairs_graded_twice_are_named_with_their_rows(found, save):
    def key(line, n):
        return {2: "p0000000000000000", 3: "nonsense"}.get(n, line["key"])

    path = save("a.csv", lambda label, n: {0: "3", 1: "x"}.get(n, label), key=key)
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    path.write_text("\n".join([*lines, lines[6]]))
    with pytest.raises(UserError) as caught:
        graded(found, [path])
    said = str(caught.value)
    assert "a.csv row 1: '3'" in said
    assert "a.csv row 2: 'x'" in said
    assert "key is no pair of the table: 2 rows" in said
    assert "a.csv row 3: 'p0000000000000000'" in said
    assert "a pair is graded twice: 2 rows" in said
    assert "a.csv row 25: " in said


def test_a_pair_that_left_the_table_or_changed_its_text_is_no_pair_of_it(save):
    path = save("a.csv", perfect)
    with pytest.raises(UserError, match="key is no pair of the table: 2 rows"):
        graded(read([*ROWS[1:-1], ROWS[-1] | {"right": "another"}]), [path])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.xlsx", b"PK", "save the spreadsheet as csv"),
        ("a.csv", None, "no such file"),
        ("a.csv", b"key,grade\n", "holds no rows"),
        ("a.csv", b"key,note\np0,1\n", "missing column grade; present: key, note"),
        ("a.csv", "key,grade\np0,1\n".encode("utf-16-le"), "not UTF-8"),
        ("a.csv", b"key,grade\np0,1,2\n", "torn row"),
        ("a.csv", b"key,grade\np0,\xff\n", "column grade is not UTF-8"),
    ],
)
def test_a_file_that_is_no_sheet_is_refused_clearly(found, tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=said):
        graded(found, [tmp_path / name])
