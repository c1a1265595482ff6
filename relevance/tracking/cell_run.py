"""What a cell in training logs: to nobody, to its record, or to its record and, by a thread, to MLflow.

rank 1 of a cell: CellLog    rank 0: RecordedRun    a cell in one process, and the process that holds ranks: CellRun

Training waits for no store: one that is locked, slow or gone gets the rest from the next command.
"""

import json
import math
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from relevance.atomic_io import write_text
from relevance.cli import echo
from relevance.errors import UserError
from relevance.tracking.liveness import held_by
from relevance.tracking.record import Record, deliver
from relevance.tracking.store import Run, Store, reason, unreached

PULSE = 10.0  # seconds between two signs of life, and between two tries to reach a store
GLANCE = 0.02  # seconds between two looks at whether a store was tried
PATIENCE = 60.0  # seconds a finished cell waits for a store to take the rest of its record


class CellLog:
    """What a cell in training logs. This one writes nothing: it is that of every rank but the first."""

    @property
    def run_id(self) -> str:
        """MLflow's id of the run; "" while no store has heard of it."""
        return ""

    def log(self, metrics: dict[str, float], step: int = 0) -> None:
        """Metrics of a step."""

    def params(self, params: dict[str, Any]) -> None:
        self._write("params", params={key: str(value) for key, value in params.items()})

    def tag(self, key: str, value: str) -> None:
        self._write("tags", tags={key: value})

    def text(self, text: str, name: str) -> None:
        self._write("text", text=text, name=name)

    def model(self, folder: str, task: str) -> None:
        """Log the model in `folder`, within that of the record, as a model that MLflow serves."""
        self._write("model", folder=folder, task=task)

    def checkpointed(self, step: int) -> None:
        """A checkpoint of `step` is in its place."""
        self._write("kept", step=step)

    def tell(self, **progress: float) -> None:
        """How far the cell is: a sign of life, of which the newest counts."""

    def _write(self, name: str, /, **values: Any) -> None:
        """An event of the record."""


class RecordedRun(CellLog):
    """Writes the record alone, as rank 0 does: the process that opened the run carries it to MLflow."""

    def __init__(self, folder: Path):
        self.record = Record(folder)
        self._beat = 0.0

    def log(self, metrics: dict[str, float], step: int = 0) -> None:
        """Metrics of a step, each once: a cell that goes on from a checkpoint, or begins again, says some again.

        Raises FloatingPointError where one is no number: MLflow would keep infinity as 1.8e308.
        """
        wrong = [f"{key} is {float(value)}" for key, value in metrics.items() if not math.isfinite(value)]
        if wrong:
            raise FloatingPointError(f"{', '.join(wrong)} at step {step}")
        new = {key: float(value) for key, value in metrics.items() if (key, step) not in self._known}
        self._known.update((key, step) for key in new)
        if new:
            self._write("log", metrics=new, step=step, at=_now())

    def tell(self, **progress: float) -> None:
        if time.monotonic() - self._beat >= PULSE:
            self._beat = time.monotonic()
            write_text(self.record.files.progress, json.dumps(progress))

    @cached_property
    def _known(self) -> set[tuple[str, int]]:
        return self.record.points()

    def _write(self, name: str, /, **values: Any) -> None:
        self.record.append(name, **values)


class CellRun(RecordedRun):
    """Writes the record and carries it to MLflow. Closed by `end`, after which `carry` hands over the rest."""

    def __init__(self, store: Store, folder: Path):
        super().__init__(folder)
        self.progress: dict[str, float] = {"step": 0}  # as relevance.tracking.liveness reads it
        self._courier = _Courier(store, self)

    @property
    def run_id(self) -> str:
        return self._courier.run_id

    def open(self, name: str, tags: dict[str, str]) -> "CellRun":
        """Begin a run, or go on with the one whose record lies in the folder."""
        self.record.folder.mkdir(parents=True, exist_ok=True)
        self.record.files.progress.unlink(missing_ok=True)  # of earlier ranks: this attempt may have none
        if not self.record.exists():
            self._write("start", name=name, tags={**tags, **held_by(), "record": uuid.uuid4().hex}, at=_now())
        elif self.record.ended() != "FINISHED":
            self.record.mend()
            self._write("reopen", tags={**held_by(), "reason": ""})
        self._courier.start()
        return self

    def data(self, name: str, digest: str, kind: str) -> None:
        self._write("data", name=name, digest=digest, kind=kind)

    def log(self, metrics: dict[str, float], step: int = 0) -> None:
        self._courier.check()
        super().log(metrics, step)

    def finish(self) -> None:
        """End as FINISHED what a store took, or will take later; UserError for what it refuses to take."""
        self._courier.hand_over(PATIENCE)
        self._courier.check()
        self.end("FINISHED")

    def end(self, status: str) -> None:
        self._write("end", status=status, at=_now())

    def fail(self, reason: str, trace: str) -> None:
        """End as FAILED, by the record or, where that has no room or is refused, straight in MLflow."""
        if self._courier.refusal:
            self._courier.straight = {"reason": reason}
        try:
            self.text(trace, "traceback.txt")
            self.tag("reason", reason)
            self.end("FAILED")
        except OSError as error:
            echo(f"{self.record.path}: {error.strerror}; how the cell ended is said to MLflow alone")
            self._courier.straight = {"reason": reason}

    def tell(self, **progress: float) -> None:
        self.progress = progress

    @contextmanager
    def moving(self, folder: Path) -> Iterator[None]:
        """Within it the record's folder is renamed to `folder`: nothing is carried from it meanwhile."""
        with self._courier.reading:
            yield
            self.record.folder = folder

    def carry(self, patience: float | None = None) -> None:
        """Hand over what the store has not heard yet; after `patience` seconds it is left to the next command."""
        if failure := self._courier.close(PATIENCE if patience is None else patience):
            echo(f"{self.record.path}: MLflow has not heard all of it ({failure}); the next command delivers it")

    def _write(self, name: str, /, **values: Any) -> None:
        super()._write(name, **values)
        self._courier.wake.set()


class _Courier(threading.Thread):
    """Carries the record to MLflow as it grows, and a sign of life; a store that fails is tried again later."""

    def __init__(self, store: Store, cell: CellRun):
        super().__init__(name="courier", daemon=True)
        self.store, self.cell, self.run_id = store, cell, ""
        self.wake, self.closing, self.reading = threading.Event(), threading.Event(), threading.Lock()
        self.failure, self.abandoned, self.beat = "", False, 0.0
        self.refusal: Exception | None = None  # what no later try mends by itself
        self.rounds_due = self.rounds = 0  # times that what was written so far had to be handed over, and was tried to
        self.straight: dict[str, str] = {}  # tags of a failure for which the record has no room

    def run(self) -> None:
        last = False
        while not last:
            last, due = self.closing.is_set(), self.rounds_due  # one more round after it, for what was written before
            self._round()
            self.rounds = due
            if not last and (self.closing if self.failure else self.wake).wait(PULSE):
                self.wake.clear()

    def hand_over(self, patience: float) -> None:
        """Wait until the store was tried with all that was written; not for one that does not answer."""
        self.rounds_due += 1
        self.wake.set()
        ends = time.monotonic() + patience
        while self.rounds < self.rounds_due and not self.failure and time.monotonic() < ends:
            time.sleep(GLANCE)

    def check(self) -> None:
        """UserError where something was refused."""
        if self.refusal:
            raise UserError(
                f"{self.store.shown}: does not take its record: {_text(self.refusal)}; mend that and give the command "
                "again, which goes on from here"
            ) from self.refusal

    def close(self, patience: float) -> str:
        """The reason why something is left, "" where nothing is."""
        self.closing.set()
        self.wake.set()
        self.join(patience)
        self.abandoned = True
        return self.failure or (f"no answer in {patience:.0f} s" if self.is_alive() else "")

    def _round(self) -> None:
        try:
            self._try()
            self.failure = ""
        except Exception as error:  # whatever a store does, the cell goes on
            if not unreached(error):
                self.refusal = error
            elif not self.failure:
                echo(f"{self.store.shown}: not reached ({_text(error)}); training goes on, its record waits for it")
            self.failure = _text(error)

    def _try(self) -> None:
        if not self.refusal:
            try:
                self._deliver()
            except Exception as error:
                if unreached(error):
                    raise
                self._deliver()  # of a run that a person removed meanwhile another is made
        if self.straight and self.closing.is_set():
            run = Run(self.store, self.run_id)
            run.tags(self.straight)
            run.end("FAILED")

    def _progress(self) -> dict[str, float]:
        file = self.cell.record.files.progress
        return json.loads(file.read_text()) if file.is_file() else self.cell.progress

    def _deliver(self) -> None:
        with self.reading:
            self.run_id = deliver(self.store, self.cell.record, abandoned=lambda: self.abandoned) or self.run_id
        if time.monotonic() - self.beat >= PULSE:
            pulse = {"at": time.time(), **self._progress()}
            self.store.client.set_tag(self.run_id, "pulse", json.dumps(pulse))
            self.beat = time.monotonic()


def _text(error: Exception) -> str:
    return reason(error) if isinstance(error, UserError) else f"{type(error).__name__}: {reason(error)}"


def _now() -> int:
    return int(time.time() * 1000)
