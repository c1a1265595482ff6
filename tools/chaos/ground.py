"""The ground a trial stands on: a folder of its own, the one command that is asked again and again, and its processes.

Ground(folder).start() → a sweep under way; .run() → (exit code, what it said); .living() → processes it left
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
MARK = "RELEVANCE_CHAOS"  # in the environment of every process of a trial: who is ours
WAIT = 240  # seconds a sweep of four small cells may take, on a machine that does other things too
CELLS = ("routing=prefix,mh", "model=llm,ce")
SMALL = tuple(
    "data.rows=300 train.step_rows=32 trainer.max_epochs=6 checkpoint_steps=2 train.patience=0 threads=1 "
    "trainer.accelerator=cpu probes=false consistency=false save=none name=chaos".split()
)


@dataclass
class Ground:
    """One trial's folder and command."""

    folder: Path
    cells: tuple[str, ...] = CELLS
    heard: list[str] = field(default_factory=list)  # what earlier commands said
    wrong: list[str] = field(default_factory=list)  # what a disturbance saw that should not be

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.folder}/mlflow.db"

    @property
    def outputs(self) -> Path:
        return self.folder / "outputs"

    def command(self) -> list[str]:
        """The sweep, as a user would type it; run by a module that can put faults into its worker."""
        places = (f"outputs={self.outputs}", f"tracking_uri={self.uri}")
        return [sys.executable, "-m", "tools.chaos.sweep", "-m", *SMALL, *self.cells, *places]

    def start(self, **environment: str) -> subprocess.Popen:
        """The command, under way; what it says goes to said.txt."""
        known = {**os.environ, **environment, MARK: str(self.folder), "OMP_NUM_THREADS": "1"}
        if (self.folder / "said.txt").is_file():
            self.heard.append(self.said())
        with (self.folder / "said.txt").open("w") as file:
            return subprocess.Popen(self.command(), cwd=ROOT, stderr=file, stdout=file, env=known)

    def run(self, **environment: str) -> tuple[int, str]:
        """The command to its end: exit code and words."""
        code = self.start(**environment).wait(WAIT)
        return code, self.said()

    def said(self) -> str:
        return (self.folder / "said.txt").read_text()

    def until(self, words: str, process: subprocess.Popen) -> None:
        """Wait until it has said this, or has ended."""
        end = time.monotonic() + WAIT
        while words not in self.said() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)

    def living(self) -> list[psutil.Process]:
        """Processes of this trial."""
        processes = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == str(self.folder) and process.status() != psutil.STATUS_ZOMBIE:
                    processes.append(process)
            except psutil.Error:
                continue
        return processes

    def worker(self) -> psutil.Process | None:
        """The process that trains."""
        return next((p for p in self.living() if "tools.chaos.worker" in " ".join(p.cmdline())), None)

    def quiet(self, seconds: float = 12.0) -> list[str]:
        """What is left of the trial after waiting so long for it to end: nothing, if all is well."""
        end = time.monotonic() + seconds
        while self.living() and time.monotonic() < end:
            time.sleep(0.2)
        return [" ".join(process.cmdline())[:80] for process in self.living()]
