"""The groups of a matrix that vote → rows of votes, what claims need of them, and the section on ensembles.

vote of ce, llm, llm_b  mhp  joint  hard vote  seeds 0, 1, 2: accuracies, ties under every policy, how members differ
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from relevance import predictions
from relevance.cli import among
from relevance.errors import UserError
from relevance.outputs import check_table
from relevance.pages.blocks import Block, Section, Table
from relevance.pages.render import markdown
from relevance.report.ensembles import (
    LEAST,
    METHODS,
    NAMED,
    SEEDS,
    VOTED,
    Ballot,
    Group,
    as_cell,
    ballot,
    disagreement,
    folded,
    group_of,
    groups,
    mean_probabilities,
)
from relevance.report.matrix import JOINT, MAJORITY, MainRows, Matrix, matrices
from relevance.report.rows import Row, fold, spread
from relevance.report.sections import decimals, headings, percents, seeds, values
from relevance.report.stats import Series
from relevance.tasks import TASK_NAMES
from relevance.tracking.records import SweepRecord
from relevance.vote import DEFAULT, Ties, Vote, shares

MOST = 40  # groups that a report lets vote
WORK = 30_000_000  # predictions of their members, a second for ten million
BACKBONES = 3  # with two every disagreement is a tie
PAIR = "the vote has two members: every disagreement is a tie, and the policy for ties decides it, not the cells"
ONE = "needs {kind} cells of three backbones that share a seed; +sweep=ensemble trains them"
INTRODUCTION = (
    "Cells vote on the test rows; nothing is trained. Votes of the cells of one routing and seed (the paper's ensemble"
    " is that of three mhp cells of different backbones), of all cells of a seed, and over the seeds of one cell. Hard"
    " vote: the label most members give, ties by the policy {ties}."
)
CONVENTION = "The default, higher, is the convention of the sister paper of the same team."
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


@dataclass(frozen=True)
class Voted:
    """Ballots that differ in the seed alone, and a row of the table for each way of voting."""

    ballots: tuple[Ballot, ...]
    rows: dict[str, Row]  # by method

    @property
    def group(self) -> Group:
        """That of the lowest seed."""
        return self.ballots[0].group

    @property
    def names(self) -> list[str]:
        """The first columns of its lines: HEADER."""
        group, n = self.group, len(self.group.members)
        if group.kind == SEEDS:
            first = group.members[0]
            return [f"seeds of {first.model} {first.routing}", str(n), group.task_mix, group.variant]
        members = str(n) if n > len(group.models) else ", ".join(group.models)
        return [group.kind, members, group.task_mix, group.variant]


def voted(main: MainRows, ties: Ties, most: int | None = None) -> list[Voted]:
    """The votes of a matrix: by routing, of all cells, over seeds; at most about `most`, of the main rows first."""
    together = sorted(folded(groups(main.matrix)), key=lambda same: not _main(same[0], main))
    shown, count, work = [], 0, 0
    for same in together:
        load = sum(len(group.members) for group in same) * len(main.matrix.tested.row)
        fits = most is None or (count + len(same) <= most and work + load <= WORK)
        if fits or (_main(same[0], main) and same[0].kind in VOTED):
            shown.append([ballot(group, main.matrix.tested, ties) for group in same])
            count, work = count + len(same), work + load
    return rows_of(shown, main.matrix)


def _main(group: Group, main: MainRows) -> bool:
    return (group.task_mix, group.variant) == (JOINT, main.variant)


def rows_of(ballots: list[list[Ballot]], matrix: Matrix) -> list[Voted]:
    """Ballots that differ in the seed alone together, with their rows."""
    cells = [
        [(as_cell(ballot.group, way), ballot.answers[way]) for ballot in same] for same in ballots for way in METHODS
    ]
    rows = iter(fold(cells, matrix.references[MAJORITY], matrix.resample))
    return [Voted(tuple(same), {way: next(rows) for way in METHODS}) for same in ballots]


class Votes:
    """The votes that claims are about: of the mhp cells and of the prefix cells of the main rows."""

    def __init__(self, main: MainRows, votes: list[Voted]) -> None:
        self.models: dict[str, list[str]] = {}
        self.hard: dict[str, Series] = {}
        self.apart: dict[str, Series] = {}
        for kind in VOTED:
            mine = [vote for vote in votes if _main(vote.group, main) and vote.group.kind == kind]
            most = max(mine, key=lambda vote: (len(vote.group.models), len(vote.ballots)), default=None)
            self.models[kind] = list(most.group.models) if most else []
            if most:
                self.hard[kind] = most.rows[METHODS[0]].series
                self.apart[kind] = _apart(most, main.matrix)

    def untestable(self, kind: str) -> str:
        """Why nothing can be said of this vote; "" where something can."""
        models = self.models[kind]
        if len(models) == BACKBONES - 1:
            return f"{PAIR} ({kind}: {', '.join(models)})"
        return "" if len(models) >= BACKBONES else ONE.format(kind=kind)


def _apart(vote: Voted, matrix: Matrix) -> Series:
    """Mean disagreement of pairs of members, by seed."""
    groups = [ballot.group for ballot in vote.ballots]
    shares = [disagreement(np.stack(group.answers)) for group in groups]
    pairs = len(groups[0].members) * (len(groups[0].members) - 1) / 2
    counts = [np.rint(pairs * share) for share in shares]  # sums of whole numbers are the same on every processor
    draws = matrix.resample.means(counts, matrix.tested.covered([group.answers[0] for group in groups])) / pairs
    tasks = np.array([np.bincount(matrix.tested.task, share, 6) for share in shares]) / np.maximum(matrix.n, 1)
    tasks[:, matrix.n == 0] = np.nan
    values = np.column_stack([tasks, [share.mean() for share in shares], np.nanmean(tasks, axis=1)])
    return Series(f"disagreement of {groups[0].kind} members", [group.seed for group in groups], values, draws)


def ensembles_section(matrix: Matrix, votes: list[Voted], ties: Ties) -> list[Section]:
    """None where no two cells of one mix and variant finished."""
    if not votes:
        return []
    left = len(groups(matrix)) - sum(len(vote.ballots) for vote in votes)
    bare = sum(Ties.best_validation not in ballot.policies for vote in votes for ballot in vote.ballots)
    lines = {
        INTRODUCTION.format(ties=ties) + (f" {CONVENTION}" if ties is DEFAULT else ""): True,
        TWO: any(len(vote.group.members) < BACKBONES for vote in votes),
        BARE.format(n=bare): bare,
        MORE.format(n=left): left > 0 and votes[0].group.kind != NAMED,
    }
    tables: list[Block] = [_accuracies(matrix, votes), TIES, _ties(matrix, votes), DIFFER, _diversity(votes)]
    return [Section("Ensembles", [*(line for line, holds in lines.items() if holds), *tables])]


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
        sections = [part for table in tables for part in ensembles_section(table, voted(MainRows(table), ties), ties)]
        if not sections:
            raise UserError(f"sweep {sweep.name}: no two cells of one task mix and variant finished")
    else:
        matrix, group = _group(tables, cells)
        counted = ballot(group, matrix.tested, ties)
        if output:
            _write(counted, vote, matrix, Path(output))
        sections = ensembles_section(matrix, rows_of([[counted]], matrix), ties)
    return markdown(f"Votes: {sweep.name}", sections)


def _group(tables: list[Matrix], names: list[str]) -> tuple[Matrix, Group]:
    done = {cell[0].cell: (matrix, cell) for matrix in tables for row in matrix.rows for cell in row.done}
    among("cells", names, done)
    if len(set(names)) < LEAST:
        raise UserError(f"cells={names}: a vote needs two different cells")
    chosen = [done[name] for name in dict.fromkeys(names)]
    first = chosen[0][0]
    if any(matrix is not first for matrix, _ in chosen):
        raise UserError(f"cells={names}: are of different tables of pairs; name cells of one")
    if any((answers < 0).any() for _, (_, answers) in chosen):
        raise UserError(f"cells={names}: some were not asked every test row (single_<task>); name cells of all tasks")
    return first, group_of(NAMED, "", [cell for _, cell in chosen])


def _write(counted: Ballot, vote: Vote, matrix: Matrix, path: Path) -> None:
    """A vote in the form of a cell's predictions; p_* are the members' means, under majority the shares of votes."""
    if path.suffix != ".parquet":
        raise UserError(f"output={path}: the votes are written as parquet; name a .parquet file")
    tested, group = matrix.tested, counted.group
    check_table(path, predictions.SCHEMA.names.__eq__, [cell.folder.parent for cell in group.members])
    names = np.array(TASK_NAMES, dtype=object)[tested.task]
    beside = mean_probabilities(group).T if vote is Vote.mean else shares(np.stack(group.answers))
    table = predictions.table(tested.row, names, tested.label, beside)
    at = table.schema.get_field_index("predicted")
    answers = counted.answers[METHODS[1] if vote is Vote.mean else METHODS[0]]
    predictions.write(table.set_column(at, table.schema.field(at), [answers]), path)
