"""The votes of a matrix: what they answer, ties under every policy, how their members differ.

vote of ce, llm, llm_b  mhp  joint  hard vote  seeds 0, 1, 2: accuracies
"""

from pathlib import Path

import numpy as np

from relevance import predictions
from relevance.errors import UserError
from relevance.outputs import check_table
from relevance.pages.blocks import Block, Section, Table
from relevance.pages.render import markdown
from relevance.report.matrix import MainRows, Matrix, matrices
from relevance.report.rows import spread
from relevance.report.sections import decimals, headings, percents, seeds, values
from relevance.report.votes import (
    BACKBONES,
    LEAST,
    METHODS,
    NAMED,
    SEEDS,
    Ballot,
    Group,
    Voted,
    ballot,
    groups,
    rows_of,
    voted,
)  # fmt: skip
from relevance.tasks import TASK_NAMES
from relevance.tracking.names import Choice
from relevance.tracking.records import SweepRecord
from relevance.vote import DEFAULT, Ties, Vote, shares

INTRODUCTION = (
    "Cells vote on the test rows; nothing is trained. Votes of the cells of one routing and seed (the paper's ensemble:"
    " three backbones under mhp), of all cells of a seed, and over the seeds of one cell. Hard vote: the label most "
    "members give, ties by the policy {ties}."
)
CONVENTION = "That is the convention of the sister paper."
TWO = (
    "Votes of two members are shown, but every disagreement in them is a tie; the claim about votes is not tested on "
    "them."
)
TIES = (
    "Accuracy in percent of the hard vote under every policy for ties, micro over all rows; abstaining counts as wrong."
)
DIFFER = (
    "Means over pairs of members: share of rows with different labels, Cohen's kappa of the labels, Yule's Q of being "
    "right (0: independent). Oracle: any member is right."
)
HEADER = ["vote", "members", "task mix", "variant"]
MORE = "{n:,} more votes are not shown; python -m relevance.ensemble shows them all."
BARE = "{n:,} votes lack the policy best_validation: their members' validation rows are absent, or differ."


def votes_sections(main: MainRows, votes: list[Voted], ties: Ties, *, whole: bool = False) -> list[Section]:
    """None where no two cells of one mix and variant finished; `whole`: votes over seeds stand open too."""
    if not votes:
        return []
    left = 0 if votes[0].group.kind == NAMED else len(groups(main)) - sum(len(vote.ballots) for vote in votes)
    bare = sum(Ties.best_validation not in ballot.policies for vote in votes for ballot in vote.ballots)
    lines = {
        INTRODUCTION.format(ties=ties) + (f" {CONVENTION}" if ties is DEFAULT else ""): True,
        TWO: any(len(vote.group.members) < BACKBONES for vote in votes),
        BARE.format(n=bare): bare,
        MORE.format(n=left): left > 0,
    }
    first = [vote for vote in votes if whole or vote.group.kind != SEEDS]
    over_seeds = [vote for vote in votes if vote not in first]
    shown = [_accuracies(main.matrix, first)] if first else []
    details: list[Block] = [_accuracies(main.matrix, over_seeds)] if over_seeds else []
    details += [TIES, _ties(main.matrix, votes), DIFFER, _diversity(votes)]
    return [
        Section("Ensembles", [*(line for line, holds in lines.items() if holds), *shown]),
        Section("Ties, votes over seeds, and how members differ", details, deep=True, closed=True),
    ]


def _accuracies(matrix: Matrix, votes: list[Voted]) -> Table:
    body = [
        [*vote.names, method, seeds(row.finished, row), *values(row, matrix.n)]
        for vote in votes
        for method, row in vote.rows.items()
    ]
    return Table([*HEADER, "way", "seeds", *headings(matrix)], body, left=len(HEADER) + 1)


def _ties(matrix: Matrix, votes: list[Voted]) -> Table:
    body = []
    for vote in votes:
        micro = [
            [ballot.ties, *(ballot.policies[policy].micro if policy in ballot.policies else np.nan for policy in Ties)]
            for ballot in vote.ballots
        ]
        body.append([*vote.names, str(len(micro)), *percents(micro)])
    return Table([*HEADER, "seeds", f"ties n={matrix.n.sum():,}", *Ties], body, left=len(HEADER))


def _diversity(votes: list[Voted]) -> Table:
    body = []
    for vote in votes:
        by_seed = [ballot.diversity for ballot in vote.ballots]
        disagreement, oracle = percents([(seed.disagreement, seed.oracle) for seed in by_seed])
        kappa, q = (decimals(3, *spread(numbers)) for numbers in zip(*((d.kappa, d.q) for d in by_seed), strict=True))
        body.append([*vote.names, str(len(by_seed)), disagreement, kappa, q, oracle])
    return Table([*HEADER, "seeds", "disagreement, %", "kappa", "Q", "oracle, %"], body, left=len(HEADER))


def votes_page(
    sweep: SweepRecord, cells: list[str] | None, ties: Ties, output: str | None, vote: Vote = Vote.majority
) -> str:
    """What came of the votes; that of `vote` also in the file `output`.

    Raises UserError for cells that are not there, unfinished, or not tested on the same rows.
    """
    if output and ties is Ties.abstain:
        raise UserError(f"output={output}: ties=abstain leaves rows without a label; choose another policy for a file")
    if vote is Vote.mean and not output:
        raise UserError("vote=mean: says what output=FILE holds, the page has both; name a file")
    if output and cells is None:
        raise UserError(f"output={output}: is for the votes of cells=[CELL,CELL,...]; name them")
    tables = matrices(sweep)
    if cells is None:
        mains = [MainRows(table) for table in tables]
        sections = [part for main in mains for part in votes_sections(main, voted(main, ties), ties, whole=True)]
        if not sections:
            raise UserError(f"sweep {sweep.name}: no two cells of one task mix and variant finished")
    else:
        matrix, group = _group(sweep, tables, cells)
        counted = ballot(group, matrix.tested, ties)
        if output:
            _write(counted, vote, matrix, Path(output))
        sections = votes_sections(MainRows(matrix), rows_of([[counted]], matrix), ties, whole=True)
    return markdown(f"Votes: {sweep.name}", sections)


def _group(sweep: SweepRecord, tables: list[Matrix], names: list[str]) -> tuple[Matrix, Group]:
    done = {cell.fingerprint: (matrix, row, cell) for matrix in tables for row in matrix.rows for cell in row.done}
    able = Choice([cell for _, _, cell in done.values()], f"the finished cells of sweep {sweep.name}")
    chosen = [done[key] for key in dict.fromkeys(able.named(name).fingerprint for name in names)]
    if len(chosen) < LEAST:
        raise UserError(f"cells={names}: a vote needs two different cells")
    first = chosen[0][0]
    if any(matrix is not first for matrix, _, _ in chosen):
        raise UserError(f"cells={names}: are of different tables of pairs; name cells of one")
    if any(first.partial(row) for _, row, _ in chosen):
        raise UserError(f"cells={names}: some were not asked every test row (single_<task>); name cells of all tasks")
    return first, Group.of(NAMED, "", [cell for _, _, cell in chosen])


def _write(counted: Ballot, vote: Vote, matrix: Matrix, path: Path) -> None:
    """A vote in the form of a cell's predictions; p_* are the members' means, under majority the shares of votes."""
    if path.suffix != ".parquet":
        raise UserError(f"output={path}: the votes are written as parquet; name a .parquet file")
    tested, group = matrix.tested, counted.group
    check_table(path, predictions.SCHEMA.names.__eq__, [cell.folder.parent for cell in group.members])
    names = np.array(TASK_NAMES, dtype=object)[tested.task]
    labels, mean = group.read(tested)
    beside = mean.T if vote is Vote.mean else shares(labels)
    table = predictions.table(tested.row, names, tested.label, beside)
    at = table.schema.get_field_index("predicted")
    answers = counted.answers[METHODS[1] if vote is Vote.mean else METHODS[0]]
    predictions.write(table.set_column(at, table.schema.field(at), [answers]), path)
