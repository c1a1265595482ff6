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

sweep      null: the one asked for last; a list is read as one
watch      null: live where that makes sense; true: until no cell waits or runs, into a pipe too; false: one look
seconds    between two looks
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relevance.cli import command_line, echo, listed, run_command
from relevance.errors import UserError

SECONDS = (0.1, 3600.0)


@dataclass
class Options:
    sweep: Any = None
    watch: bool | None = None
    seconds: float = 2.0
    tracking_uri: str = "sqlite:///mlflow.db"
    experiment: str = "relevance"
    outputs: str = "outputs"


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
