"""Files a user names → rows under our names, each with its number; what cannot be read is told by its name."""

import datetime
import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from little import ITEMS, put, read, shop, zipped

from relevance.derive.commands import DeriveOptions, FileOptions, ReadOptions
from relevance.derive.files import check_inputs, read_inputs
from relevance.errors import UserError

WANTED = {"item_id": True, "title": True, "category": False}
RECORDS = [{"item_id": "i1", "title": "A", "tags": ["x"]}, {"title": "B", "item_id": "i2", "note": {"deep": [None]}}]
CSV = "item_id,title,note\ni1,A,x\ni2,B,\n"


def taken(path, wanted=WANTED, **options):
    return read_inputs(DeriveOptions(items=str(path), read=ReadOptions(items=FileOptions(**options))), "items", wanted)


def texts(parts):
    return [tuple(row.values()) for part in parts.values() for row in part.loaded.table.to_pylist()]


KINDS = {
    "csv": CSV,
    "tsv": CSV.replace(",", "\t"),
    "jsonl": "".join(json.dumps(one) + "\n" for one in RECORDS),
    "json": RECORDS,
    "parquet": pa.table({"item_id": ["i1", "i2"], "title": ["A", "B"], "note": [[1], []]}),
    "zip": zipped({"one/a.csv": CSV[:-5], "b.csv": "item_id,title\ni2,B\n"}),
    "CSV": b"\xef\xbb\xbf" + CSV.replace("\n", "\r\n").encode(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_the_same_rows(tmp_path, kind):
    parts = taken(put(tmp_path / f"items.{kind}", KINDS[kind]))
    assert texts(parts) == [("i1", "A"), ("i2", "B")]
    assert [row for part in parts.values() for row in part.loaded.rows] == ([1, 1] if kind == "zip" else [1, 2])


def test_a_pattern_names_its_files_in_order_and_each_is_numbered_for_itself(tmp_path):
    for name in ("b.csv", "a.csv", "c.txt"):
        put(tmp_path / name, CSV)
    parts = taken(tmp_path / "*.csv")
    assert list(parts) == [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    assert [part.loaded.rows.tolist() for part in parts.values()] == [[1, 2], [1, 2]]


def test_a_name_with_the_signs_of_a_pattern_is_a_name(tmp_path):
    assert texts(taken(put(tmp_path / "[i].csv", CSV))) == [("i1", "A"), ("i2", "B")]


BROKEN = {
    "none.csv": (None, r"no such file; give a file, or a pattern"),
    "empty.csv": ("", "the file is empty"),
    "i.xlsx": ("x", r"unknown kind '\.xlsx'; allowed: \.parquet, .*\.zip"),
    "cut.parquet": (b"PAR1" + b"x" * 50, r"cannot be read as \.parquet"),
    "cut.json": (json.dumps(RECORDS)[:-5], r"cannot be read as JSON.*; fetch it anew"),
    "object.json": ({"items": RECORDS}, r"holds \{'items': .*not a list of objects"),
    "deep.json": ("[" * 100_000, "cannot be read as JSON: maximum recursion"),
    "nothing.json": ([], "holds no rows"),
    "utf16.csv": (CSV.encode("utf-16-le"), r"is not UTF-8 .*read\.items\.encoding=utf-16-le"),
    "quote.csv": (CSV + '"i3,C,\ni4,D,\n', "row 3 opens a quote that is never closed"),
    "twice.csv": ("item_id,title,title\n1,2,3\n", "column title is given twice"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_cannot_be_read_says_so(tmp_path, name):
    content, said = BROKEN[name]
    if content is not None:
        put(tmp_path / name, content)
    with pytest.raises(UserError, match=said) as caught:
        taken(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(UserError, match=r"items=.*is a folder; name its files by a pattern"):
        taken(tmp_path)


def test_all_inputs_are_looked_for_before_one_is_read_and_none_may_be_written_over(tmp_path):
    items = put(tmp_path / "o.csv", ITEMS)
    tree = put(tmp_path / "o.quarantine.csv", "type,parent\n")
    (tmp_path / "link.csv").symlink_to(items)
    options = DeriveOptions(judgements="nowhere.csv", items=str(tmp_path / "link.csv"), taxonomy=str(tree))
    options.output = f"{tmp_path}/../{tmp_path.name}/o.csv"
    with pytest.raises(UserError) as caught:
        check_inputs(options)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("judgements=nowhere.csv: no such file")
    assert all("would be written over by output=" in line for line in lines[1:])
    assert [line.partition("=")[0] for line in lines] == ["judgements", "items", "taxonomy"]


def test_a_column_that_is_not_there_is_told_with_those_that_are(tmp_path):
    path = put(tmp_path / "i.csv", CSV.replace("title", "titel"))
    with pytest.raises(UserError, match=r"i\.csv: has no column title; did you mean titel\? present: item_id, tite"):
        taken(path)
    with pytest.raises(
        UserError, match=r"has no column path; .*read\.items\.columns=\{category: <column of the file>\}"
    ):
        taken(path, columns={"title": "titel", "category": "path"})
    with pytest.raises(UserError, match=r"has no column local; .*read\.items\.where=\{local: <value>\}"):
        taken(path, columns={"title": "titel"}, where={"local": "us"})
    with pytest.raises(UserError, match=r"present: item_id, name, x000, .*, …; name it"):
        taken(put(tmp_path / "i.json", [{"item_id": 1, "name": 2} | {f"x{at:03}": 1 for at in range(400)}]))


def test_a_column_may_have_the_name_that_another_gets(tmp_path):
    path = put(tmp_path / "i.csv", "item_id,title,name\ni1,Mrs,Chair\n")
    assert texts(taken(path, columns={"title": "name"})) == [("i1", "Chair")]


def test_rows_of_other_values_are_left_out_and_counted(tmp_path):
    path = put(tmp_path / "i.csv", "item_id,title,locale\ni1,A,us\ni2,B,es\ni3,C,us\ni4,D,\n")
    (part,) = taken(path, where={"locale": "us"}).values()
    assert (part.left, part.loaded.rows.tolist()) == (2, [1, 3])
    with pytest.raises(UserError, match=r"read\.items\.where=.*leaves out all 4 rows of .*locale holds us, es"):
        taken(path, where={"locale": "jp"})


def test_faults_of_rows_and_columns_that_nobody_reads_are_none(tmp_path):
    rows = b"item_id,title,locale,note\ni1,caf\xe9,es,x\ni2,caf\xe9,us,x\ni3,C,us,\xe9\n"
    (part,) = taken(put(tmp_path / "i.csv", rows), where={"locale": "us"}).values()
    assert [(fault.problem, fault.rows.tolist()) for fault in part.loaded.faults] == [("title is not UTF-8", [2])]
    assert (part.left, part.loaded.rows.tolist()) == (1, [3])
    mixed = [{"item_id": "i1", "title": "A", "tags": "x"}, {"item_id": "i2", "title": "B", "tags": ["y"]}]
    for kind, content in (("json", mixed), ("jsonl", "".join(json.dumps(one) + "\n" for one in mixed))):
        (part,) = taken(put(tmp_path / f"i.{kind}", content)).values()
        assert not part.loaded.faults


ODD = {
    "strings of another kind": (pa.large_string(), ["a", "b"], ["a", "b"]),
    "words by number": (pa.dictionary(pa.int32(), pa.string()), ["a", "b"], ["a", "b"]),
    "bytes": (pa.binary(), [b"a", b"b"], ["a", "b"]),
    "large bytes": (pa.large_binary(), [b"a", b"b"], ["a", "b"]),
    "whole floats": (pa.float64(), [17.0, float("nan")], ["17", None]),
    "broken floats": (pa.float64(), [17.5, 18.0], ["17.5", "18"]),
    "whole numbers": (pa.int64(), [2**60, None], [str(2**60), None]),
    "dates": (pa.date32(), [datetime.date(2020, 1, 2), None], ["2020-01-02", None]),
    "nothing": (pa.null(), [None, None], [None, None]),
}


@pytest.mark.parametrize("name", ODD)
def test_columns_of_other_types_are_text(tmp_path, name):
    kind, values, wanted = ODD[name]
    table = pa.table({"item_id": ["i1", "i2"], "title": pa.array(values, kind)})
    assert [title for _, title in texts(taken(put(tmp_path / "i.parquet", table)))] == wanted


def test_lists_are_no_text_and_bytes_that_are_no_utf8_are_a_fault(tmp_path):
    for values in ([["a"]], [{"a": 1}]):
        with pytest.raises(UserError, match=r"i\.parquet: column title has type .*; write it as text or numbers"):
            taken(put(tmp_path / "i.parquet", pa.table({"item_id": ["i1"], "title": values})))
    for values in (pa.array([b"a", b"\xe9"]), pa.array([b"a", b"\xe9"]).dictionary_encode()):
        table = pa.table({"item_id": ["i1", "i2"], "title": values})
        (part,) = taken(put(tmp_path / "i.parquet", table)).values()
        assert [(fault.problem, fault.rows.tolist()) for fault in part.loaded.faults] == [("title is not UTF-8", [2])]


def test_files_of_one_kind_may_write_ids_in_different_types(tmp_path):
    pq.write_table(pa.table({"item_id": [1, 2], "title": ["A", "B"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"item_id": ["x"], "title": ["C"], "note": [1]}), tmp_path / "b.parquet")
    words = shop(tmp_path / "shop", judgements=None, items=None)
    found = read([*words, f"items={tmp_path}/*.parquet"], "SELECT id FROM item ORDER BY id")
    assert found.rows[0] == [("1",), ("2",), ("x",)]


JSON = (
    '[{"item_id": 1, "title": "A"}, 7, {"item_id": "i2", "item_id": "i3", "title": "B"}, null, '
    '{"item_id": "i4", "title": "caf\\ud800"}, {"item_id": "i5", "title": ["C"]}, {"item_id": "i6", "title": NaN}, '
    '{"item_id": "i7"}]'
)


def test_entries_of_a_list_that_are_no_sound_objects_are_faults(tmp_path):
    (part,) = taken(put(tmp_path / "i.json", JSON)).values()
    assert texts({"": part}) == [("1", "A"), ("i6", None), ("i7", None)]
    assert part.loaded.rows.tolist() == [1, 7, 8]
    assert {fault.problem: fault.rows.tolist() for fault in part.loaded.faults} == {
        "entry is no object": [2, 4],
        "a key is given twice": [3],
        "half a surrogate pair": [5],
        "title is no text": [6],
    }


SWALLOWED = 'item_id\ttitle\tnote\ni1\tA\tx\ni2\t"oak bed\tx\ni3\tB\tx\ni4\t"king" bed\tx\ni5\t5" rug\t"a\nb"\n'


def test_a_quote_that_swallows_rows_is_a_fault_of_a_tab_separated_file(tmp_path):
    (part,) = taken(put(tmp_path / "i.tsv", SWALLOWED)).values()
    (fault,) = part.loaded.faults
    assert (fault.problem, fault.rows.tolist()) == ("a quote opened here closes rows further on", [2])
    assert texts({"": part}) == [("i1", "A"), ("i5", '5" rug')]
    plain = SWALLOWED.replace('"a\nb"', "ab")
    assert [title for _, title in texts(taken(put(tmp_path / "i.tsv", plain), quotes=False))] == [
        "A", '"oak bed', "B", '"king" bed', '5" rug',
    ]  # fmt: skip


def test_a_long_row_is_read_whole(tmp_path):
    for kind, content in (
        ("csv", f"item_id,title\ni1,{'x' * 10**6}\n"),
        ("jsonl", '{"item_id":"i1","title":"%s"}\n' % ("x" * 10**6)),
    ):
        ((_, title),) = texts(taken(put(tmp_path / f"i.{kind}", content)))
        assert len(title) == 10**6


def test_an_entry_nested_too_deeply_is_a_fault_of_its_own(tmp_path):
    deep = '[{"item_id": "1", "title": "A, ]\\" B"}, {"item_id": "2", "title": ' + "[" * 5000 + "]" * 5000 + "}, 3]"
    (part,) = taken(put(tmp_path / "i.json", deep)).values()
    assert texts({"": part}) == [("1", 'A, ]" B')]
    assert {fault.problem: fault.rows.tolist() for fault in part.loaded.faults} == {
        "entry is no object": [3],
        "entry is nested too deeply": [2],
    }


@pytest.mark.parametrize("name", ["i.csv", "i.txt", "i.csv.gz"])
def test_a_text_file_says_its_delimiter_and_may_lack_a_header(tmp_path, name):
    rows = "i1;A, large\ni2;B\n"
    for header, text in (([], "item_id;title\n" + rows), (["item_id", "title"], rows)):
        content = text.encode("utf-16")
        path = put(tmp_path / name, gzip.compress(content) if name.endswith("gz") else content)
        assert texts(taken(path, header=header)) == [("i1", "A, large"), ("i2", "B")]
