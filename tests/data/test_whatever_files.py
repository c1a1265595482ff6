"""Text files as people have them, of any delimiter and encoding, headless, packed → the right rows or the reason."""

import gzip
import json

import pyarrow as pa
import pytest

from relevance.cli import run_command
from relevance.data.__main__ import command
from relevance.data.readers import read_table, stream_table
from relevance.data.text_files import Form
from relevance.errors import UserError

NAMES = ["task", "left", "right", "label"]
ROWS = [["query_item", "usb, 2 m", "cable", "2"], ["query_item", "lamp", "a | b", "0"]]


def put(path, text, encoding="utf-8"):
    content = text if isinstance(text, bytes) else text.encode(encoding)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def rows(path, form=Form()):  # noqa: B008
    whole = [list(row.values()) for row in read_table(path, {}, form).table.to_pylist()]
    assert whole == [list(row.values()) for part in stream_table(path, {}, 1, form) for row in part.table.to_pylist()]
    return whole


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt", "a.csv.gz"])
@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_delimiter_is_read_off_the_first_rows(tmp_path, name, delimiter):
    text = "".join(delimiter.join(row) + "\n" for row in (NAMES, *ROWS))
    assert rows(put(tmp_path / name, text)) == ROWS
    rest = "".join(delimiter.join(row) + "\n" for row in ROWS)
    assert rows(put(tmp_path / name, rest), Form(header=tuple(NAMES))) == ROWS


def test_judgements_without_a_header_may_be_set_apart_by_blanks(tmp_path):
    form = Form(header=("query_id", "zero", "item_id", "label"))
    wanted = [["q1", "0", "d7", "1"], ["q2", "0", "d8", "2"]]
    assert rows(put(tmp_path / "qrels.txt", "q1 0  d7 1\nq2\t0 d8 2 \n"), form) == wanted
    with pytest.raises(UserError, match=r"its first line is a header, .*leave data\.header out"):
        rows(put(tmp_path / "qrels.txt", "query_id zero item_id label\nq1 0 d7 1\n"), form)
    with pytest.raises(UserError, match=r"header names 3 columns, but no delimiter"):
        rows(put(tmp_path / "qrels.txt", "q1,d7\n"), Form(header=("a", "b", "c")))


def test_an_ambiguous_delimiter_is_asked_for(tmp_path):
    with pytest.raises(UserError, match=r"a comma or a semicolon may set its cells apart; give data\.delimiter"):
        rows(put(tmp_path / "a.csv", "left;a,right\nx;y,z\n"))


@pytest.mark.parametrize(("text", "name"), [("“lamp” – 5 €", "cp1252"), ("caf\xe9", "latin-1")])
def test_the_right_encoding_is_named_and_may_be_given(tmp_path, text, name):
    path = put(tmp_path / "a.csv", f"left,right\nok,x\nok,{text}\n", name)
    (fault,) = read_table(path, {}).faults
    assert fault.rows.tolist() == [2]
    assert f"iconv -f {'CP1252' if name == 'cp1252' else 'LATIN1'} " in fault.remedy
    assert f"data.encoding={name}" in fault.remedy
    assert rows(path, Form(encoding=name))[1] == ["ok", text]


def test_no_encoding_is_named_that_cannot_be(tmp_path):
    (fault,) = read_table(put(tmp_path / "a.csv", b"left,right\na,\x81\x93\nb,c\n"), {}).faults
    assert "neither cp1252 nor Latin-1 has the byte 0x81" in fault.remedy


def said(capsys, *words):
    with pytest.raises(SystemExit):
        run_command(lambda: command([*map(str, words)]))
    return capsys.readouterr().err


def test_control_characters_are_read_as_signs_of_cp1252_and_counted(tmp_path, capsys):
    path = put(tmp_path / "a.csv", "left,right,note\n\x93lamp\x94 5 \x80,a\x81b,\x93\nx,y,z\n")
    assert rows(path) == [["“lamp” 5 €", "a b", "\x93"], ["x", "y", "z"]]
    assert "2 texts hold control characters (U+0080 to U+009F), read as the signs of cp1252" in capsys.readouterr().err


def test_texts_of_invisible_characters_are_faults(tmp_path, capsys):
    texts = ["\u200b\u2060", "\ufeff \u00ad", "\u2800", "\u180e", "x\u200b"]
    lines = "".join(f"query_item,{text},b{n},1\n" for n, text in enumerate(texts))
    path = put(tmp_path / "a.csv", ",".join(NAMES) + "\n" + lines)
    err = said(capsys, "validate", f"data.path={path}", f"outputs={tmp_path}")
    assert "left is empty: 4 rows" in err


def test_task_and_grades_may_be_said_as_the_file_writes_them(tmp_path, capsys):
    lines = [f"q{n % 30},item {n},{('yes', 'no', '1.0')[n % 3]}" for n in range(300)]
    path = put(tmp_path / "a.csv", "left,right,label\n" + "\n".join(lines))
    words = ["validate", f"data.path={path}", f"outputs={tmp_path}", "data.task=query_item"]
    command([*words, "data.grades={yes: 2, no: 0, 1: 1}"])
    assert sum("query_item" in line for line in capsys.readouterr().out.splitlines()) >= 3
    assert "label is none of the grades: 100 rows" in said(capsys, *words, "data.grades={yes: 2, no: 0}")
    assert "data.grades={'yes': 3}: must be 0 or more and at most 2" in said(capsys, *words, "data.grades={yes: 3}")


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    path = put(tmp_path / "a.csv.gz", "left,right\n" + "a,b\n" * 50_000)
    assert read_table(path, {}).table.num_rows == 50_000
    monkeypatch.setattr("relevance.data.text_files.FREE", 1000)
    with pytest.raises(UserError, match=r"unpacks to .*data\.ratio=200 is the limit"):
        read_table(path, {})
    with pytest.raises(UserError, match=r"data\.unpacked=0\.0001 GB is the limit"):
        read_table(path, {}, Form(unpacked=0.0001))
    lies = bytearray(put(path, "left,right\n" + "a,b\n" * 600_000).read_bytes())
    lies[-4:] = bytes(4)
    path.write_bytes(lies)
    with pytest.raises(UserError, match=r"data\.ratio=200 is the limit"):
        read_table(path, {})


@pytest.mark.parametrize("depth", [2000, 200_000])
@pytest.mark.parametrize("first", [True, False])
def test_a_line_nested_too_deeply_is_a_fault_of_its_own(tmp_path, depth, first):
    lines = [json.dumps({"left": "a"}), '{"left": ' + "[" * depth + "]" * depth + "}"]
    (fault,) = read_table(put(tmp_path / "a.jsonl", "\n".join(lines[:: -1 if first else 1])), {}).faults
    assert fault.rows.tolist() == [1 if first else 2]


@pytest.mark.parametrize("pack", [("bz2", "bz2"), ("zst", "zstd"), ("gz", "gzip")])
def test_packed_files_are_read_and_a_torn_one_says_so(tmp_path, pack):
    text = ("left,right\n" + "a,b\n" * 3000).encode()
    path = tmp_path / f"a.csv.{pack[0]}"
    with pa.output_stream(str(path), compression=pack[1]) as file:
        file.write(text)
    packed = path.read_bytes()
    assert rows(path) == [["a", "b"]] * 3000
    path.write_bytes(packed[: len(packed) - 12])
    with pytest.raises(UserError, match=r"cannot be read as \.\w+: .*write the file anew"):
        read_table(path, {})


@pytest.mark.parametrize(
    ("start", "kind"), [(b"\x1f\x8b\x08", r"\.gz"), (b"PAR1", r"\.parquet"), (b"PK\x03\x04", "workbook")]
)
def test_bytes_that_are_no_text_are_named(tmp_path, start, kind):
    with pytest.raises(UserError, match=f"is no text: its first bytes are those of a .*{kind}"):
        read_table(put(tmp_path / "a.csv", start + b"left,right\nx,y\n"), {})


def test_stray_zero_bytes_are_not_taken_for_utf_16(tmp_path):
    with pytest.raises(UserError, match="holds zero bytes, which belong to no text: remove them"):
        read_table(put(tmp_path / "a.csv", "left,right\n" + "lamp,ligh\0t\n" * 9), {})


@pytest.mark.parametrize("encoding", ["cp1251", "shift_jis", "gb18030", "koi8-r"])
def test_text_of_no_western_encoding_is_not_called_cp1252(tmp_path, encoding):
    text = {"cp1251": "красная лампа", "koi8-r": "красная лампа"}.get(encoding, "赤い電球")
    (fault,) = read_table(put(tmp_path / f"{encoding}.csv", f"left,right\nok,x\nok,{text}\n", encoding), {}).faults
    assert "cp1252 (Windows" not in fault.remedy
    assert "data.encoding=ENCODING" in fault.remedy


def test_a_header_of_another_width_is_refused(tmp_path):
    for text in ("q 1,a 2,0\nq 2,b 1,1\n", "q 1;a 2;0\nq 2;b 1;1\n"):
        for header in (("left", "right"), ("left", "right", "label", "source")):
            with pytest.raises(UserError, match=f"header names {len(header)} columns, but no delimiter"):
                read_table(put(tmp_path / "a.csv", text), {}, Form(header=header))
    with pytest.raises(UserError, match="header names 2 columns, but no delimiter"):
        read_table(put(tmp_path / "a.csv", "a,b,c\n"), {}, Form(header=("left", "right"), delimiter=","))


def test_a_task_that_the_file_says_too_is_said_once_and_another_is_refused(tmp_path, capsys):
    lines = "".join(f"query_item,q{n % 30},item {n},{n % 3}\n" for n in range(300))
    for text in (lines, lines.replace("query_item", "")):
        path = put(tmp_path / "a.csv", "task,left,right,label\n" + text)
        command(["validate", f"data.path={path}", f"outputs={tmp_path}", "data.task=query_item"])
    assert "query_item" in capsys.readouterr().out
    path = put(tmp_path / "a.csv", "task,left,right,label\n" + lines)
    err = said(capsys, "validate", f"data.path={path}", f"outputs={tmp_path}", "data.task=query_query")
    assert "data.task=query_query: column task of" in err
    assert "says query_item; leave data.task out" in err
