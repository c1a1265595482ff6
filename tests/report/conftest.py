"""A sweep on disk without training: cells of known accuracy on a small table of pairs."""

import shutil
from dataclasses import replace
from functools import cache, reduce
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from relevance import predictions, seal
from relevance.config import Config, Mix
from relevance.config_io import ConfigFile, read_config
from relevance.data.floors import ensure_floors
from relevance.metrics import score_predictions
from relevance.tasks import TASK_NAMES
from relevance.tracking.records import CellRecord, SweepRecord, SweepRun

DIGEST = "d1" * 32
TEST_ROWS = 20  # of each task
SHA = "9d" * 20
NAMES = {key: key for key in ("data.rows", "match", "task_mix.share")} | {"lora.r": "model.lora.r"}  # in a variant


def pairs(tasks: tuple[str, ...] = TASK_NAMES, clean_wrong: int = 1) -> pd.DataFrame:
    """Per task 40 training, 4 validation and 20 test rows; `clean_wrong` test labels of each are noise."""
    return _pairs(tasks, clean_wrong).copy()


@cache
def _pairs(tasks: tuple[str, ...], clean_wrong: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    words = np.array(["red", "blue", "shoe", "boot", "lace", "sole", "heel", "cap"])
    frames = []
    for task in tasks:
        split = ["train"] * 40 + ["validation"] * 4 + ["test"] * TEST_ROWS
        text = [" ".join(rng.choice(words, 3)) for _ in range(2 * len(split))]
        frame = pd.DataFrame({"split": split, "task": task, "left": text[::2], "right": text[1::2]})
        frame["label"] = np.arange(len(frame), dtype=np.int8) % 3
        frame["label_clean"] = frame["label"]
        noisy = frame.index[frame["split"] == "test"][:clean_wrong]
        frame.loc[noisy, "label_clean"] = (frame.loc[noisy, "label"] + 1) % 3
        frames.append(frame)
    table = pd.concat(frames, ignore_index=True)
    table.insert(0, "row", np.arange(len(table), dtype=np.int64))
    return table


@cache
def config_text(model: str, routing: str, mix: str, variant: str) -> str:
    """The config.yaml of a cell of that name; of its variant those of NAMES."""
    config = Config()
    config.model.name, config.routing.name, config.task_mix.name = model, routing, mix
    if mix.startswith("single_"):
        config.task_mix.kind, config.task_mix.task = Mix.single, mix.removeprefix("single_")
    for key, _, value in (part.partition("=") for part in variant.split(",")):
        if key in NAMES:
            *groups, name = NAMES[key].split(".")
            group = reduce(getattr, groups, config)
            setattr(group, name, type(getattr(group, name))(value))
    return ConfigFile(config).text()


@pytest.fixture(autouse=True)
def known_configs(monkeypatch):
    """A config.yaml is read once a process: to read those of a study takes longer than to compute its report."""
    monkeypatch.setattr("relevance.tracking.records.read_config", lambda path: _known(path.read_text(), path))


KNOWN: dict[str, Config] = {}


def _known(text: str, path: Path) -> Config:
    if text not in KNOWN:
        KNOWN[text] = read_config(path)
    return KNOWN[text]


class Study:
    """A sweep that grows cell by cell."""

    def __init__(self, folder: Path) -> None:
        self.outputs = folder / "outputs"
        self.reports = folder / "reports"
        self.cells: list[CellRecord] = []
        self.tables: dict[str, pd.DataFrame] = {}

    def table(self, table: pd.DataFrame, digest: str = DIGEST) -> Path:
        """Leave rows.parquet of a digest, and no floors of an earlier one; returns its path."""
        path = self.outputs / "data" / digest[:16] / "rows.parquet"
        shutil.rmtree(path.parent, ignore_errors=True)
        path.parent.mkdir(parents=True)
        table.to_parquet(path)
        seal.write(path, path.parent.name)
        self.tables[digest] = table
        return path

    def cell(self, name: str, wrong: int | None = 0, start: int = 0, **changes: object) -> CellRecord:
        """Add "model-routing-mix-sN"; `wrong` rows of each task, from `start` on, are wrong; None: it failed."""
        model, routing, mix, seed = name.split("-")
        digest = changes.get("data_digest", DIGEST)
        fingerprint = f"{len(self.cells):016x}" * 4
        cell = CellRecord(
            cell=name, model=model, routing=routing, task_mix=mix, variant="", seed=int(seed[1:]),
            family="llm" if model.startswith("llm") else "ce",
            fingerprint=fingerprint, data_digest=digest, status="FINISHED", run_id=f"run{len(self.cells)}",
            experiment="1",
            git_sha=SHA, dirty=False, reason="", folder=self.outputs / "cells" / fingerprint[:16],
            metrics={}, versions={"torch": "2.13.0"},
        )  # fmt: skip
        if wrong is None:
            cell = replace(cell, status="FAILED", reason="RuntimeError: boom")
        else:
            cell = replace(cell, metrics=self._predict(cell, wrong, start))
            settings = config_text(model, routing, mix, str(changes.get("variant", "")))
            (cell.folder / "config.yaml").write_text(settings)
            seal.place(cell.folder).unlink(missing_ok=True)  # of a cell that had this number before
        self.cells.append(replace(cell, **changes))
        return self.cells[-1]

    def log(self, metrics: dict[str, float]) -> None:
        """Add to what the run of the last cell logged."""
        cell = self.cells[-1]
        self.cells[-1] = replace(cell, metrics={**cell.metrics, **metrics})

    def _predict(self, cell: CellRecord, wrong: int, start: int) -> dict[str, float]:
        for split in ("validation", "test"):
            rows = self.tables[cell.data_digest].query("split == @split")
            rows = rows[rows["task"].map(lambda task: cell.task_mix in ("joint", f"single_{task}"))]
            label = rows["label"].to_numpy()
            place = rows.groupby("task").cumcount().to_numpy()
            hit = (place < start) | (place >= start + wrong)
            p = np.eye(3)[np.where(hit, label, (label + 1) % 3)]
            table = predictions.table(rows["row"].to_numpy(), rows["task"].to_numpy(), label, p)
            predictions.write(table, cell.folder / f"{split}.parquet")
        scores = score_predictions(table)
        logged = {f"test/{t}/accuracy": a for t, a in zip(TASK_NAMES, scores.accuracy, strict=True) if a == a}
        return {**logged, "seconds": 61.4, "params/trainable": 12345.0, "train/rows_per_second": 987.0}

    def sweep(self, name: str = "nightly") -> SweepRecord:
        command = "python -m relevance.run -m routing=prefix,mh,mhp model=llm,ce"
        return SweepRecord(name, self.outputs, tuple(self.cells), (SweepRun(name, "parent", command, "f" * 64),))


@pytest.fixture(scope="session")
def floors(tmp_path_factory) -> list[Path]:
    """The floors of the table of all six tasks."""
    path = Study(tmp_path_factory.mktemp("floors")).table(pairs())
    ensure_floors(path)
    return sorted(path.parent.glob("floor-*.parquet"))


@pytest.fixture
def study(tmp_path: Path, floors: list[Path]) -> Study:
    """A sweep without cells on a table of all six tasks, its floors beside it."""
    study = Study(tmp_path)
    path = study.table(pairs())
    for floor in floors:
        shutil.copy(floor, path.parent)
    return study


@pytest.fixture(scope="module")
def lasting(tmp_path_factory) -> Study:
    """A sweep without cells on a table of all six tasks, for all tests of a file."""
    study = Study(tmp_path_factory.mktemp("lasting"))
    study.table(pairs())
    return study


@pytest.fixture
def bare(tmp_path: Path) -> Study:
    """A sweep without cells or data."""
    return Study(tmp_path)


@pytest.fixture(name="pairs")
def pairs_fixture():
    """The maker of small tables of pairs."""
    return pairs
