"""A group of cells → its votes: hard, by mean probability, by weights fitted on validation; ties under every policy.

mhp, joint, seed 0: ties on 1.2 % of 1,212 rows; hard 85.1, mean probability 85.4, weighted 85.3
"""

from dataclasses import dataclass, replace

import numpy as np

from relevance import predictions
from relevance.records import CellRecord
from relevance.report.ensemble.diversity import Diversity, diversity
from relevance.report.ensemble.fitted import Validation
from relevance.report.ensemble.members import ALL, SEEDS, Group
from relevance.report.evidence.held_out import HeldOut
from relevance.scores import Scores
from relevance.vote import ABSTAINED, DEFAULT, Poll, Ties

METHODS = ("hard vote", "mean probability", "fitted weights")
SUBSET = "best subset"  # of ALL: chosen on validation, then its hard vote


@dataclass(frozen=True)
class Ballot:
    """What a group answered to the test rows."""

    group: Group
    answers: dict[str, np.ndarray]  # by method, and by SUBSET: a label per row [N]; where it abstains, a wrong one
    ties: float  # share of rows
    policies: dict[Ties, Scores]  # of the hard vote
    diversity: Diversity
    subset: tuple[str, ...]  # names of the members of SUBSET


def ballot(group: Group, tested: HeldOut, ties: Ties) -> Ballot:
    """The votes of one group; UserError where a member's test predictions are absent or of other rows.

    What is fitted on validation is left out where the members' validation rows are absent or differ.
    """
    labels, validation = np.stack(group.answers), Validation.of(group.members)
    mean, mixed = _mixed(group, tested, validation.weights() if validation else np.zeros(len(labels)))
    poll, order = Poll(labels), validation.order if validation else []
    policies = [policy for policy in Ties if validation or policy is not Ties.best_validation]
    by_policy = {policy: _whole(poll.settled(policy, mean.T, order), tested) for policy in policies}
    answers = {METHODS[0]: by_policy.get(ties, by_policy[DEFAULT]), METHODS[1]: _highest(mean)}
    chosen = validation.subset() if validation and group.kind == ALL else []
    if validation:
        answers[METHODS[2]] = _highest(mixed)
    if chosen:
        answers[SUBSET] = _whole(Poll(labels[chosen]).settled(DEFAULT, mean.T, order), tested)
    return Ballot(
        group,
        answers,
        len(poll.tied) / labels.shape[1],
        {policy: tested.scores(found) for policy, found in by_policy.items()},
        diversity(labels, tested.label),
        tuple(group.members[at].cell for at in chosen),
    )


def mean_probabilities(group: Group, tested: HeldOut) -> np.ndarray:
    """The mean of the members' probabilities [N, 3]."""
    return _mixed(group, tested, np.ones(len(group.members)))[0].T


def _mixed(group: Group, tested: HeldOut, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean probabilities and weighed ones [3, N], added up member by member: all at once would not fit in memory."""
    mean, mixed = (np.zeros((3, len(tested.row)), np.float32) for _ in range(2))
    for cell, weight in zip(group.members, weights, strict=True):
        table = predictions.read(cell.folder / "test.parquet", list(predictions.PROBABILITIES))
        for label, name in enumerate(predictions.PROBABILITIES):
            p = table[name].to_numpy()
            mean[label] += p
            mixed[label] += p * np.float32(weight)
    return mean / np.float32(len(group.members)), mixed


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
