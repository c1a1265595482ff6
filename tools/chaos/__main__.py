"""python -m tools.chaos [kills=N] [seed=S] [output=FILE]: disturb sweeps, ask again, check (make chaos).

Prints a table, within 15 minutes. Exit code 1 where something was lost, repeated wrongly or left alive.
"""

import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

from relevance.cli import command_line, echo, run_command
from tools.chaos.ground import Ground
from tools.chaos.invariants import broken, repeated
from tools.chaos.trials import (
    Trial,
    can_mount,
    faults,
    full_disk,
    kill_both,
    locked_store,
    lost_store,
    terminate,
    torn_checkpoint,
    unmount,
)

HEAD = ("fault", "moment", "lost", "done again", "seconds")


@dataclass
class Options:
    kills: int = 20  # half of workers, half of their sweeps, four in a row before what is left is checked
    seed: int = 0  # of the moments
    only: str | None = None  # name of one trial
    output: str | None = None  # file for the table, beside the terminal
    limit: float = 840  # seconds after which no further trial begins


def campaign(options: Options) -> list[tuple[str, ...]]:
    """A row for each trial."""
    chance, started = Random(options.seed), time.monotonic()
    rows: list[tuple[str, ...]] = []
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        calm = Ground(_folder(Path(name), "calm"))
        code, output = calm.run()
        if code:
            raise RuntimeError(f"the undisturbed sweep ended with code {code}:\n{output}")
        for number, (fault, disturbances) in enumerate(_planned(options)):
            if time.monotonic() - started > options.limit:
                rows.append((fault, "not tried: the time was up", "—", "—", "—"))
                continue
            rows.append(_trial(fault, disturbances, Ground(_folder(Path(name), str(number))), calm, chance))
            echo(" | ".join(rows[-1]))
    return rows


def _planned(options: Options) -> list[tuple[str, list[Trial]]]:
    planned: list[tuple[str, list[Trial]]] = [
        ("SIGTERM of the sweep", [terminate]),
        ("exception, sys.exit, out of memory, SIGKILL", [faults("exception", "leave", "memory", "killed")]),
        ("segmentation fault, NaN, SIGTERM of the worker", [faults("crash", "nan", "stopped")]),
        ("torn checkpoint", [torn_checkpoint]),
        ("locked store", [locked_store]),
        ("lost store", [lost_store]),
    ]
    planned += [("full file system", [full_disk])] if can_mount() else []
    kills = "kill -9 of a worker, then of its sweep, and again"
    planned += [(kills, [kill_both, kill_both]) for _ in range(options.kills // 4)]
    return [trial for trial in planned if options.only in (None, trial[0])]


def _trial(fault: str, disturbances: list[Trial], ground: Ground, calm: Ground, chance: Random) -> tuple[str, ...]:
    started = time.monotonic()
    try:
        moments = [disturb(ground, chance) for disturb in disturbances]
        code, output = ground.run()
        wrong = [
            *([] if code == 0 else [f"run again: code {code}, {output.splitlines()[-1]}"]),
            *broken(ground, calm),
        ]
        again = repeated(ground)
    finally:
        unmount(ground)
    if wrong:
        copy = Path(tempfile.mkdtemp(prefix="chaos-broken-"))
        shutil.copytree(ground.folder, copy, dirs_exist_ok=True)
        echo(f"{fault}: {'; '.join(wrong)}; a copy of its folder: {copy}")
    return fault, "; then ".join(moments), "; ".join(wrong) or "nothing", again, f"{time.monotonic() - started:.0f}"


def _folder(root: Path, name: str) -> Path:
    (root / name).mkdir()
    return root / name


def table(rows: list[tuple[str, ...]]) -> str:
    """The rows as Markdown."""
    lines = [HEAD, tuple("---" for _ in HEAD), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines) + "\n"


@command_line(__doc__, Options)
def run(options: Options) -> None:
    rows = campaign(options)
    text = table(rows)
    print(text, end="")
    if options.output:
        Path(options.output).write_text(text, encoding="utf-8")
    sys.exit(any(row[2] != "nothing" for row in rows))


if __name__ == "__main__":
    run_command(run)
