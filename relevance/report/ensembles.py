"""Finished cells → who votes together, what they answer, and how the members differ.

mhp, joint, seed 0: ce mhp, llm mhp, llm_b mhp (the paper's vote: three backbones, one routing)
→ ties on 1.2 % of 1,212 rows; hard vote 85.1, mean probability 85.4, ties under every policy

Two members that are right on 80 % each may be wrong on the same rows (nothing to gain) or on others (much to gain):
disagreement, kappa, Q statistic and oracle accuracy after Kuncheva and Whitaker (2003, doi:10.1023/A:1022859003006),
means over pairs of members.
"""

from dataclasses import dataclass, replace

import numpy as np

from relevance import predictions
from relevance.metrics import Scores, task_codes
from relevance.report.matrix import JOINT, Matrix, whole
from relevance.report.stats import HeldOut
from relevance.tracking.records import CellRecord
from relevance.vote import ABSTAINED, DEFAULT, Poll, Ties

VOTED = ("mhp", "prefix")  # routings whose cells vote among themselves
ALL, SEEDS, NAMED = "all", "seeds", "asked"  # NAMED: on the command line
LEAST = 2
CHUNK = 65_536  # rows counted at a time
METHODS = ("hard vote", "mean probability")


@dataclass(frozen=True)
class Group:
    """Who votes together."""

    kind: str  # one of VOTED, ALL or SEEDS
    task_mix: str
    variant: str
    seed: int  # of all members; of SEEDS the lowest
    members: tuple[CellRecord, ...]
    answers: tuple[np.ndarray, ...]  # of each member [N]

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(cell.model for cell in self.members))


def groups(matrix: Matrix) -> list[Group]:
    """Every group of at least two cells that were tested on all rows: of joint cells first, by kind, by seed."""
    rows = whole(matrix)
    together = []
    kinds = sorted({row.labels[2:] for row in rows}, key=lambda labels: (labels[0] != JOINT, labels))
    for mix, variant in kinds:
        here = [row for row in rows if row.labels[2:] == (mix, variant)]
        for kind in (*VOTED, ALL):
            voters = [cell for row in here if kind in (ALL, row.labels[1]) for cell in row.done]
            seeds = sorted({cell.seed for cell, _ in voters})
            together += [(kind, variant, [voter for voter in voters if voter[0].seed == seed]) for seed in seeds]
        together += [(SEEDS, variant, row.done) for row in here]
    return [group_of(*group) for group in together if len(group[2]) >= LEAST]


def group_of(kind: str, variant: str, done: list[tuple[CellRecord, np.ndarray]]) -> Group:
    """These cells as a group."""
    cells, answers = zip(*done, strict=True)
    return Group(kind, cells[0].task_mix, variant, cells[0].seed, cells, answers)


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


def ballot(group: Group, tested: HeldOut, ties: Ties) -> Ballot:
    """The votes of one group; UserError where a member's test predictions are absent or of other rows.

    The policy best_validation is left out where the members' validation rows are absent or differ.
    """
    labels, mean, order = np.stack(group.answers), mean_probabilities(group), best_first(group.members)
    poll = Poll(labels)
    policies = [policy for policy in Ties if order or policy is not Ties.best_validation]
    settled = {policy: poll.settled(policy, mean.T, order) for policy in policies}
    farthest = np.where(tested.label == 0, 2, 0)  # from the true label: what stands for no answer
    complete = {policy: np.where(of == ABSTAINED, farthest, of).astype(np.int8) for policy, of in settled.items()}
    return Ballot(
        group,
        {METHODS[0]: complete.get(ties, complete[DEFAULT]), METHODS[1]: _highest(mean)},
        len(poll.tied) / labels.shape[1],
        {policy: tested.scores(answers) for policy, answers in complete.items()},
        diversity(labels, tested.label),
    )


def mean_probabilities(group: Group) -> np.ndarray:
    """The mean of the members' probabilities [3, N], added up member by member: all at once would take the memory."""
    mean = np.zeros((3, len(group.answers[0])), np.float32)
    for cell in group.members:
        table = predictions.read(cell.files.test, list(predictions.PROBABILITIES))
        for label, name in enumerate(predictions.PROBABILITIES):
            mean[label] += table[name].to_numpy()
    return mean / np.float32(len(group.members))


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


def _highest(p: np.ndarray) -> np.ndarray:
    """The label of the highest probability [3, N], the lowest of equals as argmax has it, in a fraction of its time."""
    labels = (p[1] > p[0]).astype(np.int8)
    labels[p[2] > np.maximum(p[0], p[1])] = 2
    return labels


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
