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

import numpy as np

from relevance import predictions
from relevance.cli import among, command_line, listed, run_command
from relevance.errors import UserError
from relevance.pages.text import markdown
from relevance.report.ensembles import ASKED, LEAST, METHODS, Ballot, Group, ballot, mean_probabilities
from relevance.report.matrix import MainRows, Matrix, matrices
from relevance.report.sections.ensembles import ensembles_section, rows_of, voted
from relevance.tasks import TASK_NAMES
from relevance.tracking.history import sweep_record
from relevance.tracking.records import SweepRecord
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
    cells = None if options.cells is None else listed("cells", options.cells)
    place = options.tracking_uri, options.experiment, Path(options.outputs)
    print(votes_page(sweep_record(*place, listed("sweep", options.sweep)), cells, options.ties, options.output))


def votes_page(sweep: SweepRecord, cells: list[str] | None, ties: Ties, output: str | None) -> str:
    """What came of the votes; UserError for cells that are not there, unfinished, or not asked the same rows."""
    if output and ties is Ties.abstain:
        raise UserError(f"output={output}: ties=abstain leaves rows without a label; choose another policy for a file")
    if output and cells is None:
        raise UserError(f"output={output}: is for the votes of cells=[CELL,CELL,...]; name them")
    found = matrices(sweep)
    if cells is None:
        sections = [one for matrix in found for one in ensembles_section(matrix, voted(MainRows(matrix), ties), ties)]
        if not sections:
            raise UserError(f"sweep {sweep.name}: no two cells of one task mix and variant finished")
        return markdown(f"Votes: {sweep.name}", sections)
    matrix, group = _group(found, cells)
    one = ballot(group, matrix.tested, ties)
    if output:
        _write(one, matrix, Path(output))
    return markdown(f"Votes: {sweep.name}", ensembles_section(matrix, rows_of([[one]], matrix), ties))


def _group(found: list[Matrix], names: list[str]) -> tuple[Matrix, Group]:
    done = {
        cell.cell: (matrix, cell, answers)
        for matrix in found
        for row in matrix.rows
        for cell, answers in row.done
    }  # fmt: skip
    among("cells", names, done)
    if len(set(names)) < LEAST:
        raise UserError(f"cells={names}: a vote needs two different cells")
    chosen = [done[name] for name in dict.fromkeys(names)]
    first = chosen[0][0]
    if any(matrix is not first for matrix, _, _ in chosen):
        raise UserError(f"cells={names}: are of different tables of pairs; name cells of one")
    answers = tuple(one for _, _, one in chosen)
    if not all((one >= 0).all() for one in answers):
        raise UserError(f"cells={names}: some were not asked every test row (single_<task>); name cells of all tasks")
    members = tuple(cell for _, cell, _ in chosen)
    return first, Group(ASKED, members[0].task_mix, "", members[0].seed, members, answers)


def _write(one: Ballot, matrix: Matrix, path: Path) -> None:
    """The hard vote in the form of a cell's predictions; its p_* are the members' means."""
    if path.suffix != ".parquet":
        raise UserError(f"output={path}: the votes are written as parquet; name a .parquet file")
    tested = matrix.tested
    names = np.array(TASK_NAMES, dtype=object)[tested.task]
    table = predictions.table(tested.row, names, tested.label, mean_probabilities(one.group, tested))
    at = table.schema.get_field_index("predicted")
    predictions.write(table.set_column(at, table.schema.field(at), [one.answers[METHODS[0]]]), path)


if __name__ == "__main__":
    run_command(ensemble)
