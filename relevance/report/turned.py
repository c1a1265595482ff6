"""The verdicts of two sweeps side by side, as their reports give them, and which of them turned.

compare=[factorial,tuned]: how much of each gap was the rates
| gap            | A                     | B                  | B minus A | weights           | turned               |
| llm mh - prefix | -31.5 [-35.0, -28.1] | +0.4 [-0.9, +1.7] | +31.9     | 67,840 : 65,920   | lower than → undecided |
"""

from collections.abc import Iterator

from relevance.pages.blocks import NONE, Block, Bold, Section, Table, signed
from relevance.report.claims import CLAIMS
from relevance.report.evidence import PREFIX, REFERENCE, Effect, Evidence
from relevance.report.sections import decided_text, weights_text
from relevance.report.verdict import Outcome

TITLE = "Which verdicts turned"
TURNED = (
    "Each side as its own report has it, Holm's correction within it; a gap turned where its verdict is another. B "
    "minus A is what the change between the sweeps made of the gap: where B is at tuned rates and A at the usual "
    "ones, how much of it was tuning. Weights: those trained by the two rows of the gap, in B."
)
Pair = tuple[str, Effect, Effect, str]  # the gap, its effect in A and in B, trained weights


def turned_sections(a: Evidence, b: Evidence) -> list[Section]:
    """A line for each family of models and each gap that both have; none where they share no gap."""
    gaps = [*_routings(a, b), *_claims(a, b)]
    if not gaps:
        return []
    families = [
        [family, a.verdicts[family].text, verdict.text, _turn(a.verdicts[family].text, verdict.text)]
        for family, verdict in b.verdicts.items()
        if family in a.verdicts
    ]
    body = [
        [name, decided_text(one), decided_text(two), signed(two["estimate"] - one["estimate"]), weights,
         _turn(str(one["verdict"]), str(two["verdict"]))]
        for name, one, two, weights in gaps
    ]  # fmt: skip
    blocks: list[Block] = [
        TURNED,
        Table(["family", "A", "B", "turned"], families, left=4),
        Table(["gap", "A", "B", "B minus A", "weights", "turned"], body, left=1),
        f"{sum(line[-1] != NONE for line in body)} of {len(body)} gaps turned.",
    ]
    return [Section(TITLE, blocks)]


def _turn(one: str, two: str) -> str:
    return NONE if one == two else Bold(f"{one} → {two}")


def _routings(a: Evidence, b: Evidence) -> Iterator[Pair]:
    """Each routing minus the prefix of its model."""
    for model, routing in b.main.joint:
        sides = [_minus_prefix(side, model, routing) for side in (a, b)]
        if sides[0] and sides[1]:
            rows = [b.main.joint[model, name].name for name in (routing, REFERENCE)]
            yield f"{model}: {routing} - {REFERENCE}", sides[0], sides[1], weights_text(b.weights(rows))


def _minus_prefix(side: Evidence, model: str, routing: str) -> Effect | None:
    rows = [side.main.joint.get((model, name)) for name in (routing, REFERENCE)]
    return side.effect(PREFIX, rows[0].name, rows[1].name) if rows[0] and rows[1] else None


def _claims(a: Evidence, b: Evidence) -> Iterator[Pair]:
    """The paper's claims that both could test."""
    others = {effect["a"]: effect for effect in a.of(CLAIMS) if effect["verdict"] != Outcome.untested}
    for claim, effect in zip(b.claims, b.of(CLAIMS), strict=True):
        if effect["a"] in others and effect["verdict"] != Outcome.untested:
            yield f"{effect['a']} {effect['b']}", others[effect["a"]], effect, weights_text(b.weights(claim.rows))
