"""Show where a sweep stands: its cells, which of them run and where, how far they are, and why some did not finish.

python -m relevance.status [sweep=NAME] [watch=false]

At a terminal the table is live while something runs, and ends by itself; Ctrl-C (code 130) ends the looking, not the
sweep. Into a pipe goes one plain table, a line a cell. Reads MLflow only.

waiting    not tried yet, or to be tried again
running    host, process, epoch, rows a second, time left, as it last said
finished   with its macro accuracy on test
failed     with the first line of the reason
killed     ended by Ctrl-C or a signal, or found dead by a later command
dead       its process is gone (on another host: silent for ten minutes), the same command goes on with it
missing    finished, and its predictions are gone
refused    cannot be trained, with the reason
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relevance.cli import command_line, echo, listed, run_command
from relevance.config import setting
from relevance.errors import UserError

SECONDS = (0.1, 3600.0)


@dataclass
class Options:
    sweep: Any = setting(None, "name, or a list that is read as one", null="the one asked for last")
    watch: bool | None = setting(
        None,
        "true: until no cell waits or runs, into a pipe too; false: one look",
        null="live where that makes sense",
    )
    seconds: float = setting(2.0, "between two looks")
    tracking_uri: str = setting("sqlite:///mlflow.db", "MLflow's store")
    experiment: str = setting("relevance", "MLflow's experiment")
    outputs: str = setting("outputs", "folder of cells")


@command_line(__doc__, Options)
def status(options: Options) -> None:
    if not SECONDS[0] <= options.seconds <= SECONDS[1]:
        raise UserError(f"seconds={options.seconds}: give a number from {SECONDS[0]} to {SECONDS[1]:.0f}")
    from relevance.status.show import show  # rich and MLflow, which --help does without
    from relevance.status.table import Looks
    from relevance.tracking.liveness import is_starting

    names, outputs = listed("sweep", options.sweep), Path(options.outputs)
    if starts := is_starting(outputs):
        echo("a sweep starts: its pairs are prepared, and its cells are not known yet")
    try:
        looks = Looks(options.tracking_uri, options.experiment, outputs, names)
        show(looks.look, options.watch, options.seconds)
    except UserError:
        if not starts or names:
            raise


if __name__ == "__main__":
    run_command(status)
