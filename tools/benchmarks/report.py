"""A generated study of a thousand cells on 453K test rows → how long its report takes, and how much memory.

python -m tools.benchmarks.report [cells=1000] [rows=453000]

Six routings x three models x five task mixes x seeds; the predictions are drawn, not trained: FILES different files per
split, each shared by the cells it was dealt to (hard links), so that the disk holds them. Printed: wall time, time of
the processor (which other work on the machine leaves as it is) and peak memory of python -m relevance.report as a whole
process, without and with its figures, and what a bare read of the same prediction files takes beside it.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from relevance import predictions, seal
from relevance.cell_id import CellFolder, data_folder
from relevance.cli import command_line, echo, run_command
from relevance.config import Config
from relevance.config_io import ConfigFile
from relevance.metrics import logged, score, task_codes
from relevance.tasks import TASK_NAMES
from relevance.tracking import CELLS, Store
from relevance.vote import Poll, Ties

FILES = 40
SHARE = (0.42, 0.07, 0.17, 0.14, 0.16, 0.04)  # of the rows, by task
VALIDATION = 20_000
ROUTINGS = ("none", "prefix", "mh", "mhp", "prefix_mh", "prefix_mhp")
MODELS = {"ce": "ce", "llm": "llm", "llm_b": "llm"}
MIXES = ("joint", "temperature", "equal", "joint_a", "joint_b")
DIGEST = "be" * 32


@dataclass
class Options:
    cells: int = 1_000
    rows: int = 453_000


@command_line(__doc__, Options)
def main(options: Options) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = time.perf_counter()
        generate(folder, options)
        echo(f"generated {options.cells:,} cells x {options.rows:,} rows in {time.perf_counter() - started:.0f} s")
        print(f"{'':28}{'seconds':>9}{'CPU':>9}{'peak GB':>9}")
        print(f"{'five members vote':28}{voting(options.rows):9.3f}")
        for title, command in (
            ("bare read of predictions", [sys.executable, "-m", "tools.benchmarks.report", f"read={folder}"]),
            ("report without figures", report(folder, "figures=false")),
            ("report with figures", report(folder, "figures=true")),
        ):
            seconds, processor, peak = measured(command)
            print(f"{title:28}{seconds:9.1f}{processor:9.1f}{peak:9.2f}")


def report(folder: Path, word: str) -> list[str]:
    places = [f"tracking_uri=sqlite:///{folder}/mlflow.db", f"outputs={folder}/outputs", f"reports={folder}/reports"]
    return [sys.executable, "-m", "relevance.report", "sweep=bench", "texts=false", word, *places]


def voting(rows: int) -> float:
    """Seconds that five members' vote takes, ties under every policy, on so many rows."""
    random = np.random.default_rng(0)
    labels, p = random.integers(0, 3, (5, rows)).astype(np.int8), random.random((rows, 3))
    started = time.perf_counter()
    poll = Poll(labels)
    for policy in Ties:
        poll.settled(policy, p, [0, 1, 2, 3, 4])
    return time.perf_counter() - started


def measured(command: list[str]) -> tuple[float, float, float]:
    """Wall seconds, seconds of the processor and peak memory in GB of a process; it must end well."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9


def read(folder: Path) -> None:
    """Every row of what the report reads of each cell, and nothing done with it."""
    for path in sorted(folder.glob(CellFolder.of(Path("outputs"), "*").test.as_posix())):
        pq.read_table(path, columns=["row", "label", "predicted", *predictions.PROBABILITIES])


def generate(folder: Path, options: Options) -> None:
    outputs, random = folder / "outputs", np.random.default_rng(0)
    table = _rows(random, options.rows)
    path = data_folder(outputs, DIGEST) / "rows.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(table, path)
    seal.write(path, path.parent.name)
    dealt = [_drawn(folder / "drawn" / str(number), table, random) for number in range(min(FILES, options.cells))]
    for name in ("majority", "lexical"):
        os.link(CellFolder(folder / "drawn" / "0").test, path.with_name(f"floor-{name}.parquet"))
    _store(folder, outputs, options.cells, dealt)


def _rows(random: np.random.Generator, tested: int) -> pa.Table:
    split = np.repeat(["train", "validation", "test"], [6_000, VALIDATION, tested])
    task = random.choice(6, len(split), p=SHARE)
    left, right = (random.integers(0, 60_000, len(split)).astype(str) for _ in range(2))
    label = random.integers(0, 3, len(split)).astype(np.int8)
    names = np.array(TASK_NAMES)[task]
    columns = {"split": split, "task": names, "left": left, "right": right, "label": label}
    return pa.table({"row": np.arange(len(split)), **columns})


def _drawn(folder: Path, table: pa.Table, random: np.random.Generator) -> tuple[Path, dict[str, float]]:
    """Predictions of both splits, and what a run would log of the test."""
    for split in ("validation", "test"):
        rows = table.filter(pa.array(table["split"].to_numpy() == split))
        label = rows["label"].to_numpy()
        p = random.dirichlet([0.5] * 3, len(label))
        right = random.random(len(label)) < 0.6
        p[right, label[right]] += 1
        p /= p.sum(axis=1, keepdims=True)
        written = predictions.table(rows["row"].to_numpy(), rows["task"].to_numpy(), label, p)
        predictions.write(written, CellFolder(folder).predictions(split))
    at = task_codes(written["task"])
    return folder, logged(score(at, label, written["predicted"].to_numpy()), "test")


def _store(folder: Path, outputs: Path, cells: int, dealt: list[tuple[Path, dict[str, float]]]) -> None:
    """A parent run and a run for each cell, as a sweep leaves them."""
    store = Store(f"sqlite:///{folder}/mlflow.db", "relevance", outputs)
    grid = product(range(cells), MIXES, MODELS, ROUTINGS)
    listed, dealt_to, settings = [], [], ConfigFile(Config()).text()
    for number, (seed, mix, model, routing) in zip(range(cells), grid, strict=False):
        fingerprint = f"{number:016x}" * 4
        source, metrics = dealt[number % len(dealt)]
        files = CellFolder.of(outputs, fingerprint)
        files.path.mkdir(parents=True)
        files.config.write_text(settings)
        for split in ("validation", "test"):
            os.link(CellFolder(source).predictions(split), files.predictions(split))
        name = f"{model}-{routing}-{mix}-s{seed}"
        axes = {"model": model, "routing": routing, "task_mix": mix, "seed": seed, "variant": ""}
        listed.append({"cell": name, **axes, "fingerprint": fingerprint, "data_digest": DIGEST})
        run = store.start(name, {"kind": "cell", "fingerprint": fingerprint, "git_commit": "0" * 40})
        run.params({"family": MODELS[model]})
        run.log(
            {**metrics, "seconds": 60.0 + number, "params/trainable": 1e6, "train/rows_per_second": 500.0}, 0, number
        )
        run.end("FINISHED")
        dealt_to.append(files)
    for files in dealt_to:  # after the last link: another link to a file changes the state that is noted with its seal
        seal.write(files.path, files.path.name, files.sealed)
    parent = store.start("bench", {"kind": "sweep", "fingerprint": DIGEST, "command": "make bench-report"})
    parent.text(json.dumps(listed), CELLS)
    parent.end("FINISHED")


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1].startswith("read="):
        read(Path(sys.argv[1].removeprefix("read=")))
    else:
        run_command(main)
