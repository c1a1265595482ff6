"""Category paths of every form → types and their parents."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from little import put, read, shop, unaccounted

from relevance.derive.catalogue import read_paths
from relevance.derive.commands import ReadOptions
from relevance.errors import UserError

OPTIONS = ReadOptions(separator=">", longest=50)
NAMES = st.lists(st.text("ab é/", max_size=4), max_size=20)


def found(values, kind=None):
    return read_paths(pa.chunked_array([pa.array(values, kind)]), OPTIONS, "items: category")


@given(st.lists(st.one_of(st.none(), NAMES), max_size=8))
def test_a_path_is_the_same_as_text_and_as_a_list(values):
    listed = found(values, pa.list_(pa.string()))
    text = found([None if value is None else ">".join(value) for value in values], pa.string())
    kept = [[" ".join(name.split()) for name in value or () if name.strip()] for value in values]
    assert listed.ends.to_pylist() == text.ends.to_pylist() == [" > ".join(names) or None for names in kept]
    assert listed.nodes.equals(text.nodes)
    assert not listed.bad.any()
    assert not text.bad.any()


@given(st.lists(NAMES, max_size=8))
def test_every_type_on_a_path_is_there_with_its_parent_and_the_first_row_that_tells_of_it(values):
    told = found(values, pa.list_(pa.string()))
    wanted = {}
    for at, value in enumerate(values):
        names = [" ".join(name.split()) for name in value if name.strip()]
        for depth in range(len(names)):
            wanted.setdefault((" > ".join(names[: depth + 1]), names[depth], " > ".join(names[:depth]) or None), at)
    assert {(row["type"], row["name"], row["parent"]): row["at"] for row in told.nodes.to_pylist()} == wanted


def test_objects_with_an_id_are_types_of_that_id():
    told = found([[{"id": 7, "name": "Audio"}, {"id": 9, "name": None}], [], None, [{"id": 7, "name": "Audio"}]])
    assert told.ends.to_pylist() == ["9", None, None, "7"]
    assert told.nodes.to_pylist() == [
        {"type": "7", "name": "Audio", "parent": None, "at": 0},
        {"type": "9", "name": "9", "parent": "7", "at": 0},
    ]


BAD = {
    "JSON in a cell": ['["A", 1]', "A > B", ' {"id": 1}'],
    "objects without an id": [[{"id": None}], [{"id": "x"}], [{"id": ""}, {"id": "x"}]],
    "no name": [[None], ["A"], ["A", None]],
    "a long name": ["A > " + "x" * 51, "A", "x" * 51],
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_path_is_a_fault_of_its_row(name):
    told = found(BAD[name])
    assert told.bad.tolist() == [True, False, True]
    assert told.ends.null_count == 2


@pytest.mark.parametrize("values", [[1, 2], [[1]], [[{"name": "A"}]], [True]])
def test_a_column_of_another_type_is_an_error(values):
    with pytest.raises(
        UserError, match=r"items: category has type .*; write a path as text, such as A > B, or as a list"
    ):
        found(values)


def test_bytes_in_a_list_that_are_no_utf8_are_no_path():
    raw = pa.ListArray.from_arrays([0, 1, 2], pa.array([b"\xe9", b"A"]).view(pa.string()))
    assert read_paths(pa.chunked_array([raw]), OPTIONS, "").bad.tolist() == [True, False]


def test_a_type_that_paths_place_twice_is_told_with_its_row_and_stays(tmp_path):
    def path(*ids):
        return [{"id": one, "name": "x"} for one in ids]

    items = [{"item_id": str(at), "title": "x", "category": one} for at, one in enumerate(
        [path("a", "b", "c"), path("a", "c"), [], path("a", "b"), None, path(None)])]  # fmt: skip
    words = shop(tmp_path, judgements=None, taxonomy=None, items=("json", items))
    found = read(words, "SELECT item.id, type.id FROM item JOIN type ON t = type.n ORDER BY ALL", aside=True)
    assert found.faults == [
        {"input": "items", "problem": "category is no path", "rows": 1, "kept": True},
        {"input": "items", "problem": "type has two parents", "rows": 1, "kept": True},
    ]
    assert [one["row"] for one in found.aside] == ["6", "2"]
    assert found.rows[0] == [("0", "c"), ("1", "c"), ("3", "b")]
    assert found.counts["items without a type"] == 3
    assert unaccounted(found.counts, "items", 6) == 0


def test_paths_of_a_taxonomy_are_told_by_their_row(tmp_path):
    tree = "category\nA > B\nA>B\n\n  > \n[x]\nA > C > D\n"
    words = shop(tmp_path, judgements=None, items=None, taxonomy=tree.replace("\n\n", '\n""\n'))
    found = read(words, "SELECT id FROM type ORDER BY id", aside=True)
    assert found.rows[0] == [("A",), ("A > B",), ("A > C",), ("A > C > D",)]
    assert [(one["row"], one["problem"]) for one in found.aside] == [
        ("5", "category is no path"),
        ("3", "category is empty"),
        ("4", "category is empty"),
    ]
    assert unaccounted(found.counts, "taxonomy", 2) == 0


def test_types_and_paths_in_one_file_of_items_are_one_too_many(tmp_path):
    with pytest.raises(UserError, match=r"items=.*has product_type and category; leave one out"):
        read(shop(tmp_path, items="item_id,title,product_type,category\ni1,a,b,c\n"))
    put(tmp_path / "a.json", [{"item_id": 1, "title": "x", "category": "A"}])
    put(tmp_path / "b.json", [{"item_id": 2, "title": "x", "category": ["A"]}])
    with pytest.raises(UserError, match=r"write a column in different ways.*; write it in one"):
        read([f"items={tmp_path}/?.json", f"output={tmp_path}/pairs.parquet"])
