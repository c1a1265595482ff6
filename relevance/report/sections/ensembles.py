"""The groups of a matrix that vote → rows of votes, what claims ask of them, and the section on ensembles.

vote of ce, llm, llm_b  mhp  joint  hard vote  seeds 0, 1, 2: accuracies, ties under every policy, how members differ
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from relevance import predictions
from relevance.cli import among
from relevance.errors import UserError
from relevance.metrics import COLUMNS
from relevance.pages.blocks import IDENTITY, Block, Section, Table, percent
from relevance.pages.render import markdown
from relevance.report.ensembles import (
    ASKED,
    LEAST,
    METHODS,
    SEEDS,
    VOTED,
    Ballot,
    Group,
    as_cell,
    ballot,
    disagreement,
    folded,
    groups,
    mean_probabilities,
)
from relevance.report.matrix import JOINT, MAJORITY, MainRows, Matrix, matrices
from relevance.report.rows import Row, fold, spread
from relevance.report.sections.accuracy import headings, seeds, values
from relevance.report.stats import Series
from relevance.tasks import TASK_NAMES
from relevance.tracking.records import SweepRecord
from relevance.vote import DEFAULT, Ties

MOST = 40  # groups that a report lets vote
WORK = 30_000_000  # predictions of their members, a second for ten million
BACKBONES = 3  # backbones: with two every disagreement is a tie
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
MORE = "{n:,} more votes are not shown; python -m relevance.ensemble shows them all."
BARE = "{n:,} votes lack the policy best_validation: their members' validation rows are absent, or differ."


@dataclass(frozen=True)
class Voted:
    """Ballots that differ in the seed alone, and a row of the table for each way of voting."""

    ballots: tuple[Ballot, ...]
    rows: dict[str, Row]  # by method


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
    lines = [(at, way) for at in range(len(ballots)) for way in METHODS]
    cells = [[(as_cell(one.group, way), one.answers[way]) for one in ballots[at]] for at, way in lines]
    rows = fold(cells, matrix.references[MAJORITY], matrix.resample)
    found: list[dict[str, Row]] = [{} for _ in ballots]
    for (at, way), row in zip(lines, rows, strict=True):
        found[at][way] = row
    return [Voted(tuple(same), own) for same, own in zip(ballots, found, strict=True)]


class Votes:
    """The votes that claims are about: of the mhp cells and of the prefix cells of the main rows."""

    def __init__(self, main: MainRows, found: list[Voted]) -> None:
        self.models: dict[str, list[str]] = {}
        self.hard: dict[str, Series] = {}
        self.apart: dict[str, Series] = {}
        for kind in VOTED:
            own = [one for one in found if _main(one.ballots[0].group, main) and one.ballots[0].group.kind == kind]
            most = max(own, key=lambda one: (len(one.ballots[0].group.models), len(one.ballots)), default=None)
            self.models[kind] = list(most.ballots[0].group.models) if most else []
            if most:
                self.hard[kind] = most.rows[METHODS[0]].series
                self.apart[kind] = _apart(most, main.matrix)

    def untestable(self, kind: str) -> str:
        """Why nothing can be said of this vote; "" where something can."""
        models = self.models[kind]
        if len(models) == BACKBONES - 1:
            return f"{PAIR} ({kind}: {', '.join(models)})"
        return "" if len(models) >= BACKBONES else ONE.format(kind=kind)


def _apart(one: Voted, matrix: Matrix) -> Series:
    """Mean disagreement of pairs of members, by seed."""
    groups = [found.group for found in one.ballots]
    shares = [disagreement(np.stack(group.answers)) for group in groups]
    pairs = len(groups[0].members) * (len(groups[0].members) - 1) / 2
    counts = [np.rint(pairs * share) for share in shares]  # sums of whole numbers are the same on every processor
    draws = matrix.resample.means(counts, matrix.tested.asked([group.answers[0] for group in groups])) / pairs
    tasks = np.array([np.bincount(matrix.tested.task, share, 6) for share in shares]) / np.maximum(matrix.n, 1)
    tasks[:, matrix.n == 0] = np.nan
    values = np.column_stack([tasks, [share.mean() for share in shares], np.nanmean(tasks, axis=1)])
    return Series(f"disagreement of {groups[0].kind} members", [group.seed for group in groups], values, draws)


def ensembles_section(matrix: Matrix, found: list[Voted], ties: Ties) -> list[Section]:
    """None where no two cells of one mix and variant finished."""
    if not found:
        return []
    told = INTRODUCTION.format(ties=ties) + (f" {CONVENTION}" if ties is DEFAULT else "")
    few = [TWO] if any(len(one.ballots[0].group.members) < BACKBONES for one in found) else []
    left = len(groups(matrix)) - sum(len(one.ballots) for one in found)
    bare = sum(Ties.best_validation not in ballot.policies for one in found for ballot in one.ballots)
    few += [BARE.format(n=bare)] if bare else []
    few += [MORE.format(n=left)] if left > 0 and found[0].ballots[0].group.kind != ASKED else []
    tables: list[Block] = [_accuracies(matrix, found), TIES, _ties(matrix, found), DIFFER, _diversity(found)]
    return [Section("Ensembles", [told, *few, *tables])]


def _accuracies(matrix: Matrix, found: list[Voted]) -> Table:
    plain = np.zeros(len(COLUMNS), bool)
    body = [
        [*_named(one), method, seeds(row.finished, row), *values(row, matrix.n, plain)]
        for one in found
        for method, row in one.rows.items()
    ]
    return Table([*_header(), "way", "seeds", *headings(matrix)], body, left=len(_header()) + 1)


def _ties(matrix: Matrix, found: list[Voted]) -> Table:
    body = []
    for one in found:
        rates = [ballot.ties for ballot in one.ballots]
        by_policy = [[_micro(ballot, policy) for ballot in one.ballots] for policy in Ties]
        body.append([*_named(one), str(len(rates)), *(percent(*spread(np.array(v))) for v in (rates, *by_policy))])
    return Table([*_header(), "seeds", f"ties n={matrix.n.sum():,}", *Ties], body, left=len(_header()))


def _micro(one: Ballot, policy: Ties) -> float:
    return one.policies[policy].micro if policy in one.policies else np.nan


def _diversity(found: list[Voted]) -> Table:
    body = []
    for one in found:
        told = [ballot.diversity for ballot in one.ballots]
        means = [spread(np.array([getattr(d, name) for d in told])) for name in ("kappa", "q")]
        shares = [percent(*spread(np.array([getattr(d, name) for d in told]))) for name in ("disagreement", "oracle")]
        body.append([*_named(one), str(len(told)), shares[0], *(_plain(*pair) for pair in means), shares[1]])
    header = [*_header(), "seeds", "disagreement, %", "kappa", "Q", "oracle, %"]
    return Table(header, body, left=len(_header()))


def _plain(mean: float, sd: float) -> str:
    return f"{mean:.3f}" + ("" if np.isnan(sd) else f" ± {sd:.3f}")


def _header() -> list[str]:
    return ["vote", "members", *IDENTITY[2:]]


def _named(one: Voted) -> list[str]:
    group = one.ballots[0].group
    if group.kind == SEEDS:
        first = group.members[0]
        return [f"seeds of {first.model} {first.routing}", str(len(group.members)), group.task_mix, group.variant]
    many = len(group.members) > len(group.models)
    who = str(len(group.members)) if many else ", ".join(group.models)
    return [group.kind, who, group.task_mix, group.variant]


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
