"""A group of cells → its votes: hard, by mean probability, by weights fitted on validation; ties under every policy.

mhp, joint, seed 0: ties on 1.2 % of 1,212 rows; hard 85.1, mean probability 85.4, weighted 85.3
"""

from dataclasses import dataclass, replace

import numpy as np

from relevance import predictions
from relevance.report.ensemble.diversity import Diversity, diversity
from relevance.report.ensemble.fitted import Validation, probabilities
from relevance.report.ensemble.members import ALL, Group
from relevance.report.evidence.tested import Tested
from relevance.scores import Scores
from relevance.vote import Ties, counted, majority, tied

METHODS = ("hard vote", "mean probability", "fitted weights")
SUBSET = "best subset"  # of ALL: chosen on validation, then its hard vote


@dataclass(frozen=True)
class Ballot:
    """What a group answered to the test rows."""

    group: Group
    answers: dict[str, np.ndarray]  # by method, and by SUBSET: a label per row [N]
    ties: float  # share of rows
    policies: dict[Ties, Scores]  # of the hard vote
    diversity: Diversity
    weights: np.ndarray  # of each member [M]
    subset: tuple[str, ...]  # names of the members of SUBSET


def ballot(group: Group, tested: Tested, ties: Ties) -> Ballot:
    """The votes of one group; UserError where a member's predictions are absent or of other rows."""
    labels = np.stack(group.answers)
    validation = Validation(group.members)
    weights = validation.weights()
    mean, mixed = _mixed(group, tested, weights)
    order = validation.order
    by_policy = {policy: majority(labels, policy, mean, order) for policy in Ties}
    answers = dict(zip(METHODS, (by_policy[ties], _highest(mean), _highest(mixed)), strict=True))
    chosen = validation.subset() if group.kind == ALL else []
    if chosen:
        answers[SUBSET] = majority(labels[chosen], Ties.higher, mean, order)
    return Ballot(
        group,
        answers,
        float(tied(counted(labels)).mean()),
        {policy: _scores(found, tested) for policy, found in by_policy.items()},
        diversity(labels, tested.label),
        weights,
        tuple(group.members[at].cell for at in chosen),
    )


def _mixed(group: Group, tested: Tested, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean probabilities and weighed ones [N, 3], added up member by member: all at once would not fit in memory."""
    mean, mixed = (np.zeros((len(tested.row), 3), np.float32) for _ in range(2))
    for cell, weight in zip(group.members, weights, strict=True):
        p = probabilities(predictions.read(cell.folder / "test.parquet", list(predictions.PROBABILITIES)))
        mean += p / np.float32(len(group.members))
        mixed += p * np.float32(weight)
    return mean, mixed


def _highest(p: np.ndarray) -> np.ndarray:
    return p.argmax(axis=1).astype(np.int8)


def _scores(answers: np.ndarray, tested: Tested) -> Scores:
    """Scores in which a row without a label is wrong: it counts as the label farthest from the true one."""
    wrong = np.where(tested.label == 0, 2, 0).astype(np.int8)
    return tested.scores(np.where(answers < 0, wrong, answers))


def as_cell(group: Group, method: str):
    """The vote as a cell of its own, for the rows of a table."""
    who = "vote of " + (", ".join(group.models) if len(group.models) > 1 else f"{len(group.members)} seeds")
    model = group.models[0] if len(group.models) == 1 else who
    first = group.members[0]
    name = f"vote-{group.kind}-{method}-{group.task_mix}-s{group.seed}".replace(" ", "_")
    routing = first.routing if len({cell.routing for cell in group.members}) == 1 else group.kind
    label = method if model == who else f"{method} of {len(group.members)} seeds"
    return replace(
        first, cell=name, model=model, routing=routing, variant=label, family="", fingerprint="", run_id="",
        reason="", metrics={}, dirty=any(cell.dirty for cell in group.members),
    )  # fmt: skip
