"""What a cell left is not believed: the report names what is damaged and goes on, the same sweep trains it again."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from small_sweep import record, runs, small_cell, sweep

from relevance import predictions, seal
from relevance.cell_id import CellFolder, Request
from relevance.config import Config, Save
from relevance.errors import UserError
from relevance.report.files import write_report
from relevance.report.matrix import as_read
from relevance.report.page import Form
from relevance.sweep.launchers.local import InProcess
from relevance.sweep.resolve import prepared
from relevance.sweep.sweep import run_sweep
from relevance.tracking import Store
from relevance.tracking.record import Record

TABLES = Form(figures=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, backbones) -> Config:
    """Two cells, one of seed 1."""
    config = small_cell(tmp_path_factory.mktemp("trained"), backbones, save=Save.none)
    assert sweep(config, replace(config, seed=1)) == 0
    return config


@pytest.fixture
def pair(trained, tmp_path) -> tuple[Config, Config]:
    """The two cells in a folder of the test's own."""
    shutil.copytree(Path(trained.outputs).parent, tmp_path, dirs_exist_ok=True)
    config = replace(trained, outputs=str(tmp_path / "outputs"), tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    return config, replace(config, seed=1)


def first(config: Config) -> CellFolder:
    return next(cell.files for cell in record(config).cells if cell.seed == 0)


def cut(files: CellFolder) -> None:
    os.truncate(files.test, 500)


def flipped(files: CellFolder) -> None:
    content = bytearray(files.test.read_bytes())
    content[len(content) // 2] ^= 0xFF
    files.test.write_bytes(content)


def of_another(files: CellFolder) -> None:
    """The whole and sealed folder of the other cell."""
    (other,) = (path for path in files.path.parent.iterdir() if path.is_dir() and path != files.path)
    shutil.rmtree(files.path)
    shutil.copytree(other, files.path)


def one_of_another(files: CellFolder) -> None:
    (other,) = (path for path in files.path.parent.iterdir() if path.is_dir() and path != files.path)
    shutil.copy(CellFolder(other).test, files.test)


def written(column: str, value: float) -> Callable[[CellFolder], None]:
    """Predictions that were written wrong, and sealed."""

    def harm(files: CellFolder) -> None:
        table = predictions.read(files.test)
        values = table[column].to_numpy().copy()
        values[3] = value
        at = table.column_names.index(column)
        predictions.write(table.set_column(at, table.schema.field(at), pa.array(values)), files.test)
        seal.write(files.path, files.path.name, files.sealed)

    return harm


HARM = {
    "cut": cut,
    "flipped": flipped,
    "empty": lambda files: files.test.write_bytes(b""),
    "validation gone": lambda files: files.validation.unlink(),
    "consistency gone": lambda files: files.consistency.unlink(),
    "config torn": lambda files: files.config.write_text("{"),
    "record cut": lambda files: os.truncate(files.record, 100),
    "seal torn": lambda files: (files.path / "seal.json").write_text('{"of": '),
    "of another": of_another,
    "one of another": one_of_another,
    "label 7": written("predicted", 7),
    "no number": written("p_partial", np.nan),
    "infinite": written("p_relevant", np.inf),
    "above one": written("p_relevant", 1.5),
    "another argument": written("label", 5),
    "rows twice": written("row", 0),
}


@pytest.mark.parametrize("harm", HARM)
def test_the_report_goes_on_without_a_damaged_cell_and_names_it(pair, tmp_path, harm):
    config, _ = pair
    files = first(config)
    HARM[harm](files)
    cells = {cell.seed: cell for cell in as_read(record(config))[0].cells}
    assert {seed: cell.status for seed, cell in cells.items()} == {0: "DAMAGED", 1: "FINISHED"}
    assert str(files.path) in cells[0].reason
    assert cells[0].reason.endswith("; the same sweep trains it again")
    page = (write_report(record(config), tmp_path / "reports", TABLES) / "matrix.md").read_text()
    assert "2 cells: 1 finished" in page
    assert "1 damaged" in page


def test_the_same_sweep_trains_a_damaged_cell_again(pair, capsys):
    config, other = pair
    cut(first(config))
    assert sweep(config, other) == 0
    said = capsys.readouterr().err
    assert "test.parquet: has 500 of the" in said
    assert said.count("finished before, not trained again") == 1
    assert {cell.status for cell in as_read(record(config))[0].cells} == {"FINISHED"}


def test_what_was_left_before_there_were_seals_is_sealed_as_it_is_opened(pair):
    config, _ = pair
    files = first(config)
    (files.path / "seal.json").unlink()
    assert {cell.status for cell in as_read(record(config))[0].cells} == {"FINISHED"}
    flipped(files)
    assert {cell.status for cell in as_read(record(config))[0].cells} == {"FINISHED", "DAMAGED"}


def test_cells_of_a_damaged_table_are_named_and_another_table_is_reported(pair, tmp_path):
    config, _ = pair
    both = replace(config, data=replace(config.data, rows=400))
    requests = [Request(each, config) for each in (config, both)]
    ask = partial(run_sweep, requests, prepared([config, both]), "python -m relevance.run", InProcess())
    assert ask().code == 0
    table = next(cell for cell in record(config).cells if cell.seed == 0 and not cell.variant).data_digest
    rows = Path(config.outputs) / "data" / table[:16] / "rows.parquet"
    os.truncate(rows, 2_000)
    cells = as_read(record(config))[0].cells
    assert sorted(cell.status for cell in cells) == ["DAMAGED", "FINISHED"]
    page = (write_report(record(config), tmp_path / "reports", TABLES) / "matrix.md").read_text()
    assert f"{rows}: has 2,000 of the" in page.replace("\\", "")
    for path in rows.parent.parent.glob("*/rows.parquet"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match=r"rows\.parquet: has 0 of the .*; give outputs=FOLDER of the sweep, or run"):
        as_read(record(config))
    prepared([config, both])
    assert ask().code == 0
    assert {cell.status for cell in as_read(record(config))[0].cells} == {"FINISHED"}


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("finished", [True, False])
def test_a_folder_copied_from_another_cell_is_never_continued(pair, capsys, finished, sealed):
    config, other = pair
    files, copied = first(config), small_folder(other)
    shutil.rmtree(copied.path)
    shutil.copytree(files.path, copied.work.path)
    if not sealed:
        (copied.work.path / "seal.json").unlink()
    if not finished:
        lines = copied.work.record.read_text().splitlines(keepends=True)
        copied.work.record.write_text("".join(lines[:4]))
    before = {run.info.run_id: dict(run.data.metrics) for run in runs(config)}
    assert sweep(config, other) == 1
    said = capsys.readouterr().err
    assert f"{copied.work.record}: is the record of {files.path.name}, another cell; remove {copied.work.path}" in said
    assert {run.info.run_id: dict(run.data.metrics) for run in runs(config)} == before
    shutil.rmtree(copied.work.path)
    assert sweep(config, other) == 0


def small_folder(config: Config) -> CellFolder:
    return next(cell.files for cell in record(config).cells if cell.seed == config.seed)


@pytest.mark.parametrize("status", ["RUNNING", "KILLED", "FAILED"])
def test_a_store_put_back_to_an_older_copy_hears_of_a_finished_cell_again(pair, capsys, status):
    config, other = pair
    store = Store(config.tracking_uri, config.experiment, Path(config.outputs))
    run = next(run for run in runs(config) if run.data.tags["seed"] == "0")
    store.client.update_run(run.info.run_id, status=status)  # as in a copy from while it trained, or was cut off
    assert sweep(config, other) == 0
    said = capsys.readouterr().err
    assert "what MLflow had not heard of it is delivered" in said
    assert "marked KILLED" not in said
    assert said.count("finished before, not trained again") == 2
    assert {run.info.status for run in runs(config)} == {"FINISHED"}
    assert len(runs(config)) == 2


@pytest.mark.parametrize("content", ["", "{}", "[]", "7", '{"store": 1}', '{"store": "x", "run_id": "y"'])
def test_what_says_how_much_was_sent_may_be_torn(tmp_path, content):
    note = Record(tmp_path)
    note.append("start", name="a", tags={}, at=0)
    note.files.sent.write_text(content)
    assert note.sent("x") == ("", 0)
    assert note.pending("x")


@pytest.mark.parametrize("line", ["7", "[]", '["log"]', '["log", 7]', '["log", [1]]', "\\x00", '{"a": 1}'])
def test_a_line_that_is_no_event_is_named(tmp_path, line):
    note = Record(tmp_path)
    note.append("start", name="a", tags={}, at=0)
    with note.path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(UserError, match="is no event, or not as it was written; remove"):
        note.events()
    assert json.loads(note.path.read_text().splitlines()[0])[0] == "start"


def test_a_half_trained_cell_whose_record_was_altered_fails_by_name_until_it_is_trained_anew(pair, capsys):
    config, other = pair
    copied = small_folder(config)
    shutil.move(copied.path, copied.work.path)
    (copied.work.path / "seal.json").unlink()
    lines = copied.work.record.read_text().splitlines(keepends=True)
    lines[4] = lines[4].replace("0.", "0.9", 1)
    copied.work.record.write_text("".join(lines[:-1]))
    assert sweep(config, other) == 1
    assert f"{copied.work.record}: what ends at byte" in capsys.readouterr().err
    assert sweep(replace(config, rerun=True), other) == 0


@pytest.fixture
def half_written(tmp_path) -> Record:
    note = Record(tmp_path)
    note.append("start", name="a", tags={}, at=0)
    for step in (20, 40):
        note.append("log", metrics={"train/loss": 1.5, "gate": 0.25}, step=step, at=step)
        note.append("kept", step=step)
    return note


@pytest.mark.parametrize(
    ("old", "new"), [('"step":20', '"step":30'), ("1.5", "0.5"), ('"a"', '"b"'), ("},", "} ,"), ('"kept"', '"Kept"')]
)
def test_a_line_of_a_record_that_was_altered_is_named(half_written, old, new):
    half_written.path.write_text(half_written.path.read_text().replace(old, new, 1))
    with pytest.raises(UserError, match=r"what ends at byte \d+ is no event, or not as it was written"):
        half_written.events()


def test_a_line_of_a_record_that_is_gone_moved_or_without_its_digest_is_named(half_written):
    first, second, third, *rest = half_written.path.read_text().splitlines(keepends=True)
    bare = second[:-13] + "]\n"
    for lines in ([first, third], [first, third, second], [second, third], [first, bare, third], [first, second, bare]):
        half_written.path.write_text("".join([*lines, *rest]))
        with pytest.raises(UserError, match="or not as it was written"):
            half_written.events()


def test_a_torn_last_line_of_a_record_is_passed_over_and_written_again(half_written):
    whole = half_written.path.read_bytes()
    for size in range(len(whole) - 1, whole.rindex(b"\n", 0, -1), -1):
        half_written.path.write_bytes(whole[:size])
        assert len(half_written.events()) == 4
    half_written.mend()
    half_written.append("kept", step=40)
    assert half_written.path.read_bytes() == whole
    (_, after), *_ = half_written.events()
    assert half_written.events(after) == half_written.events()[1:]


def test_an_older_record_without_digests_is_gone_on_with_and_its_lines_count_from_then_on(tmp_path):
    note = Record(tmp_path)
    older = '["start",{"name":"a","tags":{},"at":0}]\n["log",{"metrics":{"x":1.5},"step":20,"at":1}]\n'
    note.path.write_text(older)
    assert len(note.events()) == 2
    note.append("kept", step=20)
    assert [event for event, _ in note.events(len(older))] == [("kept", {"step": 20})]
    note.path.write_text(note.path.read_text().replace("1.5", "0.5"))
    with pytest.raises(UserError, match="or not as it was written"):
        note.events()
