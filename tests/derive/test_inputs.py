"""Faults of judgements, items and trees: one error over all files, or a quarantine whose counts add up."""

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from little import ITEMS, JUDGEMENTS, TREE, read, shop, unaccounted

from relevance.errors import UserError

FAULTS = {  # what is added to one of the files, the problem told of, and whether the row stays in use
    "no type": ("items", "i5,Stool,\n", None, True),
    "type not in the tree": ("items", "i6,Stool,Stools\n", "type is not in the taxonomy", True),
    "no id": ("items", ",Stool,Chairs\n", "item_id is empty", False),
    "no title": ("items", "i7,  ,Chairs\n", "text is empty", False),
    "long title": ("items", f"i8,{'x' * 1_000_000},Chairs\n", "text is longer than 20,000 characters", False),
    "differing id": ("items", "i1,Red sofa,Chairs\n", "item_id is given twice, with another text or type", False),
    "torn item": ("items", "i9,Stool\n", "torn row", False),
    "circle of one": ("taxonomy", "Self,Self\n", "type is its own ancestor", False),
    "two parents": ("taxonomy", "Chairs,Lighting\n", "type has two parents", False),
    "a root with a parent": ("taxonomy", "Chairs,\n", "type has two parents", False),
    "nameless type": ("taxonomy", ",Lighting\n", "type is empty", False),
    "long type": ("taxonomy", f"{'x' * 30_000},Lighting\n", "text is longer than 20,000 characters", False),
    "strange grade": ("judgements", "lamp,i1,9\n", "grade is none of 0, 1, 2", False),
    "no grade": ("judgements", "lamp,i1,\n", "grade is none of 0, 1, 2", False),
    "unknown item": ("judgements", "lamp,i99,2\n", "item_id is not in the items", False),
    "no item": ("judgements", "lamp,,2\n", "item_id is empty", False),
    "no query": ("judgements", " ,i1,2\n", "query is empty", False),
    "long query": ("judgements", f"{'x' * 30_000},i1,2\n", "text is longer than 20,000 characters", False),
    "torn last line": ("judgements", "lamp,i", "torn row", False),
}
PLAIN = {"judgements": JUDGEMENTS, "items": ITEMS, "taxonomy": TREE}


@pytest.fixture
def faulty(tmp_path):
    """The words of a shop with every fault, and of each its file's kind, its row, its problem, and if it is kept."""
    texts, told = dict(PLAIN), []
    for kind, added, problem, kept in FAULTS.values():
        if problem:
            told.append((kind, texts[kind].count("\n"), problem, kept))
            texts[kind] += added
    return shop(tmp_path, **texts), told


def test_the_faults_of_all_files_are_one_error_that_names_their_rows(faulty):
    words, told = faulty
    with pytest.raises(UserError) as caught:
        read(words)
    said = str(caught.value)
    for kind, row, problem, _ in told:
        rows = sum((kind, problem) == (other, same) for other, _, same, _ in told)
        assert f"  {problem}: {rows} row{'s' * (rows > 1)}; remedy: " in said
        assert f"{kind}.csv row {row}: " in said
    for kind in PLAIN:
        assert f"{kind}.csv: {sum(kind == other for other, *_ in told)} rows at fault" in said
    assert said.endswith("or set on_bad_row=quarantine to set these rows aside and go on without them")


def test_rows_at_fault_are_set_aside_listed_and_counted(faulty):
    words, told = faulty
    found = read(words, aside=True)
    listed = {(Path(one["file"]).stem, int(one["row"]), one["problem"]) for one in found.aside}
    assert listed == {(kind, row, problem) for kind, row, problem, _ in told}
    assert len(found.aside) == len(told)
    assert all(one["remedy"] and one["value"] for one in found.aside)
    wanted = Counter((kind, problem, kept) for kind, _, problem, kept in told)
    assert {(one["input"], one["problem"], one["kept"]): one["rows"] for one in found.faults} == wanted
    for kind in PLAIN:
        gone = sum(other == kind and not kept for other, _, _, kept in told)
        assert found.counts[f"{kind}: set aside"] == gone


def test_items_without_a_type_are_counted(tmp_path):
    found = read(shop(tmp_path, items=ITEMS + "i5,Stool,\ni6,Bench,Benches\n"), aside=True)
    assert (found.counts["items"], found.counts["typed items"], found.counts["items without a type"]) == (6, 4, 2)


def test_rows_that_say_the_same_are_counted_and_no_fault(tmp_path):
    words = shop(
        tmp_path,
        items=ITEMS + "i1,Red chair,Chairs\n",
        taxonomy=TREE + "Chairs,Furniture\n",
        judgements=JUDGEMENTS + "Lamp,i4,2\n",
    )
    counts = read(words).counts
    assert {kind: counts[f"{kind}: said again"] for kind in PLAIN} == dict.fromkeys(PLAIN, 1)


def test_a_type_with_two_names_is_a_fault_and_so_is_a_parent_without_a_row_in_a_tree_of_names(tmp_path):
    tree = "type,parent,name\nChairs,Furniture,Chair\nChairs,Furniture,Seat\nTables,Furniture,\nLamps,Lighting,\n"
    found = read(shop(tmp_path, taxonomy=tree), "SELECT id, text FROM type ORDER BY id", aside=True)
    assert found.faults == [
        {"input": "taxonomy", "problem": "parent is no type of the tree", "rows": 4, "kept": True},
        {"input": "taxonomy", "problem": "type has two names", "rows": 1, "kept": False},
    ]
    assert dict(found.rows[0])["Chairs"] == "Chair"
    assert "types known as a parent alone" in found.counts
    assert found.counts["types known as a parent alone"] == 0
    nameless = read(shop(tmp_path, taxonomy="type,parent\nChairs,Furniture\nTables,Furniture\nLamps,Lighting\n"))
    assert nameless.counts["types known as a parent alone"] == 2


@pytest.mark.parametrize("kind", PLAIN)
def test_a_file_without_a_row_is_an_error(tmp_path, kind):
    header = PLAIN[kind].split("\n")[0] + "\n"
    with pytest.raises(UserError, match=rf"{kind}=.*{kind}\.csv: holds no rows; "):
        read(shop(tmp_path, **{kind: header}))
    with pytest.raises(UserError, match=rf"{kind}\.csv: the file is empty; "):
        read(shop(tmp_path, **{kind: ""}))


def test_where_no_row_is_left_the_quarantine_says_why(tmp_path):
    words = shop(tmp_path, judgements="query,item_id,label\na,b\nlamp,i9,2\n")
    with pytest.raises(UserError, match=r"judgements: no row is left.*pairs\.quarantine\.csv"):
        read(words, aside=True)
    assert (tmp_path / "pairs.quarantine.csv").read_text().count("\n") == 3


def test_an_earlier_quarantine_makes_way(tmp_path):
    words = shop(tmp_path, items=ITEMS + "i5,,Chairs\n")
    assert read(words, aside=True).aside
    assert not read(shop(tmp_path), aside=True).aside


def test_queries_are_one_but_for_case_white_space_and_composition(tmp_path):
    told = "query,item_id,label\nCafé  lamp,i1,2\ncafe\u0301 lamp,i2,1\n CAFÉ\u00a0LAMP ,i3,0\nNA,i1,1\nnull,i2,2\n"
    found = read(shop(tmp_path, judgements=told), "SELECT text FROM query ORDER BY text")
    assert found.rows[0] == [("Café lamp",), ("NA",), ("null",)]


def test_an_id_that_two_queries_share_is_a_fault_and_queries_with_two_ids_are_counted(tmp_path):
    told = (
        "query_id,query,item_id,label\n1,lamp,i1,2\n1,LAMP,i2,2\n1,chair,i1,2\n2,lamp,i3,2\n,table,i3,2\n,table,i4,0\n"
    )
    found = read(shop(tmp_path, judgements=told), "SELECT id, text FROM query ORDER BY id", aside=True)
    assert [one["problem"] for one in found.faults] == ["query_id is that of another query"]
    assert found.aside[0]["row"] == "3"
    assert found.counts["queries with several ids"] == 1
    assert found.rows[0] == [("1", "lamp"), ("table", "table")]


def test_texts_of_queries_may_stand_in_a_file_of_their_own(tmp_path):
    words = shop(
        tmp_path,
        judgements="query_id,item_id,label\n1,i1,2\n2,i2,2\n9,i1,2\n,i1,2\n3,i1,1\n4,i3,1\n",
        queries="query_id,query\n1,lamp\n2,chair\n2,chair\n1,bulb\n,nothing\n3,\n4,table\n",
    )
    found = read(words, "SELECT id, text FROM query ORDER BY id", aside=True)
    assert found.rows[0] == [("1", "lamp"), ("2", "chair"), ("4", "table")]
    problems = Counter((one["input"], one["problem"]) for one in found.faults for _ in range(one["rows"]))
    assert problems == {
        ("queries", "query_id is empty"): 1,
        ("queries", "query is empty"): 1,
        ("queries", "query_id is given twice, with another text"): 1,
        ("judgements", "query_id is not in the queries"): 3,
    }
    assert unaccounted(found.counts, "queries", 3) == 0
    assert unaccounted(found.counts, "judgements", found.counts["judged pairs"]) == 0
    with pytest.raises(UserError, match=r"has no column query;.*or give queries=FILE"):
        read([word for word in words if not word.startswith("queries=")])


GRADES = {
    "as they are": ("Exact", "Partial", "grades={Exact: 2, Partial: 1}"),
    "whole floats": ("2.0", "1.0", "grades={2: 2, 1: 1}"),
    "floats in the map": ("2", "1", "grades={2.0: 2, 1.0: 1}"),
    "words of YAML": ("true", "false", "grades={true: 2, false: 1}"),
    "blanks": (" Exact ", "Partial", "grades={'Exact': 2, Partial: 1}"),
}


@pytest.mark.parametrize("name", GRADES)
def test_a_grade_is_its_text(tmp_path, name):
    best, middle, map_ = GRADES[name]
    words = shop(tmp_path, judgements=f"query,item_id,label\nlamp,i4,{best}\nlamp,i1,{middle}\n")
    assert read([*words, map_], "SELECT label FROM judged ORDER BY i").rows[0] == [(1,), (2,)]


def test_grades_none_of_which_has_a_label_are_an_error_with_a_hint(tmp_path):
    words = shop(tmp_path, judgements="query,item_id,label\nlamp,i4,exact\n")
    with pytest.raises(UserError, match=r"none of its grades \(exact\).*did you mean Exact\? give each a label"):
        read([*words, "grades={Exact: 2}"])


def test_numbers_that_a_null_made_floats_are_the_same_ids(tmp_path):
    judged = pa.table({"query": ["a", "b", "c"], "item_id": [17.0, 18.0, float("nan")], "label": [2.0, 0.0, None]})
    items = pa.table(
        {"item_id": [17, 18], "title": pa.array(["x", "y"]).dictionary_encode(), "product_type": pa.nulls(2)}
    )
    found = read(shop(tmp_path, judgements=("parquet", judged), items=("parquet", items), taxonomy=None), aside=True)
    assert found.counts["judged pairs"] == 2
    assert found.aside[0]["problem"] == "grade is none of 0, 1, 2"


@given(
    st.lists(st.sampled_from([name for name in FAULTS if not name.startswith(("torn", "long"))]), max_size=12),
    st.sampled_from([None, "Chairs", "Tables"]),
)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_of_the_files_are_used_left_out_set_aside_or_said_again(tmp_path, names, where):
    texts = dict(PLAIN)
    for name in names:
        kind, added, *_ = FAULTS[name]
        texts[kind] += added
    words = shop(tmp_path, **texts) + ([f"read.items.where={{product_type: {where}}}"] if where else [])
    found = read(words, aside=True)
    assert unaccounted(found.counts, "items", found.counts["items"]) == 0
    assert unaccounted(found.counts, "judgements", found.counts["judged pairs"]) == 0
    of_rows = found.counts["types"] - found.counts["types known as a parent alone"]
    assert unaccounted(found.counts, "taxonomy", of_rows) == 0
    assert len(found.aside) == sum(one["rows"] for one in found.faults)
    for kind, text in texts.items():
        assert found.counts[f"{kind}: rows of the files"] == text.count("\n") - 1
