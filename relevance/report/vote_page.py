"""A sweep, and perhaps the names of cells that are to vote → the votes as markdown, and as a file of predictions."""

from pathlib import Path

import numpy as np

from relevance import predictions
from relevance.cli import among
from relevance.errors import UserError
from relevance.pages.text import markdown
from relevance.report.ensembles import ASKED, LEAST, METHODS, Ballot, Group, ballot, mean_probabilities
from relevance.report.matrix import MainRows, Matrix, matrices
from relevance.report.sections.ensembles import ensembles_section, rows_of, voted
from relevance.tasks import TASK_NAMES
from relevance.tracking.records import SweepRecord
from relevance.vote import Ties


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
