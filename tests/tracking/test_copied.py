"""A project that was copied or moved: what its commands write stays in it."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from small_sweep import record, runs, small_cell, sweep

from relevance.config import Save
from relevance.errors import UserError
from relevance.tracking import Store
from relevance.tracking.history import asked_cells, keep, store_at


def where(config):
    return config.tracking_uri, config.experiment, Path(config.outputs)


def at(config, folder: Path, outputs: str = "outputs"):
    return replace(config, outputs=str(folder / outputs), tracking_uri=f"sqlite:///{folder}/mlflow.db")


def listing(folder: Path) -> dict[Path, float]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def project(tmp_path, backbones):
    """A trained project in tmp_path/a: its config and its folder."""
    config = small_cell(tmp_path / "a", backbones, save=Save.all)
    assert sweep(config) == 0
    return config, tmp_path / "a"


def test_a_copy_is_read_and_written_by_itself_and_the_original_stays_as_it_is(project, tmp_path, capsys):
    config, original = project
    shutil.copytree(original, tmp_path / "b")
    before, copy = listing(original), at(config, tmp_path / "b")
    (parent,) = runs_read(copy)
    store_at(*where(copy)).files(parent.info.run_id).list_artifacts()
    assert len(asked_cells(store_at(*where(copy)), parent)) == 1  # a reader changes nothing ...
    assert str(original) in parent.info.artifact_uri
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text("of the copy")
    keep(*where(copy), record(copy), tmp_path / "page")  # ... who writes does
    assert "was moved or copied here" in capsys.readouterr().err
    (parent,) = runs_read(copy)
    assert parent.info.artifact_uri.startswith((tmp_path / "b").as_uri())
    assert (tmp_path / "b" / "outputs" / "artifacts" / parent.info.run_id / "artifacts/report/index.html").is_file()
    assert sweep(copy) == 0
    assert "finished before, not trained again" in capsys.readouterr().err
    assert sweep(replace(copy, seed=1)) == 0
    model = runs(copy)[0].outputs.model_outputs[0].model_id
    assert (tmp_path / "b" / "outputs" / "artifacts" / "models" / model).is_dir()
    assert listing(original) == before


def runs_read(config) -> list:
    return store_at(*where(config)).runs("tags.kind = 'sweep'")


@pytest.mark.parametrize("outputs", ["outputs", "renamed"])
def test_a_project_or_its_outputs_may_be_moved(project, tmp_path, outputs, capsys):
    config, original = project
    original.rename(tmp_path / "b c[1]")
    (tmp_path / "b c[1]" / "outputs").rename(tmp_path / "b c[1]" / outputs)
    moved = at(config, tmp_path / "b c[1]", outputs)
    assert record(moved).cells[0].status == "FINISHED"
    assert sweep(moved) == 0
    assert "was moved or copied here" in capsys.readouterr().err
    assert record(moved).cells[0].status == "FINISHED"
    assert not original.exists()


def test_a_store_that_was_copied_without_its_files_is_refused_with_the_remedy(project, tmp_path):
    config, original = project
    (tmp_path / "b").mkdir()
    shutil.copy(original / "mlflow.db", tmp_path / "b")
    with pytest.raises(UserError, match=rf"is a copy of {original}/mlflow.db, without .*copy .* or give experiment="):
        sweep(at(config, tmp_path / "b"))
    assert sweep(replace(at(config, tmp_path / "b"), experiment="own")) == 0


def test_several_folders_of_outputs_may_share_a_store(project, capsys):
    config, folder = project
    other = replace(config, outputs=str(folder / "elsewhere"), seed=1)
    (folder / "elsewhere" / "artifacts").mkdir(parents=True)
    assert Store(*where(other)).client
    assert f"keeps the files of its runs in {(folder / 'outputs/artifacts').as_uri()}" in capsys.readouterr().err
    assert record(config).cells[0].status == "FINISHED"
