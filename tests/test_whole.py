"""Files and folders written whole: what stood there survives an error, and nothing half is seen or left."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relevance import predictions
from relevance.atomic_io import atomic_file, atomic_folder, write_text
from relevance.config import DataConfig, OnBadRow, Source
from relevance.data.table import prepare_rows
from relevance.data.tokens import Template, load_tokens
from relevance.data.writers import streamed
from relevance.errors import UserError
from relevance.shop.generate import generate_pairs
from relevance.tasks import TASK_NAMES

KEPT = "what stood there is whole; free space there, or choose another place"
LEFT = 16_384  # bytes that a full disk still has


def fill(disk: Path) -> None:
    free = os.statvfs(disk)
    (disk / "filling").write_bytes(bytes(free.f_bavail * free.f_frsize - LEFT))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def some_predictions(rows: int) -> pa.Table:
    """They do not compress: about 20 bytes a row."""
    p = np.random.default_rng(0).random((rows, 3))
    return predictions.table(np.arange(rows), np.full(rows, TASK_NAMES[0]), np.zeros(rows), p)


def fail(context) -> None:
    with context as part:
        (part / "half" if part.is_dir() else part).write_text("half")
        raise RuntimeError("half way")


@pytest.mark.parametrize("kind", [atomic_file, atomic_folder])
def test_an_error_leaves_what_stood_there_and_nothing_beside_it(tmp_path, kind):
    with kind(tmp_path / "new/a") as part:
        (part / "b" if part.is_dir() else part).write_text("first")
    before = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    with pytest.raises(RuntimeError, match="half way"):
        fail(kind(tmp_path / "new/a"))
    assert [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()] == before == [b"first"]
    assert names(tmp_path / "new") == {"a"}


def test_a_folder_takes_the_place_of_another_with_nothing_of_it_left(tmp_path):
    for name in ("one", "two"):
        with atomic_folder(tmp_path / "a") as part:
            (part / name).write_text(name)
    assert names(tmp_path) == {"a"}
    assert names(tmp_path / "a") == {"two"}


def test_all_is_on_the_disk_before_the_name_changes(tmp_path, monkeypatch):
    done = []
    flush, rename, replace = os.fsync, Path.rename, Path.replace
    monkeypatch.setattr(os, "fsync", lambda at: (done.append(os.readlink(f"/proc/self/fd/{at}")), flush(at)))
    monkeypatch.setattr(Path, "rename", lambda *two: (done.append("renamed"), rename(*two)))
    monkeypatch.setattr(Path, "replace", lambda *two: (done.append("renamed"), replace(*two)))
    with atomic_folder(tmp_path / "a") as folder:
        (folder / "inner").write_text("x")
    with atomic_file(tmp_path / "b") as part:
        part.write_text("x")
    above = str(tmp_path)
    assert done == [str(folder / "inner"), str(folder), "renamed", above, str(part), "renamed", above]


def test_two_that_write_the_same_file_share_no_part(tmp_path):
    with atomic_file(tmp_path / "a") as one:
        one.write_text("one")
        write_text(tmp_path / "a", "other")
    assert (tmp_path / "a").read_text() == "one"
    assert names(tmp_path) == {"a"}


def test_a_long_name_is_no_reason_to_fail(tmp_path):
    write_text(tmp_path / ("é" * 127), "x")
    assert names(tmp_path) == {"é" * 127}


def test_what_a_killed_process_had_begun_goes_and_that_of_a_living_one_stays(tmp_path):
    code = "import os, sys, pathlib; from relevance.atomic_io import atomic_file\n"
    code += "with atomic_file(pathlib.Path(sys.argv[1])) as part: part.write_text('half'); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a[1].csv")], check=False)
    (half,) = names(tmp_path)
    ours = tmp_path / half.replace(half.split("-")[-2], str(os.getpid()))
    ours.write_text("of another thread")
    write_text(tmp_path / "a[1].csv", "whole")
    assert names(tmp_path) == {"a[1].csv", ours.name}


def test_predictions_on_a_full_disk(disk):
    path = disk / "cells/test.parquet"
    predictions.write(some_predictions(10), path)
    before = path.read_bytes()
    fill(disk)
    with pytest.raises(UserError) as found:
        predictions.write(some_predictions(10_000), path)
    assert str(found.value) == f"{path}: No space left on device; {KEPT}"
    assert path.read_bytes() == before
    assert names(path.parent) == {"test.parquet"}


def test_rows_and_their_tokens_on_a_full_disk(disk, tmp_path, backbones):
    from transformers import AutoTokenizer

    rows = prepare_rows(DataConfig(rows=2000), tmp_path).path
    tokenizer = AutoTokenizer.from_pretrained(backbones["ce"])
    fill(disk)
    with pytest.raises(UserError, match=r"rows\.parquet: No space left on device; nothing was written; free space"):
        prepare_rows(DataConfig(rows=2000), disk)
    with pytest.raises(UserError, match=rf"{disk}/tokens/\w+: No space left on device; nothing was written"):
        load_tokens(rows, tokenizer, "digest", Template(prefix=False, pair=True, max_length=64), disk / "tokens")
    assert not list(disk.rglob("*.part"))
    assert not list(disk.rglob("*.npy"))


def test_rows_set_aside_on_a_full_disk_leave_the_list_of_before(disk, tmp_path):
    def aside(bad: int) -> Path:
        table = pa.concat_tables([good, good.slice(0, 1).set_column(1, "left", pa.array([""])).take([0] * bad)])
        pq.write_table(table, tmp_path / "pairs.parquet")
        data = DataConfig(Source.pairs, str(tmp_path / "pairs.parquet"), on_bad_row=OnBadRow.quarantine)
        return prepare_rows(data, disk).path.with_name("quarantine.csv")

    good = generate_pairs(300, 0, 0.0).select(["task", "left", "right", "label"])
    path = aside(1)
    before = path.read_bytes()
    fill(disk)
    with pytest.raises(UserError, match=rf"{path}: No space left on device; what stood there is whole"):
        aside(1000)
    assert path.read_bytes() == before
    assert names(path.parent) == {"rows.parquet", "rows.parquet.seal", "quarantine.csv", "quarantine.csv.seal"}


@pytest.mark.parametrize("kind", [".parquet", ".csv", ".jsonl"])
def test_of_two_files_written_at_once_the_error_names_the_one_that_did_not_fit(disk, kind):
    table = pa.table({"left": np.random.default_rng(0).bytes(LEFT).hex().split("0")})
    paths = [disk / f"{name}{kind}" for name in ("scored", "aside")]
    paths[0].write_text("before")
    fill(disk)

    def write() -> None:
        with streamed(paths[0], table.schema) as output, streamed(paths[1], table.schema):
            for _ in range(20):
                output.write_table(table)

    with pytest.raises(UserError) as found:
        write()
    assert str(found.value) == f"{paths[0]}: No space left on device; {KEPT}"
    assert paths[0].read_text() == "before"
    assert names(disk) == {"filling", paths[0].name}


def test_a_read_only_folder(disk):
    path = disk / "test.parquet"
    predictions.write(some_predictions(10), path)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    remedy = "let it be written to, or choose another place"
    for target, kept in ((path, "what stood there is whole"), (disk / "new/a.parquet", "nothing was written")):
        with pytest.raises(UserError) as found:
            predictions.write(some_predictions(20), target)
        assert str(found.value) == f"{target}: Read-only file system; {kept}; {remedy}"
    assert pq.read_table(path).num_rows == 10
    assert names(disk) == {"test.parquet"}


def test_errors_that_speak_of_other_files_are_left_as_they_are(tmp_path):
    def read(path: str) -> None:
        with atomic_file(tmp_path / "a") as part:
            part.write_text("x")
            pq.read_table(path)

    with pytest.raises(FileNotFoundError):
        read(str(tmp_path / "absent.parquet"))
    with pytest.raises(PermissionError), atomic_file(tmp_path / "a"):
        raise PermissionError(13, "Permission denied", str(tmp_path / "input.csv"))
    with pytest.raises(PermissionError), atomic_file(tmp_path / "a"):
        raise PermissionError(13, f"Failed to open local file '{tmp_path}/input.csv'")
