"""What was sealed opens as it was written, for whom it was written; every other state has a line of its own."""

import json
import os
import shutil
from pathlib import Path

import pytest

from relevance import seal
from relevance.errors import UserError


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """A folder of two files, sealed as a whole."""
    folder = tmp_path / "9f2c"
    (folder / "inner").mkdir(parents=True)
    (folder / "a.bin").write_bytes(b"abcdef")
    (folder / "inner" / "b.bin").write_bytes(b"ghi")
    seal.write(folder, "9f2c")
    return folder


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


DAMAGE = {
    "gone": (lambda path: path.unlink(), "is gone"),
    "empty": (lambda path: path.write_bytes(b""), "has 0 of the 3 bytes"),
    "cut": (lambda path: os.truncate(path, 2), "has 2 of the 3 bytes"),
    "longer": (lambda path: path.write_bytes(b"ghij"), "has 4 of the 3 bytes"),
    "flipped": (flipped, "are not those that were written"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "has|Is a directory"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage(sealed: Path, damage: str) -> None:
    assert seal.check(sealed, "9f2c", "make it again") == sealed
    spoil, words = DAMAGE[damage]
    spoil(sealed / "inner" / "b.bin")
    with pytest.raises(UserError, match=rf"inner/b\.bin: .*{words}.*; make it again") as caught:
        seal.check(sealed, "9f2c", "make it again")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_of_a_file(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"ghi")
    seal.write(path, "3f55")
    assert seal.place(path).name == "x.bin.seal"
    assert not seal.fault(path, "3f55")
    DAMAGE[damage][0](path)
    assert seal.fault(path, "3f55") or path.is_dir()


def test_belongs_to_one(sealed: Path) -> None:
    """A whole and sealed folder of another is none of ours."""
    other = shutil.copytree(sealed, sealed.with_name("77aa"))
    assert not seal.fault(other)
    assert "was left by 9f2c, and is not of 77aa" in seal.fault(other, "77aa")


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"of": "9f2c"}', '{"of": "9f2c", "files": 7}', '{"of": 1, "files": {"a": 1}}', "\0\0"]
)
def test_torn_seal(sealed: Path, content: str) -> None:
    (sealed / seal.INSIDE).write_text(content)
    assert seal.fault(sealed, "9f2c").endswith("seal.json: is no whole seal")


def test_older_output(sealed: Path) -> None:
    """Without a seal it is sealed as it stands; from then on a change shows."""
    (sealed / seal.INSIDE).unlink()
    assert not seal.fault(sealed, "9f2c")
    assert json.loads((sealed / seal.INSIDE).read_text())["of"] == "9f2c"
    flipped(sealed / "a.bin")
    assert seal.fault(sealed, "9f2c")


def test_chosen_files(sealed: Path) -> None:
    """What was not sealed may change, and a file that is absent as the seal is written is none of it."""
    seal.write(sealed, "9f2c", [sealed / "a.bin", sealed / "absent"])
    flipped(sealed / "inner" / "b.bin")
    assert not seal.fault(sealed, "9f2c")


def test_unwritable_place(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older output that only others may write to opens without a seal."""
    (sealed / seal.INSIDE).unlink()

    def refuse(path: Path, text: str) -> None:
        raise UserError(f"{path}: Permission denied")

    monkeypatch.setattr(seal, "write_text", refuse)
    assert not seal.fault(sealed, "9f2c")
    assert not (sealed / seal.INSIDE).exists()


def test_a_large_file_is_read_again_once_it_was_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(os.urandom(seal.SMALL + 1))
    seal.write(path, "3f55")
    read = []
    monkeypatch.setattr(seal, "digest", lambda file, digest=seal.digest: (read.append(file), digest(file))[1])
    assert [seal.fault(path, "3f55") for _ in range(3)] == [""] * 3
    assert not read  # it was, as it was sealed
    stat = path.stat()
    flipped(path)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as old as before, and as long
    assert "are not those that were written" in seal.fault(path, "3f55")
    flipped(path)
    (tmp_path / ".x.bin.seen").write_bytes(b"\xff")
    assert not seal.fault(path, "3f55")
