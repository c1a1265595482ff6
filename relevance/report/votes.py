"""Finished cells → who votes together, what they answer, and how the members differ.

mhp, joint, seed 0: ce mhp, llm mhp, llm_b mhp (the paper's vote: three backbones, one routing)
→ ties on 1.2 % of 1,212 rows; hard vote 85.1, mean probability 85.4, ties under every policy

Two members that are right on 80 % each may be wrong on the same rows (nothing to gain) or on others (much to gain):
disagreement, kappa, Q statistic and oracle accuracy after Kuncheva and Whitaker (2003, doi:10.1023/A:1022859003006),
means over pairs of members.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from relevance import predictions
from relevance.metrics import Scores, task_codes
from relevance.report.held_out import HeldOut
from relevance.report.matrix import JOINT, MainRows, Matrix, whole
from relevance.report.measures import Measured
from relevance.report.panel import Panel
from relevance.report.rows import Row
from relevance.tracking.records import CellRecord
from relevance.vote import ABSTAINED, DEFAULT, Poll, Ties

VOTED = ("mhp", "prefix")  # routings whose cells vote among themselves
ALL, SEEDS, NAMED = "all", "seeds", "named"  # NAMED: on the command line
LEAST = 2
BACKBONES = 3  # with two every disagreement is a tie
CHUNK = 65_536  # rows counted at a time
METHODS = ("hard vote", "mean probability")
MOST = 40  # groups that a report lets vote
WORK = 30_000_000  # predictions of their members, a second for ten million
PAIR = "the vote has two members: every disagreement is a tie, and the policy for ties decides it, not the cells"
ONE = "needs {kind} cells of three backbones that share a seed; +sweep=ensemble trains them"


@dataclass(frozen=True)
class Group:
    """Who votes together."""

    kind: str  # one of VOTED, ALL, SEEDS or NAMED
    task_mix: str
    variant: str
    seed: int  # of all members; of SEEDS the lowest
    members: tuple[CellRecord, ...]

    @classmethod
    def of(cls, kind: str, variant: str, cells: Sequence[CellRecord]) -> "Group":
        return cls(kind, cells[0].task_mix, variant, cells[0].seed, tuple(cells))

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(cell.model for cell in self.members))

    def read(self, tested: HeldOut) -> tuple[np.ndarray, np.ndarray]:
        """The labels of each member [M, N], and the mean of their probabilities [3, N]; each file is read once."""
        labels, mean = [], np.zeros((3, len(tested.row)), np.float32)  # all members at once would take the memory
        for cell in self.members:
            table = predictions.read(cell.files.test, ["row", "label", "predicted", *predictions.PROBABILITIES])
            labels.append(tested.answered(table, cell.files.test))
            for label, name in enumerate(predictions.PROBABILITIES):
                mean[label] += table[name].to_numpy()
        return np.stack(labels), mean / np.float32(len(self.members))


def groups(main: MainRows) -> list[Group]:
    """Every group of at least two cells that were tested on all rows: the main rows first, by kind, by seed.

    The main rows of all models vote together though a variant names their backbones; other rows, those of a second
    tuning among them, by equal variants.
    """
    rows = whole(main.matrix)
    together: list[Group] = []
    first = [row for row in main.joint.values() if main.model(row) == row.labels[0]]
    kinds = sorted({row.labels[2:] for row in rows}, key=lambda labels: (labels[0] != JOINT, labels))
    sets = [(main.variant, first)]
    sets += [
        (variant, [r for r in rows if r.labels[2:] == (mix, variant) and r not in first]) for mix, variant in kinds
    ]
    for variant, here in sets:
        for kind in (*VOTED, ALL):
            voters = [cell for row in here if kind in (ALL, row.labels[1]) for cell in row.done]
            by_seed = {
                seed: [cell for cell in voters if cell.seed == seed] for seed in sorted({c.seed for c in voters})
            }
            together += [Group.of(kind, variant, cells) for cells in by_seed.values() if len(cells) >= LEAST]
        together += [Group.of(SEEDS, row.labels[3], row.done) for row in here if row.finished >= LEAST]
    return together


def folded(every: list[Group]) -> list[list[Group]]:
    """Groups that differ in the seed alone, together; each SEEDS group by itself."""
    same: dict[tuple, list[Group]] = {}
    for group in every:
        members = tuple((cell.model, cell.routing) for cell in group.members)
        same.setdefault((group.kind, group.task_mix, group.variant, members), []).append(group)
    return list(same.values())


@dataclass(frozen=True)
class Diversity:
    """Means over all pairs of members, but for the oracle."""

    disagreement: float  # share of rows with two different labels
    kappa: float  # Cohen's, of their labels
    q: float  # Yule's Q of being right: 1 right on the same rows, 0 independent, below 0 right on different rows
    oracle: float  # share of rows on which any member is right


def diversity(labels: np.ndarray, truth: np.ndarray) -> Diversity:
    """Of M members' labels [M, N] against the true ones [N]."""
    members, n = labels.shape
    pairs = np.triu_indices(members, 1)
    same, both = _tables(labels, truth)
    shares = same[pairs] / n  # [P, 3, 3]
    agree = np.trace(shares, axis1=1, axis2=2)
    chance = (shares.sum(axis=2) * shares.sum(axis=1)).sum(axis=1)
    kappa = np.divide(agree - chance, 1 - chance, out=np.ones_like(agree), where=chance < 1)
    right = np.diagonal(both)
    joint, a, b = both[pairs], right[pairs[0]], right[pairs[1]]
    agreed, apart = joint * (n - a - b + joint), (a - joint) * (b - joint)
    q = np.divide(agreed - apart, agreed + apart, out=np.zeros(len(joint)), where=agreed + apart > 0)
    oracle = (labels == truth).any(axis=0).mean()
    return Diversity(float(1 - agree.mean()), float(kappa.mean()), float(q.mean()), float(oracle))


def disagreement(labels: np.ndarray) -> np.ndarray:
    """Share of the pairs of members that differ on each row [N]."""
    members = len(labels)
    counts = np.stack([(labels == label).sum(axis=0) for label in range(3)])
    agreeing = (counts * (counts - 1)).sum(axis=0)
    return 1 - agreeing / (members * (members - 1))


def _tables(labels: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each pair of members: rows by both labels [M, M, 3, 3], and rows both are right on [M, M]."""
    members, n = labels.shape
    same, both = np.zeros((members * 3, members * 3)), np.zeros((members, members))
    for start in range(0, n, CHUNK):
        part, label = labels[:, start : start + CHUNK], truth[start : start + CHUNK]
        by_label = (part[:, None] == np.arange(3)[None, :, None]).reshape(members * 3, -1).astype(np.float32)
        right = (part == label).astype(np.float32)
        same += by_label @ by_label.T
        both += right @ right.T
    return same.reshape(members, 3, members, 3).transpose(0, 2, 1, 3), both


@dataclass(frozen=True)
class Ballot:
    """What a group answered to the test rows."""

    group: Group
    answers: dict[str, np.ndarray]  # by method: a label per row [N]; where it abstains, a wrong one
    ties: float  # share of rows
    policies: dict[Ties, Scores]  # of the hard vote
    diversity: Diversity
    disagreement: np.ndarray  # share of the pairs of members that differ on each row [N]; of VOTED, else none [0]


def ballot(group: Group, tested: HeldOut, ties: Ties) -> Ballot:
    """The votes of one group; UserError where a member's test predictions are absent or of other rows.

    The policy best_validation is left out where the members' validation rows are absent or differ.
    """
    (labels, mean), order = group.read(tested), best_first(group.members)
    poll = Poll(labels)
    policies = [policy for policy in Ties if order or policy is not Ties.best_validation]
    settled = {policy: poll.settled(policy, mean.T, order) for policy in policies}
    farthest = np.where(tested.label == 0, 2, 0)  # from the true label: what stands for no answer
    complete = {policy: np.where(of == ABSTAINED, farthest, of).astype(np.int8) for policy, of in settled.items()}
    return Ballot(
        group,
        {METHODS[0]: complete.get(ties, complete[DEFAULT]), METHODS[1]: predictions.highest(*mean)},
        len(poll.tied) / labels.shape[1],
        {policy: tested.scores(answers) for policy, answers in complete.items()},
        diversity(labels, tested.label),
        disagreement(labels) if group.kind in VOTED else np.empty(0),
    )


def best_first(members: tuple[CellRecord, ...]) -> list[int]:
    """Places of the members by macro accuracy on validation; none where a file is absent, empty or of other rows."""
    paths = [cell.files.validation for cell in members]
    if not all(path.is_file() for path in paths):
        return []
    tables = [predictions.read(path, ["row", "task", "label", "predicted"]) for path in paths]
    first = tables[0]
    if not len(first) or not all(table["row"].equals(first["row"]) for table in tables):
        return []
    right = np.stack([table["predicted"].to_numpy() for table in tables]) == first["label"].to_numpy()
    task = task_codes(first["task"])
    macro = np.mean([right[:, task == code].mean(axis=1) for code in np.unique(task)], axis=0)
    return np.argsort(-macro, kind="stable").tolist()


def as_cell(group: Group, method: str) -> CellRecord:
    """The vote as a cell of its own, for the rows of a table; no two votes have one name."""
    first, members = group.members[0], len(group.members)
    of_seeds = group.kind == SEEDS
    model = first.model if of_seeds else f"vote of {', '.join(group.models)}"
    variant = ",".join(filter(None, [f"{method} of {members} seeds" if of_seeds else method, group.variant]))
    routing = first.routing if of_seeds else group.kind
    name = f"vote-{model}-{routing}-{group.task_mix}-{variant}-s{group.seed}".replace(" ", "_")
    return replace(
        first, cell=name, model=model, routing=routing, variant=variant, family="", fingerprint="", run_id="",
        reason="", metrics={}, dirty=any(cell.dirty for cell in group.members),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Voted:
    """Ballots that differ in the seed alone, and a row of the table for each way of voting."""

    ballots: tuple[Ballot, ...]
    rows: dict[str, Row]  # by method
    measured: tuple[Measured, ...]  # by method, then by ballot: the numbers of the rows count on from the matrix's

    @property
    def group(self) -> Group:
        """That of the lowest seed."""
        return self.ballots[0].group

    @property
    def names(self) -> list[str]:
        """How a table calls it: vote, members, task mix and variant."""
        group, n = self.group, len(self.group.members)
        if group.kind == SEEDS:
            first = group.members[0]
            return [f"seeds of {first.model} {first.routing}", str(n), group.task_mix, group.variant]
        members = str(n) if n > len(group.models) else ", ".join(group.models)
        return [group.kind, members, group.task_mix, group.variant]


def voted(main: MainRows, ties: Ties, most: int | None = None) -> list[Voted]:
    """The votes of a matrix: by routing, of all cells, over seeds; at most about `most`, of the main rows first."""
    shown, count, work = [], 0, 0
    for same in folded(groups(main)):
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
    votes, first = [], len(matrix.measured)
    for same in ballots:
        measured = [matrix.measurer.measure(ballot.answers[way]) for way in METHODS for ballot in same]
        tested = matrix.beside(measured, first)
        rows = {}
        for at, way in enumerate(METHODS):
            cells = tuple(as_cell(ballot.group, way) for ballot in same)
            rows[way] = Row(cells, tuple(tested[at * len(same) :][: len(same)]), cells[0].variant)
        votes.append(Voted(tuple(same), rows, tuple(measured)))
        first += len(measured)
    return votes


class MainVotes:
    """The votes that claims are about: of the mhp cells and of the prefix cells of the main rows."""

    def __init__(self, main: MainRows, votes: Sequence[Voted]) -> None:
        self.matrix = main.matrix
        self.by_routing: dict[str, Voted] = {}
        for kind in VOTED:
            mine = [vote for vote in votes if _main(vote.group, main) and vote.group.kind == kind]
            if mine:
                self.by_routing[kind] = max(mine, key=lambda vote: (len(vote.group.models), len(vote.ballots)))

    def models(self, kind: str) -> tuple[str, ...]:
        return self.by_routing[kind].group.models if kind in self.by_routing else ()

    def hard(self, kind: str) -> Row:
        return self.by_routing[kind].rows[METHODS[0]]

    def untestable(self, *kinds: str) -> str:
        """Why nothing can be said of these votes; "" where something can."""
        for kind in kinds:
            if len(self.models(kind)) == BACKBONES - 1:
                return f"{PAIR} ({kind}: {', '.join(self.models(kind))})"
            if len(self.models(kind)) < BACKBONES:
                return ONE.format(kind=kind)
        return ""

    def apart(self) -> tuple[Panel, dict[str, tuple[int, ...]]]:
        """How far the members of each differ, by seed: a panel, and the places of each routing's seeds in it."""
        shares: list[np.ndarray] = []
        places = {}
        for kind, vote in self.by_routing.items():
            places[kind] = tuple(range(len(shares), len(shares) + len(vote.ballots)))
            shares += [ballot.disagreement for ballot in vote.ballots]
        covered = np.tile(self.matrix.n > 0, (len(shares), 1))
        return self.matrix.measurer.shares(shares, covered), places
