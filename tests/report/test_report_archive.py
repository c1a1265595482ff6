"""A report is made again from its runs.zip alone: the same bytes, no text of a pair, nothing of this machine."""

import io
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_sweep import record, small_cell, sweep

from relevance import predictions
from relevance.cli import run_command
from relevance.data.floors import ensure_floors
from relevance.data.implied import ensure_implied
from relevance.errors import UserError
from relevance.report.__main__ import report
from relevance.report.archive import NAME, opened, write_archive
from relevance.report.files import write_report
from relevance.report.matrix import as_read, matrices
from relevance.report.page import Form

RECORD = Form(texts=False, runs=True)
TABLES = Form(texts=False, runs=True, figures=False)
NASTY = "quite a text"


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def command(monkeypatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["report", *map(str, words)])
    try:
        run_command(report)
    except SystemExit as end:
        return end.code
    return 0


def filled(study, furniture: Path | None = None):
    """Six rows of two seeds, some unfinished, on a table that has sources, ids on one side and rows set aside."""
    for model in ("ce", "llm", "llm_b"):
        for routing, wrong in (("prefix", 4), ("mhp", 2)):
            for seed in range(2):
                study.cell(f"{model}-{routing}-joint-s{seed}", wrong + seed, start=seed)
                study.log({"probe/wrong_prefix/accuracy": 0.5, "loss": float("nan")})
    study.cell("llm-mh-joint-s0", None)
    study.cell("llm-mh-joint-s1", None, status="MISSING", run_id="", versions={})
    refused = {"status": "REFUSED", "reason": "is gated", "data_digest": "", "run_id": "", "family": ""}
    study.cell("llm_b-mh-joint-s0", None, **refused)
    for cell in study.cells:
        cell.folder.mkdir(exist_ok=True)
        if not cell.files.config.exists():  # of a cell that did not finish
            cell.files.config.write_text(f"cell: {cell.cell}\n")
    (table,) = study.tables.values()
    table["source"] = np.where(table["row"] % 3, "human", "rule")
    table["left_seen"] = table["row"] % 2 == 0
    table["left"] = NASTY + " " + table["left"]
    table["right_id"] = np.where(table["row"] % 5, table["right"].str.upper(), None)
    path = study.table(table)
    for file in furniture.glob("[fi]*.parquet*") if furniture else ():
        shutil.copy(file, path.parent)
    ensure_floors(path)
    ensure_implied(path)
    path.with_name("quarantine.csv").write_text(
        f'"file","row","problem","value","remedy","left"\n"a.csv","3","label is bad","{NASTY}","mend","{NASTY}"\n'
    )
    return study


@pytest.fixture(scope="module")
def whole(lasting) -> Path:
    """An archive of it, for tests that do not change it."""
    return write_report(filled(lasting).sweep(), lasting.reports, Form(figures=False, runs=True)) / NAME


@pytest.fixture
def archive(whole, tmp_path) -> Path:
    return Path(shutil.copy(whole, tmp_path))


@pytest.fixture
def grid(study, whole, lasting):
    """The same as a study of the test's own."""
    (furniture,) = lasting.outputs.glob("data/*")
    return filled(study, furniture)


def test_the_same_bytes_of_every_file_where_neither_store_nor_outputs_are(grid, monkeypatch, tmp_path):
    folder = write_report(grid.sweep(), grid.reports, RECORD)
    first = files(folder)
    assert {NAME, "index.html", "claims.png", "reliability.svg", "provenance.json", "comparisons.csv"} < {*first}
    moved = Path(shutil.move(folder, tmp_path / "moved"))
    shutil.rmtree(grid.outputs)
    monkeypatch.chdir(moved)
    assert command(monkeypatch, f"archive={NAME}", f"reports={tmp_path / 'again'}", "runs=true") == 0
    assert files(tmp_path / "again" / "nightly") == first


def test_processors_that_add_in_another_order_give_the_same_numbers(grid, tmp_path):
    (pairs,) = grid.tables.values()
    rows = pairs.query("split == 'test'")
    row, task, label = (rows[name].to_numpy() for name in ("row", "task", "label"))
    for seed, cell in enumerate(grid.cells[:12]):  # members that differ on many rows
        p = np.eye(3)[np.random.default_rng(seed).integers(0, 3, len(rows))]
        predictions.write(predictions.table(row, task, label, p), cell.folder / "test.parquet")
    sweep = replace(grid.sweep(), cells=tuple(replace(cell, metrics={}) for cell in grid.cells))
    path = tmp_path / NAME
    write_archive(sweep, matrices(sweep), path)
    for kernel in ("Nehalem", "Haswell"):
        words = [f"archive={path}", f"reports={tmp_path / kernel}", "figures=false"]
        environment = {**os.environ, "OPENBLAS_CORETYPE": kernel}
        subprocess.run([sys.executable, "-m", "relevance.report", *words], env=environment, check=True)
    assert files(tmp_path / "Nehalem" / "nightly") == files(tmp_path / "Haswell" / "nightly")


def test_a_real_sweep_again(tmp_path, backbones, monkeypatch):
    one, two = (small_cell(tmp_path, backbones, "ce", routing, probes=False) for routing in ("mh", "mhp"))
    assert sweep(one, two) == 0
    words = f"tracking_uri={one.tracking_uri}", f"outputs={one.outputs}", "texts=false", "runs=true"
    assert command(monkeypatch, *words, f"reports={tmp_path / 'first'}") == 0
    (folder,) = (tmp_path / "first").iterdir()
    assert "## Consistency across tasks" in (folder / "matrix.md").read_text()
    again = write_report(record(one), tmp_path / "second", TABLES)
    assert (again / NAME).read_bytes() == (folder / NAME).read_bytes()
    for gone in ("outputs", "mlflow.db"):
        (tmp_path / gone).rename(tmp_path / f"{gone}.gone")
    assert command(monkeypatch, f"archive={folder / NAME}", f"reports={tmp_path / 'third'}") == 0
    made = files(tmp_path / "third" / folder.name)
    assert made == {name: content for name, content in files(folder).items() if name != NAME}


def test_no_text_of_a_pair_is_in_it(grid):
    folder = write_report(grid.sweep(), grid.reports, TABLES)
    assert not [name for name, content in files(folder).items() if NASTY.encode() in content]
    with zipfile.ZipFile(folder / NAME) as file:
        members = {name: file.read(name) for name in file.namelist()}
    assert {name.partition("/")[0] for name in members} == {"sweep.json", "data", "cells"}
    assert sum(name.endswith("config.yaml") for name in members) == len(grid.cells)
    for name, content in members.items():
        said = repr(pq.read_table(io.BytesIO(content)).to_pydict()) if name.endswith("parquet") else content.decode()
        assert NASTY not in said.lower(), name


def test_a_report_with_texts_differs_in_mistakes_and_what_was_set_aside_alone(grid):
    shown = files(write_report(grid.sweep("shown"), grid.reports, Form(runs=True, figures=False)))
    bare = files(write_report(grid.sweep("shown"), grid.reports / "bare", TABLES))
    (aside,) = (name for name in shown if name.startswith("quarantine"))
    differ = {name for name in shown if shown[name] != bare[name]}
    assert differ == {"matrix.md", "index.html", aside}
    with_texts, without = (one["matrix.md"].decode().split("\n## Mistakes\n") for one in (shown, bare))
    assert with_texts[0] == without[0]
    assert NASTY in with_texts[1]
    assert b"label is bad" in bare[aside]


def test_a_runs_zip_that_stands_there_is_renewed_and_none_is_written_unasked(grid):
    folder = write_report(grid.sweep(), grid.reports, Form(figures=False))
    assert not (folder / NAME).exists()
    (folder / NAME).write_bytes(b"of an earlier sweep")
    write_report(grid.sweep(), grid.reports, Form(figures=False))
    with opened(folder / NAME) as found:
        assert [cell.cell for cell in found.cells] == [cell.cell for cell in grid.cells]


def test_two_archives_are_compared(grid, study, tmp_path, monkeypatch):
    one, two = tmp_path / "one.zip", tmp_path / "two.zip"
    for path in (one, two):
        write_archive(grid.sweep(path.stem), matrices(grid.sweep()), path)
    shutil.rmtree(grid.outputs)
    assert command(monkeypatch, f"compare=[{one},{two}]", f"reports={tmp_path}") == 0
    assert "A: one, B: two" in (tmp_path / "one-vs-two" / "compare.md").read_text()


def packed(path: Path, **changed: bytes | None) -> Path:
    """The archive with members changed or, None, left out; keys are ends of their names."""
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            for end, other in changed.items():
                content = other if name.removesuffix(".parquet").endswith(end) else content
            if content is not None:
                file.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda path: path.write_text("no zip at all"), "File is not a zip file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-3000]), "File is not a zip file"),
        (lambda path: path.write_bytes(path.read_bytes().replace(b"sweep.json", b"other.json")), "no item named"),
        (lambda path: packed(path, rows=None), "rows.parquet"),
        (lambda path: packed(path, **{"sweep.json": b"{}"}), "'format'"),
        (lambda path: packed(path, **{"sweep.json": b"[1]"}), "list"),
        (lambda path: packed(path, **{"sweep.json": b'{"format": 2}'}), "its format is 2, this version reads 1"),
        (lambda path: flipped(path), "Bad CRC-32|invalid"),
    ],
)
def test_what_is_no_archive_is_told_in_a_line(archive, tmp_path, harm, told, monkeypatch, capsys):
    harm(archive)
    assert command(monkeypatch, f"archive={archive}", f"reports={tmp_path / 'again'}") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: archive {archive}: no runs.zip of a report, or a damaged one (")
    assert any(part in line for part in told.split("|"))
    assert not (tmp_path / "again").exists()


def flipped(path: Path) -> None:
    """A byte in the middle of a member changes."""
    content = bytearray(path.read_bytes())
    content[600] ^= 255
    path.write_bytes(content)


def harmed(path: Path, member: str) -> None:
    """A byte in the middle of what is stored of a member changes."""
    with zipfile.ZipFile(path) as file:
        entry = file.getinfo(member)
    content = bytearray(path.read_bytes())
    content[entry.header_offset + 30 + len(member) + entry.compress_size // 2] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize("gone", [True, False])
def test_a_cell_of_which_a_member_is_damaged_is_named_and_the_others_are_reported(archive, lasting, tmp_path, gone):
    member = f"cells/{lasting.cells[0].fingerprint[:16]}/test.parquet"
    packed(archive, **{member.removesuffix(".parquet"): None}) if gone else harmed(archive, member)
    with opened(archive) as sweep:
        first, *others = as_read(sweep)[0].cells
        page = (write_report(sweep, tmp_path / "again", TABLES) / "matrix.md").read_text().replace("\\", "")
    assert first.status == "DAMAGED"
    assert [cell.status for cell in others] == [cell.status for cell in lasting.cells[1:]]
    assert first.reason.startswith(f"archive {archive}: {member} is damaged (")
    assert first.reason.endswith("; make it again with python -m relevance.report sweep=NAME runs=true")
    assert f"{member} is damaged" in page


@pytest.mark.parametrize("name", ["rows.parquet", "floor-lexical.parquet", "implied-pairs.parquet"])
def test_a_damaged_table_of_pairs_is_named(archive, lasting, name):
    (digest,) = lasting.sweep().tables
    harmed(archive, f"data/{digest[:16]}/{name}")
    with pytest.raises(UserError, match=rf"{name} is damaged \(.*make it again"), opened(archive):
        pass


def test_a_stranger_s_names_lead_nowhere_else(archive, lasting, tmp_path, monkeypatch, capsys):
    with zipfile.ZipFile(archive) as file:
        told = file.read("sweep.json").decode()
    before = set(tmp_path.rglob("*"))
    packed(archive, **{"sweep.json": told.replace(lasting.cells[0].fingerprint, "../../../escaped").encode()})
    assert command(monkeypatch, f"archive={archive}", f"reports={tmp_path / 'again'}") == 2
    assert "'../../../escaped' is no digest" in capsys.readouterr().err
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("words", [("archive=a.zip", "sweep=b"), ("archive=a.zip", "compare=[b,c]")])
def test_one_source_at_a_time(words, monkeypatch, capsys):
    assert command(monkeypatch, *words) == 2
    assert "archive" in capsys.readouterr().err


def test_an_absent_archive_is_named(monkeypatch, capsys):
    assert command(monkeypatch, "archive=nowhere.zip") == 2
    assert capsys.readouterr().err == "error: nowhere.zip: No such file or directory; give another file or folder\n"
