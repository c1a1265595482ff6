"""A cell on a backbone of the hub, whose main branch then moves: what it saved still stands on the old commit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from small_sweep import furnish, record, runs

from relevance import predictions
from relevance.config import Config, DataConfig
from relevance.config_io import read_config
from tests.hub.repositories import shaken
from tests.hub.server import Hub, contents

ROOT = Path(__file__).parents[2]


@pytest.fixture
def hub(backbones):
    with Hub() as hub:
        hub.repository("org/tiny", {**contents(backbones["llm"]), "README.md": b"---\nlicense: mit\n---\n"})
        hub.repository("org/locked", backbones["llm"], gated=True)
        yield hub


@pytest.fixture
def command(hub, tmp_path):
    """A command of the project with its files in `tmp_path`, to its end: its hub is the fixture."""
    furnish(tmp_path, DataConfig(rows=200))
    places = (f"outputs={tmp_path}/outputs", f"tracking_uri=sqlite:///{tmp_path}/mlflow.db")
    where = {"HF_ENDPOINT": hub.address, "HF_HOME": f"{tmp_path}/home", "PYTHONPATH": str(ROOT)}
    told = {**{key: value for key, value in os.environ.items() if key != "HF_TOKEN"}, **where}
    pipe, words = subprocess.PIPE, [sys.executable, "-m", "tests.hub.commands"]
    with subprocess.Popen(words, cwd=ROOT, env=told, stdin=pipe, stdout=pipe, text=True) as process:

        def run(module: str, *words: str, code: int = 0, offline: str = "0") -> str:
            said = tmp_path / "said"
            process.stdin.write(json.dumps([str(said), offline, f"relevance.{module}", *words, *places]) + "\n")
            process.stdin.flush()
            ended = process.stdout.readline()
            assert ended == f"{code}\n", said.read_text()
            return said.read_text()

        yield run


def test_predict_and_export_stand_on_the_commit_that_the_cell_was_trained_on(hub, command, tmp_path):
    train = (
        "-m",
        "model=llm",
        "model.backbone=org/tiny,org/locked",
        "data.rows=200",
        "model.max_length=64",
        "threads=1",
        "trainer.max_epochs=1",
        "isolate=false",
    )
    said = command("run", *train, "probes=false", "consistency=false", "trainer.accelerator=cpu", code=1)
    old = hub.repositories["org/tiny"].refs["main"]
    assert f"model.backbone=org/tiny: main is commit {old}" in said
    assert "model.backbone=org/locked: is gated; accept its licence at https://huggingface.co/org/locked, then" in said
    cell, refused = record(Config(outputs=f"{tmp_path}/outputs", tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")).cells
    assert (cell.status, refused.status) == ("FINISHED", "REFUSED")
    assert old[:8] not in cell.cell
    _says_where_it_stands(cell, old, tmp_path)

    moved = {**shaken(contents_of(hub)), "README.md": b"---\nlicense: other\n---\n"}
    hub.repositories["org/tiny"].push(moved)
    rows = pq.read_table(next(Path(tmp_path).glob("outputs/data/*/rows.parquet")))
    pq.write_table(rows.filter([split == "test" for split in rows["split"].to_pylist()]), tmp_path / "test.parquet")
    for name, offline in MOVED.items():
        command("predict", *_predicting(cell, tmp_path, name), offline=offline)
        found, stored = (pq.read_table(file) for file in (tmp_path / name, cell.folder / "test.parquet"))
        for column in (*predictions.PROBABILITIES, "predicted"):
            assert found[column].to_pylist() == stored[column].to_pylist()
    for offline, licence in {"1": "unknown", "0": "mit"}.items():
        folder = tmp_path / f"adapter-{licence}"
        command("export", f"cell={cell.folder}", f"output={folder}", "form=adapter", "task=query_item", offline=offline)
        _named(folder, old, tmp_path)
        assert f"- backbone: org/tiny at {old}; licence: {licence}\n" in (folder / "README.md").read_text()


MOVED = {"online.parquet": "0", "offline.parquet": "1"}  # HF_HUB_OFFLINE


def contents_of(hub: Hub) -> dict[str, bytes]:
    repository = hub.repositories["org/tiny"]
    return repository.commits[repository.refs["main"]]


def _predicting(cell, folder: Path, name: str) -> tuple[str, ...]:
    return f"cells={cell.folder}", f"input={folder}/test.parquet", f"output={folder}/{name}"


def _says_where_it_stands(cell, sha: str, folder: Path) -> None:
    """The commit stands in config.yaml, in MLflow, in what the report reads and in the adapter."""
    config = read_config(cell.folder / "config.yaml")
    assert (config.model.backbone, config.model.revision) == ("org/tiny", sha)
    assert (cell.backbone, cell.revision) == ("tiny", sha)
    (run,) = runs(config)
    assert run.data.params["revision"] == sha
    _named(cell.folder / "model" / "trunk", sha, folder)


def _named(adapter: Path, sha: str, folder: Path) -> None:
    told = json.loads((adapter / "adapter_config.json").read_text())
    assert (told["base_model_name_or_path"], told["revision"]) == ("org/tiny", sha)
    for file in (*adapter.glob("*.json"), *adapter.glob("*.md")):
        assert str(folder) not in file.read_text(), file
