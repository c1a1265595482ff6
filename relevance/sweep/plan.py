"""What a sweep will do: skip a cell, go on with it or train it anew, why, and how long that should take.

cells, what MLflow and their folders know → Step(cell, skip=False, why="goes on from step 40: was cut off"), …
"""

import re
import time
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from relevance.cell_id import NUMERICS, Cell, full_name, git_commit
from relevance.cli import duration_text
from relevance.config import Family
from relevance.errors import UserError
from relevance.model.backbone import backbone_folder, body_parameters
from relevance.predictions import cell_fault
from relevance.tracking import Record, Store
from relevance.tracking.liveness import Life, life
from relevance.tracking.records import MlflowRun, RunData, numbers
from relevance.train.cell import threads

NAME_DIGEST = re.compile(r"@[0-9a-f]{8}")  # of data or backbone, in a cell's name
ROW_TOKENS = 24  # of a short pair; only for the guess without history
RATE_SHARE = 0.25  # of the machine's matmul rate that training a small model reaches


@dataclass(frozen=True)
class Step:
    """A cell, whether it is skipped, and the line that says why."""

    cell: Cell
    skip: bool
    why: str


def plan(cells: list[Cell], store: Store) -> list[Step]:
    """A step for each cell, in their order. A cell that finished is done again only with rerun=true."""
    runs = store.runs("tags.kind = 'cell'")
    done = store.finished(cells, runs)
    steps = []
    for cell in cells:
        finished = None if cell.config.rerun else done.get(cell.fingerprint)
        if cell.refusal:
            why = f"refused: {cell.refusal}"
        elif cell.config.rerun:
            why = "from the start, as rerun=true asks"
        elif finished:
            why = f"finished before, not trained again{_since(cell, finished)}"
        else:
            why = _cut_off(cell) or _changed(cell, runs)
        times = f" (asked for {cell.asked} times, run once)" if cell.asked > 1 else ""
        steps.append(Step(cell, bool(cell.refusal or finished), why + times))
    return steps


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
    status, step = record.ended(), record.last("kept").get("step", 0)
    if status == "FINISHED":
        return "was cut off after its last line; only its folder is put in place"
    if not status and life(record.tags(), time.time()) is Life.alive:
        return f"is in training by process {record.tags()['pid']}, which is waited for"
    before = {"FAILED": f"failed before ({record.tags().get('reason')})", "KILLED": "was stopped"}.get(status)
    return f"{before or 'was cut off'}; {f'goes on from step {step}' if step else 'tried again from the start'}"


def _changed(cell: Cell, runs: list[MlflowRun]) -> str:
    """Why a cell without a run, or whose run cannot be used, is new."""
    same = [run for run in runs if run.data.tags["fingerprint"] == cell.fingerprint]
    if any(run.info.status == "FINISHED" for run in same):
        damage = cell_fault(cell.files) if cell.files.test.is_file() else "its files are gone"
        return f"finished before, but {damage or 'its model was not saved, or is gone'}; trained again"
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
    wanted = NAME_DIGEST.sub("", full_name(cell.config, cell.variant))
    names = (NAME_DIGEST.sub("", run.data.tags.get("cell", run.info.run_name)) for run in runs)
    return next((run.data for run, name in zip(runs, names, strict=True) if name == wanted), None)


@dataclass
class Progress:
    """How far the cells that were to be trained are."""

    seconds: dict[str, float]  # that each should take alone, by fingerprint
    began: float = field(default_factory=time.monotonic)
    ended: set[str] = field(default_factory=set)

    def after(self, cell: Cell) -> list[str]:
        """A line for when `cell` has ended, by the clock of those before it; none where it was the last."""
        self.ended.add(cell.fingerprint)
        left = sum(seconds for key, seconds in self.seconds.items() if key not in self.ended)
        if len(self.ended) == len(self.seconds):
            return []
        pace = (time.monotonic() - self.began) / (sum(self.seconds.values()) - left)
        return [f"{len(self.ended)} of {len(self.seconds)} done, about {duration_text(left * pace)} left"]


def durations(cells: list[Cell], finished: list[MlflowRun]) -> tuple[list[float], str]:
    """Seconds of each of `cells`, and where they come from; `finished` are runs of cells, newest first."""
    paces = [_remembered(cell, finished) for cell in cells]
    known = [pace for pace in paces if pace]
    if len(known) == len(cells):
        return [_rows(cell) * pace for cell, pace in zip(cells, known, strict=True)], "from earlier cells"
    seconds, speed = [], _matmul_rate() * RATE_SHARE
    for cell, pace in zip(cells, paces, strict=True):
        # two operations per weight and token forward, four backward (two where weights are frozen)
        factor = ROW_TOKENS * (6 if cell.config.model.family is Family.ce else 4)
        seconds.append(_rows(cell) * (pace or factor * body_parameters(backbone_folder(cell.config)) / speed))
    return seconds, "guessed from the backbones' sizes and this machine's speed"


def _remembered(cell: Cell, finished: list[MlflowRun]) -> float | None:
    """Seconds a trained row took in the newest cell of this model, on this routing where there is one."""
    same = [run for run in finished if run.data.tags.get("model") == cell.config.model.name]
    same = [run for run in same if run.data.params.get("backbone_digest") == cell.backbone_digest[:16]]
    same.sort(key=lambda run: run.data.tags.get("routing") != cell.config.routing.name)  # stable: newest first
    known = numbers(same[0].data) if same else {}
    rows, seconds = known.get("train/rows"), known.get("seconds")
    return seconds / rows if rows and seconds else None


def _rows(cell: Cell) -> int:
    """How many rows the cell trains on at most."""
    rows, steps = cell.train_rows * cell.config.trainer.max_epochs, cell.config.trainer.max_steps
    return rows if steps < 0 else min(rows, steps * cell.config.train.step_rows)


@cache
def _matmul_rate() -> float:
    """Floating-point operations a second that numpy reaches here on a square product; takes a tenth of a second."""
    size, a = 512, np.ones((512, 512), np.float32)
    started, rounds = time.perf_counter(), 0
    while time.perf_counter() - started < 0.1:
        a @ a
        rounds += 1
    return rounds * 2 * size**3 / (time.perf_counter() - started)
