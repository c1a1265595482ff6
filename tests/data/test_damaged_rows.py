"""What lies in outputs is not believed: made anew where that is possible, else named with the remedy."""

import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transformers import AutoTokenizer

from relevance import seal
from relevance.config import DataConfig
from relevance.data.floors import ensure_floors
from relevance.data.implied import ensure_implied
from relevance.data.stored import open_rows
from relevance.data.table import prepare_rows
from relevance.data.tokens import ARRAYS, Template, load_tokens
from relevance.errors import UserError


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def other_labels(path: Path) -> None:
    table = pq.read_table(path)
    label = pa.array((2 - table["label"].to_numpy()).astype("int8"))
    pq.write_table(table.set_column(table.column_names.index("label"), "label", label), path)


def without_seal(path: Path) -> None:
    """As one who knows of seals would: nothing beside it says what it was."""
    other_labels(path)
    seal.place(path).unlink()


def of_another(path: Path) -> None:
    """A whole and sealed table of other pairs."""
    other = prepare_rows(DataConfig(rows=400), path.parents[2]).path
    shutil.copy(other, path)
    shutil.copy(seal.place(other), seal.place(path))


HARM = [cut, other_labels, without_seal, of_another, lambda path: path.write_bytes(b""), lambda path: path.unlink()]


@pytest.mark.parametrize("harm", HARM)
def test_a_table_that_is_not_what_was_written_is_made_anew_and_never_read(tmp_path, capsys, harm):
    rows = prepare_rows(DataConfig(rows=300), tmp_path)
    before, floors = rows.path.read_bytes(), ensure_floors(rows.path)
    harm(rows.path)
    absent = not rows.path.exists()
    with pytest.raises(UserError, match=r"rows\.parquet: .*; run its sweep again, which makes it anew"):
        open_rows(rows.path)
    assert ensure_floors(rows.path) == floors  # they were made of the table as it was
    prepare_rows(DataConfig(rows=300), tmp_path)
    assert open_rows(rows.path).read_bytes() == before
    assert absent or "it is made anew from its source" in capsys.readouterr().err


def test_a_table_from_before_there_were_seals_gets_its_own(tmp_path, capsys):
    rows = prepare_rows(DataConfig(rows=300), tmp_path).path
    seal.place(rows).unlink()
    assert open_rows(rows) == rows
    assert seal.place(rows).is_file()
    other_labels(rows)
    with pytest.raises(UserError, match="bytes"):
        open_rows(rows)
    assert not capsys.readouterr().err


@pytest.mark.parametrize("harm", [cut, lambda path: path.write_bytes(b"no parquet"), lambda path: path.unlink()])
@pytest.mark.parametrize("sealed", [True, False])
def test_what_is_derived_from_a_table_is_made_anew(tmp_path, capsys, harm, sealed):
    rows = prepare_rows(DataConfig(rows=300), tmp_path).path
    ensure_floors(rows), ensure_implied(rows)
    derived = [path for path in rows.parent.glob("*.parquet") if path != rows]
    before = {path: path.read_bytes() for path in derived}
    assert len(before) == 5
    for path in derived:
        harm(path)
        if not sealed:
            seal.place(path).unlink()
    ensure_floors(rows), ensure_implied(rows)
    assert {path: path.read_bytes() for path in derived} == before
    assert capsys.readouterr().err.count("it is made anew") in (0, 5)


def half(path: Path) -> None:
    """Half of the ids under a header that fits them."""
    ids = np.load(path)
    np.save(path, ids[: len(ids) // 2])


def overwritten(path: Path) -> None:
    """As many ids, all of them another."""
    np.save(path, np.roll(np.load(path), 1))


def of_another_template(path: Path) -> None:
    (other,) = (folder for folder in path.parents[1].iterdir() if folder.is_dir() and folder != path.parent)
    shutil.rmtree(path.parent)
    shutil.copytree(other, path.parent)


@pytest.mark.parametrize(
    "harm",
    [
        half,
        overwritten,
        of_another_template,
        lambda path: path.unlink(),
        lambda path: os.truncate(path, 0),
        lambda path: path.with_name("meta.json").write_text("{}"),
        lambda path: path.with_name("seal.json").write_text("{"),
        lambda path: (overwritten(path), path.with_name("seal.json").unlink()),
    ],
)
def test_a_token_cache_that_is_not_what_was_written_is_made_anew(tmp_path, backbones, capsys, harm):
    tokenizer, rows = AutoTokenizer.from_pretrained(backbones["ce"]), prepare_rows(DataConfig(rows=300), tmp_path).path
    templates = [Template(False, True, length) for length in (64, 32)]
    cache = tmp_path / "tokens"
    before, _ = (load_tokens(rows, tokenizer, "id", template, cache) for template in templates)
    arrays, place = {name: getattr(before, name).copy() for name in ARRAYS}, Path(before.ids.filename)
    del before  # a mapped file that is cut ends its reader
    harm(place)
    again = load_tokens(rows, tokenizer, "id", templates[0], cache)
    assert all(np.array_equal(array, getattr(again, name)) for name, array in arrays.items())
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"token cache {cache}/")
    assert line.endswith("; it is made anew")


def test_a_folder_that_looks_like_a_partition_adds_no_column(tmp_path):
    plain, named = (prepare_rows(DataConfig(rows=400), tmp_path / name).path for name in ("plain", "split=1/seed=0"))
    assert {name: table.column_names for name, table in ensure_floors(named).items()} == {
        name: table.column_names for name, table in ensure_floors(plain).items()
    }
    for _ in ("made", "read"):
        assert ensure_implied(named) == ensure_implied(plain)
