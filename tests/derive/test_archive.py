"""Archives → the tables in them, or what is wrong with one."""

import zipfile

import pytest
from little import put, zipped

from relevance.derive.commands import DeriveOptions
from relevance.derive.files import read_inputs
from relevance.errors import UserError

CSV = "item_id,title,note\ni1,A,x\ni2,B,\n"


def taken(path):
    return read_inputs(DeriveOptions(items=str(path)), "items", {"item_id": True, "title": True})


def test_hidden_files_and_folders_of_an_archive_are_no_tables(tmp_path):
    junk = {
        "__MACOSX/._a.csv": b"\0\5",
        "__MACOSX/e.csv": b"\0",
        ".b.csv": b"\0",
        "x/._c.csv": b"\0",
        "x/": "",
        "d.csv/": "",
        "readme.txt": "-",
    }
    parts = taken(put(tmp_path / "i.zip", zipped({"x/a.csv": CSV} | junk)))
    assert list(parts) == [f"{tmp_path}/i.zip/x/a.csv"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_that_cannot_be_read_says_so(tmp_path):
    whole = zipped({"a.csv": CSV * 50})
    bent = bytearray(whole)
    bent[40] ^= 0xFF
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        for _ in range(2):
            archive.writestr("a.csv", CSV)
    locked = bytearray(whole)
    for at in (6, whole.index(b"PK\1\2") + 8):
        locked[at] |= 1
    for name, content, said in (
        ("no.zip", b"hello", "cannot be read as .zip"),
        ("cut.zip", whole[:-30], "cannot be read as .zip"),
        ("bent.zip", bytes(bent), "cannot be read as .zip"),
        ("locked.zip", bytes(locked), "cannot be unpacked: .*password"),
        ("none.zip", zipped({"LICENSE.txt": CSV}), r"holds no \.parquet, "),
        ("empty.zip", zipped({"a.csv": ""}), r"empty\.zip/a\.csv: the file is empty"),
        ("twice.zip", (tmp_path / "twice.zip").read_bytes(), r"holds a\.csv twice"),
        ("quote.zip", zipped({"a.csv": CSV + 'i3,"C\ni4,D,\n'}), r"quote\.zip/a\.csv: row 3 opens a quote"),
        ("latin.zip", zipped({"a.json": b'[{"item_id": "caf\xe9"}]'}), r"latin\.zip/a\.json: is not UTF-8 at byte 17"),
    ):
        with pytest.raises(UserError, match=said) as caught:
            taken(put(tmp_path / name, content))
        assert str(caught.value).startswith(str(tmp_path / name))


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    path = put(tmp_path / "i.zip", zipped({"a.csv": "item_id,title\n" + "1,A\n" * 100_000}))
    monkeypatch.setattr("relevance.data.text_files.FREE", 1000)
    monkeypatch.setattr(zipfile.ZipFile, "extract", None)
    with pytest.raises(UserError, match=r"i\.zip: unpacks to .*read\.items\.ratio=200 is the limit"):
        taken(path)
