"""A cell frozen and thawed is the same cell, and tells no secret on the way."""

from dataclasses import replace
from pathlib import Path

from omegaconf import OmegaConf

from relevance.cell_id import Cell
from relevance.config import Config, ModelConfig, PrivateKind, TrainerConfig
from relevance.config_io import ConfigFile, from_environment, typed_config
from relevance.train.job import Job, anchored, thaw


def cell(config: Config, unresolved: dict[str, str]) -> Cell:
    return Cell(config, "f" * 64, "ce-mh-joint-s0", "", "d" * 64, "b" * 64, Path("rows.parquet"), 240, unresolved)


def test_a_job_thaws_to_what_was_frozen():
    config = Config(model=ModelConfig(backbone="a b"), trainer=TrainerConfig(devices=[1], limit_train_batches=0.5))
    config.routing.private.kind = PrivateKind.lora
    config.data.columns = {"left": "query ${x} é\n"}
    job = Job(cell(config, {}), "5d41", "[1/2] ce-mh-joint-s0")
    assert "\n" not in job.text()
    assert thaw(job.text()) == job


def test_what_comes_from_the_environment_is_named_and_not_told(monkeypatch):
    monkeypatch.setenv("STORE_PASSWORD", "hunter2")
    composed = OmegaConf.create(
        {"tracking_uri": "postgresql://ana:${oc.env:STORE_PASSWORD}@db/runs", "experiment": "${tracking_uri}"}
    )
    config, unresolved = typed_config(composed), from_environment(composed)
    assert config.tracking_uri == "postgresql://ana:hunter2@db/runs"
    job = Job(cell(config, unresolved), "", "")
    assert "hunter2" not in job.text()
    assert "${oc.env:STORE_PASSWORD}" in ConfigFile(config, unresolved).settings()["experiment"]
    assert thaw(job.text()) == job
    monkeypatch.setenv("STORE_PASSWORD", "changed")
    assert thaw(job.text()).cell.config == replace(
        config, **dict.fromkeys(("tracking_uri", "experiment"), "postgresql://ana:changed@db/runs")
    )


def test_an_environment_variable_is_named_however_it_is_spaced(monkeypatch):
    monkeypatch.setenv("STORE_PASSWORD", "hunter2")
    composed = OmegaConf.create({"tracking_uri": "postgresql://ana:${ oc.env: STORE_PASSWORD }@db/runs"})
    assert typed_config(composed).tracking_uri == "postgresql://ana:hunter2@db/runs"
    job = Job(cell(typed_config(composed), from_environment(composed)), "", "")
    assert "hunter2" not in job.text()
    assert thaw(job.text()) == job


def test_a_job_for_another_machine_has_paths_from_the_root_and_is_the_same_question(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("model").mkdir()
    job = Job(cell(Config(model=ModelConfig(backbone="model")), {}), "", "")
    moved = thaw(anchored(job).text()).cell
    assert moved.config.outputs == str(tmp_path / "outputs")
    assert moved.config.tracking_uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert (moved.config.model.backbone, moved.rows) == (str(tmp_path / "model"), tmp_path / "rows.parquet")
    assert moved.fingerprint == job.cell.fingerprint
    (tmp_path / "tiny.gguf").touch()
    file = Job(cell(Config(model=ModelConfig(backbone="tiny.gguf")), {}), "", "")
    assert anchored(file).cell.config.model.backbone == str(tmp_path / "tiny.gguf")
    hub = Job(cell(Config(model=ModelConfig(backbone="embedded:ce"), tracking_uri="http://host:5000"), {}), "", "")
    assert anchored(hub).cell.config.model.backbone == "embedded:ce"
    assert anchored(hub).cell.config.tracking_uri == "http://host:5000"
