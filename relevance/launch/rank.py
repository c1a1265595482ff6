"""python -m relevance.launch.rank FOLDER: one of the processes that torchrun starts for a cell of several devices.

FOLDER/job.json → the cell's files and record by rank 0, FOLDER/error-<rank>.json where the cell failed
"""

import json
import os
import sys
import time
import traceback
from pathlib import Path

from relevance.launch.orphan import die_with_parent
from relevance.launch.signs import hold


def main(folder: Path) -> None:
    die_with_parent(int(os.environ["RELEVANCE_PARENT"]))
    hold(folder)
    code = 0
    try:
        _train(folder)
    except BaseException as error:
        _tell(error, folder)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # no tidy end: libraries wait for ranks that are gone, or abort over threads that still run


def _train(folder: Path) -> None:
    from relevance import group
    from relevance.cell import train_cell
    from relevance.job import thaw
    from relevance.launch.meeting import agree, join, leave
    from relevance.launch.mute import Mute
    from relevance.tracking import CellRun

    job = thaw((folder / "job.json").read_text())
    join(job.cell.config.trainer)
    agree(job.cell)
    train_cell(job.cell, CellRun(None, job.cell.work) if group.first() else Mute())
    leave()


def _tell(error: BaseException, folder: Path) -> None:
    from relevance.errors import UserError, first_line

    own = isinstance(error, UserError)
    reason = str(error) if own else f"{type(error).__name__}: {first_line(error)}"
    told = {"reason": reason, "traceback": traceback.format_exc(), "time": time.time()}
    file = folder / f"error-{os.environ['RANK']}.json"
    file.with_suffix(".part").write_text(json.dumps(told))
    file.with_suffix(".part").replace(file)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
