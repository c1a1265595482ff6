"""Let the finished cells of a sweep vote, and print what came of it.

python -m relevance.ensemble [sweep=NAME] [cells=[CELL,CELL,...]] [ties=higher] [output=FILE]

Votes of the mhp cells of a seed, of its prefix cells, of all its cells, and over the seeds of one cell: hard vote, mean
probability; the rate of ties, accuracy under every policy for them; how members differ.
Reads predictions only. The report has the same section.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relevance.cli import command_line, listed, run_command
from relevance.config import setting
from relevance.vote import DEFAULT, Ties, Vote


@dataclass
class Options:
    sweep: Any = setting(None, "name, or a list that is read as one sweep", null="the newest")
    cells: Any = setting(None, "finished cells that vote together, named as in predict", null="the groups above")
    output: str | None = setting(
        None,
        "FILE.parquet for the votes of `cells`, in the form of a cell's predictions",
    )
    vote: Vote = setting(Vote.majority, "which of the two `output` holds; p_* of the majority are shares of votes")
    ties: Ties = setting(DEFAULT, "which label a row gets whose most frequent labels are equally frequent")
    tracking_uri: str = setting("sqlite:///mlflow.db", "MLflow's store")
    experiment: str = setting("relevance", "MLflow's experiment")
    outputs: str = setting("outputs", "folder of cells")


@command_line(__doc__, Options)
def ensemble(options: Options) -> None:
    from relevance.report.sections.votes import votes_page
    from relevance.tracking.history import sweep_record

    cells = None if options.cells is None else listed("cells", options.cells)
    place = options.tracking_uri, options.experiment, Path(options.outputs)
    sweep = sweep_record(*place, listed("sweep", options.sweep))
    print(votes_page(sweep, cells, options.ties, options.output, options.vote))


if __name__ == "__main__":
    run_command(ensemble)
