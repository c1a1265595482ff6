"""Sweeps that stand somewhere, made up: cells by name, their newest runs, the process that goes through them."""

import json
from pathlib import Path
from typing import Any

from relevance.tracking.records import CellRecord, CellStanding, RunRecord, Standing

NOW = 1_764_000_000.0
COMMAND = "python -m relevance.run -m routing=prefix,mh"


def cell(name: str, status: str = "MISSING", reason: str = "", **metrics: float) -> CellRecord:
    return CellRecord(
        cell=name, model="ce", routing="mh", task_mix="joint", variant="", seed=0, family="ce", fingerprint=name,
        data_digest="d" * 64, status=status, run_id="", experiment="1", git_sha="", dirty=False, reason=reason,
        folder=Path("outputs/cells/x"), metrics={key.replace("__", "/"): value for key, value in metrics.items()},
        versions={},
    )  # fmt: skip


def run(status: str, ago: float = 100.0, now: float = NOW, **tags: Any) -> RunRecord:
    """A run of another host that a process took up `ago` seconds ago; pulse={...} with `at` as seconds ago."""
    pulse = tags.pop("pulse", None)
    if pulse is not None:
        tags["pulse"] = json.dumps({**pulse, "at": now - pulse["at"]})
    held = {"host": "box-1", "pid": "4711", "process_start": "1.00", "touched": f"{int((now - ago) * 1e9)}"}
    return RunRecord(status, {**held, **tags}, now - ago)


def sweep(status: str = "RUNNING", ago: float = 1000.0, now: float = NOW, **tags: Any) -> RunRecord:
    """The parent run; it runs while its pulse is young."""
    return run(status, ago, now, **{"pulse": {"at": 5}, "command": COMMAND, "pid": "7", **tags})


def standing(*cells: tuple[CellRecord, RunRecord | None], driver: RunRecord | None = None) -> Standing:
    parents = (driver or sweep(),)
    return Standing("nightly", tuple(CellStanding(one, newest, parents) for one, newest in cells), parents)


def finished(name: str = "done", seconds: float = 60.0) -> tuple[CellRecord, RunRecord]:
    numbers = {"train__rows_per_second": 987.4, "test__macro_accuracy": 0.8123, "seconds": seconds}
    return cell(name, "FINISHED", **numbers), run("FINISHED")


def running(name: str = "runs", ago: float = 100.0, **pulse: Any) -> tuple[CellRecord, RunRecord]:
    return cell(name, "RUNNING"), run("RUNNING", ago, pulse={"at": 5, **pulse})


def waiting(name: str = "waits") -> tuple[CellRecord, None]:
    return cell(name), None
