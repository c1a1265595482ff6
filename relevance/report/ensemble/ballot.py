"""A group of cells → its votes: hard and by mean probability; ties under every policy.

mhp, joint, seed 0: ties on 1.2 % of 1,212 rows; hard 85.1, mean probability 85.4
"""

from dataclasses import dataclass, replace

import numpy as np

from relevance import predictions
from relevance.records import CellRecord
from relevance.report.ensemble.diversity import Diversity, diversity
from relevance.report.ensemble.members import SEEDS, Group
from relevance.report.evidence.held_out import HeldOut
from relevance.scores import Scores, task_codes
from relevance.vote import ABSTAINED, DEFAULT, Poll, Ties

METHODS = ("hard vote", "mean probability")


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
    labels, mean, order = np.stack(group.answers), _mean(group, tested), best_first(group.members)
    poll = Poll(labels)
    policies = [policy for policy in Ties if order or policy is not Ties.best_validation]
    by_policy = {policy: _whole(poll.settled(policy, mean.T, order), tested) for policy in policies}
    answers = {METHODS[0]: by_policy.get(ties, by_policy[DEFAULT]), METHODS[1]: _highest(mean)}
    return Ballot(
        group,
        answers,
        len(poll.tied) / labels.shape[1],
        {policy: tested.scores(found) for policy, found in by_policy.items()},
        diversity(labels, tested.label),
    )


def mean_probabilities(group: Group, tested: HeldOut) -> np.ndarray:
    """The mean of the members' probabilities [N, 3]."""
    return _mean(group, tested).T


def _mean(group: Group, tested: HeldOut) -> np.ndarray:
    """Mean probabilities [3, N], added up member by member: all at once would not fit in memory."""
    mean = np.zeros((3, len(tested.row)), np.float32)
    for cell in group.members:
        table = predictions.read(cell.folder / "test.parquet", list(predictions.PROBABILITIES))
        for label, name in enumerate(predictions.PROBABILITIES):
            mean[label] += table[name].to_numpy()
    return mean / np.float32(len(group.members))


def best_first(members: tuple[CellRecord, ...]) -> list[int]:
    """Places of the members by macro accuracy on validation; none where a file is absent, empty or of other rows."""
    paths = [cell.folder / "validation.parquet" for cell in members]
    if not all(path.is_file() for path in paths):
        return []
    tables = [predictions.read(path, ["row", "task", "label", "predicted"]) for path in paths]
    first = tables[0]
    if not len(first) or not all(table["row"].equals(first["row"]) for table in tables):
        return []
    right = np.stack([table["predicted"].to_numpy() for table in tables]) == first["label"].to_numpy()
    task = task_codes(first["task"])
    macro = np.mean([right[:, task == one].mean(axis=1) for one in np.unique(task)], axis=0)
    return np.argsort(-macro, kind="stable").tolist()


def _highest(p: np.ndarray) -> np.ndarray:
    """The label of the highest probability [3, N], the lowest of equals as argmax has it, in a fraction of its time."""
    found = (p[1] > p[0]).astype(np.int8)
    found[p[2] > np.maximum(p[0], p[1])] = 2
    return found


def _whole(answers: np.ndarray, tested: HeldOut) -> np.ndarray:
    """The answers, wrong where there is none: the label farthest from the true one."""
    return np.where(answers == ABSTAINED, np.where(tested.label == 0, 2, 0), answers).astype(np.int8)


def as_cell(group: Group, method: str) -> CellRecord:
    """The vote as a cell of its own, for the rows of a table; no two votes have one name."""
    first, members = group.members[0], len(group.members)
    of_seeds = group.kind == SEEDS
    model = first.model if of_seeds else f"vote of {', '.join(group.models)}"
    told = ",".join(filter(None, [f"{method} of {members} seeds" if of_seeds else method, group.variant]))
    routing = first.routing if of_seeds else group.kind
    name = f"vote-{model}-{routing}-{group.task_mix}-{told}-s{group.seed}".replace(" ", "_")
    return replace(
        first, cell=name, model=model, routing=routing, variant=told, family="", fingerprint="", run_id="",
        reason="", metrics={}, dirty=any(cell.dirty for cell in group.members),
    )  # fmt: skip
