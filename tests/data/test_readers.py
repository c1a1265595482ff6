import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relevance.data.readers import read_table
from relevance.data.text_files import Form
from relevance.errors import UserError

HEADER = "task,left,right,label\n"


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_every_kind_of_file_gives_the_same_texts(tmp_path):
    rows = [["query_item", "NA", "null", "2"], ["query_item", "a, b", 'say "x"', "0"]]
    csv = HEADER + 'query_item,NA,null,2\nquery_item,"a, b","say ""x""",0\n'
    tsv = 'task\tleft\tright\tlabel\nquery_item\tNA\tnull\t2\nquery_item\ta, b\t"say ""x"""\t0\n'
    names = ["task", "left", "right", "label"]
    jsonl = "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows)
    paths = [write(tmp_path / f"pairs.{kind}", text) for kind, text in (("csv", csv), ("tsv", tsv), ("jsonl", jsonl))]
    paths.append(tmp_path / "pairs.parquet")
    pq.write_table(pa.table(dict(zip(names, zip(*rows, strict=True), strict=True))), paths[-1])
    for path in paths:
        loaded = read_table(path, {})
        assert [list(row.values()) for row in loaded.table.to_pylist()] == rows
        assert loaded.rows.tolist() == [1, 2]
        assert not loaded.faults


def test_columns_are_renamed_from_theirs_to_ours(tmp_path):
    path = write(tmp_path / "a.csv", "task,query,item,label\nquery_item,x,y,1\n")
    loaded = read_table(path, {"left": "query", "right": "item"})
    assert loaded.table.column_names == ["task", "left", "right", "label"]
    with pytest.raises(UserError, match=r"data\.columns\.left=qurey.*did you mean query.*present: task"):
        read_table(path, {"left": "qurey"})
    with pytest.raises(UserError, match="given twice"):
        read_table(path, {"left": "query", "right": "query"})
    with pytest.raises(UserError, match="task is given twice"):
        read_table(path, {"task": "query"})


def test_a_column_given_twice_is_refused(tmp_path):
    with pytest.raises(UserError, match="column left is given twice"):
        read_table(write(tmp_path / "a.csv", "task,left,left,label\nquery_item,x,y,1\n"), {})


def test_torn_csv_rows_are_faults_and_the_rest_keeps_its_numbers(tmp_path):
    path = write(tmp_path / "a.csv", HEADER + "t,a,b,0\n\nt,torn\nt,c,d,1\nt,e,f,g,h\nt,i,j,2")
    loaded = read_table(path, {})
    assert loaded.table["left"].to_pylist() == ["a", "c", "i"]
    assert loaded.rows.tolist() == [1, 3, 5]
    (fault,) = loaded.faults
    assert fault.rows.tolist() == [2, 4]
    assert "2 cells, not 4" in fault.values[0]


@pytest.mark.parametrize("text", ['t,a,0,"open\nt,b,1,x\n', 't,"open,a,0\nt,b,1,x\n'])
def test_a_quote_that_is_never_closed_swallows_nothing_in_silence(tmp_path, text):
    path = write(tmp_path / "a.csv", "task,left,label,right\n" + text)
    with pytest.raises(UserError, match=r"never closed|torn row"):
        read_table(path, {})


def test_a_quoted_line_break_in_the_last_cell_is_text(tmp_path):
    path = write(tmp_path / "a.csv", 'task,left,label,right\nt,a,0,"two\nlines"\n')
    assert read_table(path, {}).table["right"].to_pylist() == ["two\nlines"]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_bytes_that_are_not_utf8_are_faults_with_their_row(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    if kind == "csv":
        write(path, b"left,right\nok,\xf0\x9f\x98\x80\nok,caf\xe9\nok,z\n")
    elif kind == "jsonl":
        write(path, b'{"left":"ok","right":"u"}\n{"left":"ok","right":"caf\xe9"}\n{"left":"ok","right":"z"}\n')
    else:
        raw = pa.array([b"u", b"caf\xe9", b"z"], pa.binary()).view(pa.string())
        pq.write_table(pa.table({"left": ["ok"] * 3, "right": raw}), path)
    loaded = read_table(path, {})
    (fault,) = loaded.faults
    assert fault.rows.tolist() == [2]
    assert "xe9" in fault.values[0]
    assert "UTF-8" in fault.remedy
    assert loaded.rows.tolist() == [1, 3]
    assert loaded.table["right"].to_pylist()[1] == "z"


def test_a_file_of_another_encoding_is_named_as_such(tmp_path):
    path = write(tmp_path / "a.csv", "task,left\nx,y\n".encode("utf-16-le"))
    with pytest.raises(UserError, match=r"not UTF-8 .*data\.encoding=utf-16-le"):
        read_table(path, {})
    for encoding, form in (("utf-16", Form()), ("utf-16-le", Form(encoding="utf-16-le"))):
        path = write(tmp_path / "a.csv", "task,left\nx,“é”\n".encode(encoding))
        assert read_table(path, {}, form).table.to_pydict() == {"task": ["x"], "left": ["“é”"]}


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    loaded = read_table(write(tmp_path / "a.csv", "\ufefftask,left\r\nx,y\r\n"), {})
    assert loaded.table.column_names == ["task", "left"]


def test_torn_jsonl_lines_are_faults_with_their_line(tmp_path):
    lines = [
        '{"left":"a","label":1}',
        "",
        '{"left":"b"',
        "[1]",
        '{"left":"x","left":"y"}',
        '{"left":"c","label":"2"}',
    ]
    loaded = read_table(write(tmp_path / "a.jsonl", "\n".join(lines)), {})
    assert loaded.rows.tolist() == [1, 6]
    assert loaded.table["label"].to_pylist() == ["1", "2"] or loaded.table["label"].to_pylist() == [1, 2]
    assert loaded.faults[0].rows.tolist() == [3, 4, 5]


def test_a_jsonl_text_that_looks_like_a_date_stays_text(tmp_path):
    lines = '{"left":null,"right":"2024-01-01"}\n{"left":"2024-01-02","right":"2024-01-01"}\n'
    table = read_table(write(tmp_path / "a.jsonl", lines), {}).table
    assert table.to_pydict() == {"left": [None, "2024-01-02"], "right": ["2024-01-01"] * 2}


def test_what_cannot_be_a_file_of_pairs_says_why(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_table(tmp_path / "absent.csv", {})
    with pytest.raises(UserError, match=r"unknown kind of file '.xlsx'; allowed: .parquet, .csv, .tsv, .jsonl"):
        read_table(tmp_path / "a.xlsx", {})
    with pytest.raises(UserError, match="the file is empty"):
        read_table(write(tmp_path / "a.csv", ""), {})
    with pytest.raises(UserError, match="holds no rows"):
        read_table(write(tmp_path / "a.csv", HEADER), {})
    with pytest.raises(UserError, match=r"cannot be read as \.parquet"):
        read_table(write(tmp_path / "a.parquet", "no parquet"), {})


def test_dictionaries_and_wide_strings_come_out_plain(tmp_path):
    texts = pa.array(["a", "b", "a"], pa.large_string())
    pq.write_table(pa.table({"task": texts.dictionary_encode(), "left": texts}), tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet", {}).table
    assert set(table.schema.types) == {pa.string()}
    assert np.array_equal(table["task"].to_numpy(), ["a", "b", "a"])


def test_a_file_of_nothing_but_torn_lines_shows_them(tmp_path):
    with pytest.raises(UserError, match=r"row 1: [^\n]*utf-8"):
        read_table(write(tmp_path / "a.jsonl", '{"left":"caf\u00e9"'.encode("latin-1")), {})
    with pytest.raises(UserError, match="has no header"):
        read_table(write(tmp_path / "a.csv", "\n\n"), {})


@pytest.mark.parametrize("end", ["", "\n"])
def test_sound_jsonl_is_parsed_whole_and_not_line_by_line(tmp_path, monkeypatch, end):
    monkeypatch.setattr("relevance.data.readers._read_each_line", None)
    path = write(tmp_path / "a.jsonl", '{"left":"a","label":1}\n{"left":"b","label":0}' + end)
    assert read_table(path, {}).table.to_pydict() == {"left": ["a", "b"], "label": [1, 0]}


def test_a_quote_left_open_in_the_middle_is_named_and_a_torn_row_of_many_lines_says_so(tmp_path):
    rows = [f"t,a{k},b{k},0\n" for k in range(9)]
    open_quote = write(tmp_path / "a.csv", HEADER + "".join([*rows[:4], 't,"a,b,0\n', *rows[4:]]))
    with pytest.raises(UserError, match="row 5 opens a quote that is never closed"):
        read_table(open_quote, {})
    torn = read_table(write(tmp_path / "b.csv", HEADER + "".join([*rows[:4], 't,"a\nb",0\n', *rows[4:]])), {})
    assert len(torn.table) == 9
    assert "3 cells over 2 lines, not 4" in torn.faults[0].values[0]


def test_a_quoted_line_break_before_a_short_last_row_is_no_open_quote(tmp_path):
    path = write(tmp_path / "a.csv", 'task,label,left,right\nt,0,a,"b\nc"\nt,1\n')
    loaded = read_table(path, {})
    assert loaded.table["right"].to_pylist() == ["b\nc"]
    assert loaded.faults[0].rows.tolist() == [2]


@pytest.mark.parametrize("blank", ["", "\n"])
def test_integers_of_64_bits_keep_every_digit(tmp_path, blank):
    ids = [10**19 + k for k in range(3)]
    lines = [json.dumps({"task": "t", "left_id": k}) + "\n" for k in ids]
    loaded = read_table(write(tmp_path / "a.jsonl", lines[0] + blank + "".join(lines[1:])), {})
    assert loaded.table["left_id"].cast("string").to_pylist() == list(map(str, ids))


@pytest.mark.parametrize("odd", [{"a": 1}, ["x"], True])
def test_a_value_that_is_no_text_is_a_fault_where_others_are(tmp_path, odd):
    lines = [json.dumps({"left": "a"}), json.dumps({"left": odd}), json.dumps({"left": None}), json.dumps({"left": 3})]
    loaded = read_table(write(tmp_path / "a.jsonl", "\n".join(lines)), {})
    (fault,) = loaded.faults
    assert (fault.problem, fault.rows.tolist()) == ("left is no text", [2])
    assert (loaded.rows.tolist(), loaded.table["left"].to_pylist()) == ([1, 3, 4], ["a", None, "3"])


@pytest.mark.parametrize("line", [r'{"tags": ["\ud800"]}', r'{"\ud800": 1}', "[" * 5000 + "]" * 5000])
def test_a_line_that_no_file_can_hold_is_torn(tmp_path, line):
    loaded = read_table(write(tmp_path / "a.jsonl", '{"left": "a"}\n' + line + "\n"), {})
    assert [fault.problem for fault in loaded.faults] == ["torn line"]


def test_a_byte_order_mark_before_the_first_object_is_no_part_of_it(tmp_path):
    loaded = read_table(write(tmp_path / "a.jsonl", b'\xef\xbb\xbf{"left": "a"}\n\n{"left": "b"}\n'), {})
    assert loaded.table["left"].to_pylist() == ["a", "b"]
    assert not loaded.faults
