"""python -m chaos [kills=N] [seed=S] [output=FILE]: disturb sweeps, ask again, check; a table (make chaos, ≤ 15 min).

Exit code 1 where something was lost, repeated wrongly or left alive.
"""

import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

from chaos import trials
from chaos.ground import Ground
from relevance.commands import main, parse, say

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
    chance, started, rows = Random(options.seed), time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        calm = Ground(_folder(Path(name), "calm"))
        code, said = calm.run()
        if code:
            raise RuntimeError(f"the undisturbed sweep ended with code {code}:\n{said}")
        for number, (fault, disturbances) in enumerate(_planned(options)):
            if time.monotonic() - started > options.limit:
                rows.append((fault, "not tried: the time was up", "—", "—", "—"))
                continue
            rows.append(_trial(fault, disturbances, Ground(_folder(Path(name), str(number))), calm, chance))
            say(" | ".join(rows[-1]))
    return rows


def _planned(options: Options) -> list[tuple[str, list[trials.Trial]]]:
    planned = [
        ("SIGTERM of the sweep", [trials.terminate]),
        ("exception, sys.exit, out of memory, SIGKILL", [trials.faults("exception", "leave", "memory", "killed")]),
        ("segmentation fault, NaN, SIGTERM of the worker", [trials.faults("crash", "nan", "stopped")]),
        ("torn checkpoint", [trials.torn_checkpoint]),
        ("locked store", [trials.locked_store]),
        ("lost store", [trials.lost_store]),
    ]
    planned += [("full file system", [trials.full_disk])] if trials.can_mount() else []
    kills = ("kill -9 of a worker, then of its sweep, and again", [trials.kill_both, trials.kill_both])
    planned += [kills] * (options.kills // 4)
    return [one for one in planned if options.only in (None, one[0])]


def _trial(fault: str, disturbances: list, ground: Ground, calm: Ground, chance: Random) -> tuple[str, ...]:
    from chaos.invariants import broken, repeated

    started = time.monotonic()
    try:
        moments = [disturb(ground, chance) for disturb in disturbances]
        code, said = ground.run()
        wrong = [*([] if code == 0 else [f"asked again: code {code}, {said.splitlines()[-1]}"]), *broken(ground, calm)]
        again = repeated(ground)
    finally:
        trials.unmount(ground)
    if wrong:
        kept = Path(tempfile.mkdtemp(prefix="chaos-broken-"))
        shutil.copytree(ground.folder, kept, dirs_exist_ok=True)
        say(f"{fault}: {'; '.join(wrong)}; its folder is kept: {kept}")
    return fault, "; then ".join(moments), "; ".join(wrong) or "nothing", again, f"{time.monotonic() - started:.0f}"


def _folder(root: Path, name: str) -> Path:
    (root / name).mkdir()
    return root / name


def table(rows: list[tuple[str, ...]]) -> str:
    """The rows as Markdown."""
    lines = [HEAD, tuple("---" for _ in HEAD), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines) + "\n"


def run() -> None:
    options = parse(Options, sys.argv[1:])
    rows = campaign(options)
    text = table(rows)
    print(text, end="")
    if options.output:
        Path(options.output).write_text(text, encoding="utf-8")
    sys.exit(any(row[2] != "nothing" for row in rows))


if __name__ == "__main__":
    main(run)
