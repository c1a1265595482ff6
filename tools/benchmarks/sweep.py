"""What a cell costs beyond its training: cells that do not train, in the default and the Ray launcher and one by one.

python -m tools.benchmarks.sweep [cells=40] [processes=3]

Seconds of one worker a cell, once it is warm, beside those of a process for each; the bare function is called in the
same process.
"""

import os
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from relevance.cell_id import Cell, fingerprint
from relevance.cli import command_line, echo, run_command
from relevance.config import Config, ModelConfig, RoutingConfig, Save
from relevance.sweep.launchers.local import Local
from relevance.tracking import Store
from relevance.train.job import Job, Launch

WORKER = (sys.executable, "-m", "tools.benchmarks.sweep", "worker")


@dataclass
class Options:
    cells: int = 40
    processes: int = 3  # cells that get a process of their own
    workers: int = 2  # of Ray


class Log(Protocol):
    """What a cell says its numbers to."""

    def log(self, metrics: dict[str, float], step: int) -> None: ...


def idle(cell: object, run: Log) -> None:
    """A cell that does not train: it says what a cell says, of numbers that are made up."""
    run.log({"test/accuracy": 0.0, "test/macro_accuracy": 0.0, "train/rows_per_second": 0.0, "seconds": 0.0}, 1)


def jobs(folder: Path, count: int, store: str) -> list[Job]:
    """Cells with seeds of their own, all else alike."""
    config = Config(model=ModelConfig(backbone="none"), routing=RoutingConfig("mh", heads=True), save=Save.none)
    config = replace(config, outputs=str(folder), tracking_uri=store, threads=1)
    parent = Store(store, config.experiment, folder).start("bench", {"kind": "sweep"}).run_id
    seeds = [replace(config, seed=seed) for seed in range(count)]
    cells = [
        Cell(seeded, fingerprint(seeded, "", ""), f"s{seeded.seed}", "", "", "", folder / "rows.parquet", 0)
        for seeded in seeds
    ]
    return [Job(cell, parent, f"[{number}/{count}] {cell.name}") for number, cell in enumerate(cells, 1)]


def warm(launch: Launch, given: list[Job], workers: int) -> float:
    """Seconds of a worker for a cell, from the first outcome of each worker on."""
    ended = []
    with closing(launch):
        for _, outcome in launch(given):
            if outcome.reason:
                raise RuntimeError(outcome.reason)
            ended.append(time.perf_counter())
    return (ended[-1] - ended[workers - 1]) * workers / (len(ended) - workers)


def alone(given: list[Job]) -> float:
    """Seconds of a cell that has a process to itself, imports included."""
    started = time.perf_counter()
    for job in given:
        with closing(Local(1, WORKER)) as launch:
            list(launch([job]))
    return (time.perf_counter() - started) / len(given)


def bare(count: int) -> float:
    class Deaf:
        def log(self, metrics: dict[str, float], step: int) -> None:
            """Hears nothing."""

    started = time.perf_counter()
    for _ in range(count):
        idle(None, Deaf())
    return (time.perf_counter() - started) / count


def work(text: str) -> str:
    """A Ray task that does not train."""
    from relevance.sweep import attempt
    from relevance.sweep.launchers.ray import work as real

    attempt.train_cell = idle
    return real(text)


def worker() -> None:
    from relevance.sweep import attempt
    from relevance.sweep.launchers.local import main as real

    attempt.train_cell = idle
    real()


@command_line(__doc__, Options)
def run(options: Options) -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)

        def made(part: str, count: int) -> list[Job]:
            (root / part).mkdir()
            return jobs(root / part, count, f"sqlite:///{root / part}/mlflow.db")

        nothing = bare(options.cells)
        apart = alone(made("apart", options.processes)) - nothing
        costs = {
            "a process for each cell": apart,
            "default: one warm worker": warm(Local(1, WORKER), made("warm", options.cells), 1) - nothing,
            f"ray: {options.workers} warm workers": _ray(made("ray", options.cells), options.workers),
        }
    for label, seconds in costs.items():
        cost = "not installed" if seconds is None else f"{seconds:8.3f} s a cell   {apart / seconds:6.1f} ×"
        print(f"{label:28} {cost}")


def _ray(given: list[Job], workers: int) -> float | None:
    if find_spec("ray") is None:
        echo("ray is not installed: pip install 'relevance[ray]'")
        return None
    from relevance.sweep.launchers.ray import OnRay, RayOptions

    return warm(OnRay(RayOptions(cpus_per_cell=(os.cpu_count() or workers) / workers), work), given, workers)


if __name__ == "__main__":
    worker() if sys.argv[1:] == ["worker"] else run_command(run)
