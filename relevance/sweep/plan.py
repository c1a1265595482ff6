"""What is to be done with each cell that was asked for, why, and about how long it will take.

cells, what MLflow and their folders know → Step(cell, skip=False, why="goes on from step 40: was cut off"), …
[Cell, Cell], earlier runs, else the backbone's size and this machine → 154.0 seconds, "from earlier cells"
"""

import re
import time
from dataclasses import dataclass, replace

import numpy as np

from relevance.cell_id import NUMERICS, Cell, full_name, git_commit
from relevance.config import Family
from relevance.errors import UserError
from relevance.model.backbone import backbone_folder, body_parameters
from relevance.tracking import Record, Store
from relevance.tracking.records import MlflowRun, RunData
from relevance.train.cell import threads

NAME_DIGEST = re.compile(r"@[0-9a-f]{8}")  # of data or backbone, in a cell's name
ROW_TOKENS = 24  # of a short pair; only for the guess without history
RATE_SHARE = 0.25  # of the machine's matmul rate that training a small model reaches


@dataclass(frozen=True)
class Step:
    """One cell, whether it is passed over, and the line that says why."""

    cell: Cell
    skip: bool
    why: str


def plan(cells: list[Cell], store: Store) -> list[Step]:
    """A step for each cell, in their order. A cell that finished is done again only with rerun=true."""
    runs = store.runs("tags.kind = 'cell'")
    done = store.finished(cells, runs)
    steps = [_step(cell, done.get(cell.fingerprint), runs) for cell in cells]
    return [replace(step, why=step.why + _merged(step.cell)) for step in steps]


def _merged(cell: Cell) -> str:
    return f" (asked for {cell.asked} times, run once)" if cell.asked > 1 else ""


def _step(cell: Cell, finished: MlflowRun | None, runs: list[MlflowRun]) -> Step:
    if cell.refusal:
        return Step(cell, True, f"refused: {cell.refusal}")
    if cell.config.rerun:
        return Step(cell, False, "from the start, as rerun=true asks")
    if finished:
        return Step(cell, True, f"finished before, not trained again{_since(cell, finished)}")
    return Step(cell, False, _cut_off(cell) or _changed(cell, runs))


def _since(cell: Cell, run: MlflowRun) -> str:
    """What differs from the time the finished cell ran and could matter, though it is no part of the question."""
    config = cell.config
    params = {"threads": str(threads(config)), "probes": str(config.probes), "consistency": str(config.consistency)}
    now = {"code commit": git_commit()["git_commit"][:8], **params}
    then = {"code commit": run.data.tags.get("git_commit", "")[:8]}
    then |= {key: run.data.params.get(key, "") for key in params}
    differing = [f"{key} {then[key] or 'unknown'} then, {now[key]} now" for key in now if now[key] != then[key]]
    return f" ({'; '.join(differing)}; rerun=true trains it anew)" if differing else ""


def _cut_off(cell: Cell) -> str:
    """What the folder of an earlier attempt says; "" where there is none."""
    record = Record(cell.work)
    try:
        if not record.exists():
            return ""
    except UserError as error:  # the cell fails with it, the others train
        return str(error)
    status, kept = record.ended(), record.last("kept").get("step", 0)
    if status == "FINISHED":
        return "was cut off after its last line; only its folder is put in place"
    before = {"FAILED": f"failed before ({record.tags().get('reason')})", "KILLED": "was stopped"}.get(status)
    return f"{before or 'was cut off'}; {f'goes on from step {kept}' if kept else 'tried again from the start'}"


def _changed(cell: Cell, runs: list[MlflowRun]) -> str:
    """Why a cell without a run, or whose run cannot be used, is new."""
    same = [run for run in runs if run.data.tags["fingerprint"] == cell.fingerprint]
    if any(run.info.status == "FINISHED" for run in same):
        gone = "its model was not saved, or is gone" if cell.files.test.is_file() else "its files are gone"
        return f"finished before, but {gone}; trained again"
    if same:
        return f"{same[0].info.status.lower()} before, of which nothing is left; trained again"
    namesake = _namesake(cell, runs)
    if namesake is None:
        return "new"
    if (numerics := namesake.tags.get("numerics", "1")) != str(NUMERICS):
        return f"new: numerics {NUMERICS}, was {numerics}"
    now = {"data digest": cell.data_digest[:16], "backbone digest": cell.backbone_digest[:16]}
    then = {key: namesake.params.get(key.replace(" ", "_"), "") for key in now}
    changed = [f"{key} changed ({then[key][:8]} then, {now[key][:8]} now)" for key in now if then[key] != now[key]]
    revision = namesake.params.get("revision")
    if revision and then["backbone digest"] != now["backbone digest"]:
        changed.append(f"model.revision={revision} is what it was at then")
    return f"new: {', '.join(changed) or 'settings that are no part of its name changed'}"


def _namesake(cell: Cell, runs: list[MlflowRun]) -> RunData | None:
    """What is known of the newest run of a cell that is called the same but for digests; None where there is none."""
    asked = NAME_DIGEST.sub("", full_name(cell.config, cell.variant))
    names = (NAME_DIGEST.sub("", run.data.tags.get("cell", run.info.run_name)) for run in runs)
    return next((run.data for run, name in zip(runs, names, strict=True) if name == asked), None)


def duration(cells: list[Cell], finished: list[MlflowRun]) -> tuple[float, str]:
    """Seconds for all `cells`, and where the figure comes from; `finished` are runs of cells, newest first."""
    paces = [_remembered(cell, finished) for cell in cells]
    known = [pace for pace in paces if pace]
    if len(known) == len(cells):
        return sum(_rows(cell) * pace for cell, pace in zip(cells, known, strict=True)), "from earlier cells"
    speed = _matmul_rate() * RATE_SHARE
    guessed = [_rows(cell) * (pace or _flops(cell) / speed) for cell, pace in zip(cells, paces, strict=True)]
    return sum(guessed), "guessed from the backbones' sizes and this machine's speed"


def _remembered(cell: Cell, finished: list[MlflowRun]) -> float | None:
    """Seconds a trained row took in the newest cell of this model, on this routing where there is one."""
    same = [run for run in finished if run.data.tags["model"] == cell.config.model.name]
    same = [run for run in same if run.data.params.get("backbone_digest") == cell.backbone_digest[:16]]
    same.sort(key=lambda run: run.data.tags["routing"] != cell.config.routing.name)  # stable: newest first
    metrics = same[0].data.metrics if same else {}
    rows, seconds = metrics.get("train/rows"), metrics.get("seconds")
    return seconds / rows if rows and seconds else None


def _rows(cell: Cell) -> int:
    """How many rows the cell trains on at most."""
    rows, steps = cell.train_rows * cell.config.trainer.max_epochs, cell.config.trainer.max_steps
    return rows if steps < 0 else min(rows, steps * cell.config.train.step_rows)


def _flops(cell: Cell) -> float:
    """Of training one short row: two per weight and token forward, four backward (two where weights are frozen)."""
    factor = 6 if cell.config.model.family is Family.ce else 4
    return factor * ROW_TOKENS * body_parameters(backbone_folder(cell.config))


def _matmul_rate() -> float:
    """Floating-point operations a second that numpy reaches here on a square product; takes a tenth of a second."""
    size, a = 512, np.ones((512, 512), np.float32)
    started, rounds = time.perf_counter(), 0
    while time.perf_counter() - started < 0.1:
        a @ a
        rounds += 1
    return rounds * 2 * size**3 / (time.perf_counter() - started)
