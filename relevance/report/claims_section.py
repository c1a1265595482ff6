"""Claims and their verdicts → a table, the rule, and what the paper says of its own data."""

from relevance.report.claims import Claim
from relevance.report.document import Bold, Section, Table
from relevance.report.evidence.contrast import SEEDS, effect_text
from relevance.report.tables import NONE, signed

RULE = (
    "Rule: supported where the 95 % interval of the difference of seed means (entities resampled, the same draws for "
    f"every cell) lies above zero and at least {SEEDS} seeds have its sign; contradicted where it lies below zero, "
    "likewise; else undecided. Differences of macro accuracy in points. McNemar's test (within each seed, in "
    "comparisons.csv) is shown beside and decides nothing."
)
PAPER = (
    "The paper's abstract (arXiv 2606.23919), on its own data and not on this: its ensemble of mhp models reaches "
    "89.96 % on 453K test examples, the best of all; multi-task training gives up to 14 % on low-resource tasks."
)


def claims_section(found: list[Claim], beside: dict[str, str]) -> Section:
    """`beside`: what McNemar's test says of a claim about two cells, by its letter."""
    body = [
        [
            claim.letter, claim.text, Bold(claim.verdict),
            effect_text(claim.effect) if claim.effect else NONE,
            " ".join(map(signed, claim.effect.seeds)) if claim.effect else NONE,
            f"{claim.effect.n:,}" if claim.effect else NONE,
            beside.get(claim.letter, NONE),
        ]
        for claim in found
    ]  # fmt: skip
    header = ["", "claim", "verdict", "points", "by seed", "test rows", "McNemar, by seed"]
    rests = [f"{claim.letter}: {_cells(claim)}" for claim in found]
    return Section(
        "The paper's claims on this data", [RULE, Table(header, body, left=3), PAPER, "They rest on:", rests]
    )


def _cells(claim: Claim) -> str:
    return "; ".join(claim.effect.cells) if claim.effect else claim.reason
