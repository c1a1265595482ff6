"""Votes → the section on ensembles: their accuracies, ties under every policy, how members differ."""

import numpy as np

from relevance.report.accuracy import headings, seeds, values
from relevance.report.document import Section, Table
from relevance.report.ensemble.ballot import Ballot
from relevance.report.ensemble.members import ASKED, SEEDS, groups
from relevance.report.matrix import Matrix
from relevance.report.row import spread
from relevance.report.tables import IDENTITY, percent
from relevance.report.votes import LEAST, Voted
from relevance.scores import COLUMNS
from relevance.vote import DEFAULT, Ties

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


def ensembles_section(matrix: Matrix, found: list[Voted], ties: Ties) -> list[Section]:
    """None where no two cells of one mix and variant finished."""
    if not found:
        return []
    told = INTRODUCTION.format(ties=ties) + (f" {CONVENTION}" if ties is DEFAULT else "")
    few = [TWO] if any(len(one.ballots[0].group.members) < LEAST for one in found) else []
    left = len(groups(matrix)) - sum(len(one.ballots) for one in found)
    bare = sum(Ties.best_validation not in ballot.policies for one in found for ballot in one.ballots)
    few += [BARE.format(n=bare)] if bare else []
    few += [MORE.format(n=left)] if left > 0 and found[0].ballots[0].group.kind != ASKED else []
    blocks = [told, *few, _accuracies(matrix, found), TIES, _ties(matrix, found), DIFFER, _diversity(found)]
    return [Section("Ensembles", blocks)]


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
