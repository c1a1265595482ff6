"""Let the finished cells of a sweep vote, and print what came of it.

python -m relevance.ensemble [sweep=NAME] [cells=[CELL,CELL,...]] [ties=higher]

Votes of the mhp cells of a seed, of its prefix cells, of all its cells, and over the seeds of one cell: hard vote, mean
probability; the rate of ties, accuracy under every policy for them; how members differ.
Reads predictions only. The report has the same section.

sweep    null: the newest; a list is read as one
cells    names of finished cells of the sweep that vote together, instead of the groups above
output   FILE.parquet for the votes of `cells`, in the form of a cell's predictions
ties     higher | lower | median | best_validation | mean_probability | abstain
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relevance.cli import command_line, listed, run_command
from relevance.vote import DEFAULT, Ties


@dataclass
class Options:
    """Which cells, how ties are settled; then where to look."""

    sweep: Any = None
    cells: Any = None
    output: str | None = None
    ties: Ties = DEFAULT
    tracking_uri: str = "sqlite:///mlflow.db"
    experiment: str = "relevance"
    outputs: str = "outputs"


@command_line(__doc__, Options)
def ensemble(options: Options) -> None:
    from relevance.report.sections.ensembles import votes_page
    from relevance.tracking.history import sweep_record

    cells = None if options.cells is None else listed("cells", options.cells)
    place = options.tracking_uri, options.experiment, Path(options.outputs)
    print(votes_page(sweep_record(*place, listed("sweep", options.sweep)), cells, options.ties, options.output))


if __name__ == "__main__":
    run_command(ensemble)
