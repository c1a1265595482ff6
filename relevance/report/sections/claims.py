"""The paper's claims on this data, what each part of a routing does, and single-task cells beside joint ones."""

import numpy as np

from relevance.pages.blocks import NONE, Block, Bold, Section, Table, count, signed
from relevance.report.claims import CLAIMS, CONTROLS, INTERACTION, STEPS, Claim, Gain
from relevance.report.evidence import Evidence
from relevance.report.figures import Curve, Line
from relevance.report.matrix import JOINT
from relevance.report.sections import effect_text, table, verdict_word
from relevance.report.verdict import Outcome
from relevance.tasks import TASK_NAMES

RULE = (
    "Supported: the difference of seed means is above zero beyond its 95 % interval, over entities and training seeds, "
    "after Holm's correction for the claims tested; contradicted: below; undecided: neither. One seed decides nothing. "
    "Points of macro accuracy."
)
PAPER = (
    "The paper's abstract (arXiv 2606.23919), on its own data and not on this: its ensemble of mhp models reaches "
    "89.96 % on 453K test examples, the best of all; multi-task training gives up to 14 % on low-resource tasks."
)
UNLIKE = (
    "b3 compares unlike things: mhp trains {ratio:.1f} times the weights of mh. Held still: {held}; "
    "+sweep=factorial trains {controls}."
)
FACTORS = (
    "A main effect is the mean of the steps between routings that differ in it alone; an interaction says by how much "
    "the first factor changes what the second does. Private layers come only with heads of their own."
)
GAINS = (
    "A cell of several tasks minus one of the same model on the task alone, in points, with its 95 % interval; in "
    "parentheses relative to the single-task accuracy. Δp is LibMTL's: the mean over tasks of the relative Δ, in "
    "percent. Baselines have the row's own routing, or else the one named."
)
BUDGETS = {
    "": "No budget is matched: a single-task cell takes fewer optimiser steps than its joint cell.",
    "steps": "match=steps: a single-task cell takes as many optimiser steps as its joint cell",
    "examples": "match=examples: a single-task cell sees its task's rows as often as its joint cell",
}


def claims_section(evidence: Evidence) -> Section:
    body, open_claims = [], []
    for claim in evidence.claims:
        effect = evidence.effect(CLAIMS, claim.letter, claim.contrast.b, claim.contrast.scope)
        assert effect is not None
        tested = not np.isnan(effect["estimate"])
        rows = f"{effect['n_rows']:,.0f}" if tested else NONE
        body.append(
            [claim.letter, claim.text, Bold(verdict_word(effect)), effect_text(effect), _weights(evidence, claim), rows]
        )
        if not tested:
            open_claims.append(f"{claim.letter}: {claim.contrast.reason or 'a row of it did not finish'}")
    header = ["", "claim", "verdict", "points", "weights", "test rows"]
    blocks: list[Block] = [RULE, Table(header, body, left=3)]
    if open_claims:
        blocks += ["Not tested, and not counted:", open_claims]
    return Section("The paper's claims on this data", [*blocks, *_unlike(evidence), PAPER])


def claim_lines(evidence: Evidence) -> list[Line]:
    """Those that were tested, for a figure."""
    lines = []
    for claim in evidence.claims:
        effect = evidence.effect(CLAIMS, claim.letter, claim.contrast.b, claim.contrast.scope)
        assert effect is not None
        decided = effect["verdict"] in (Outcome.higher, Outcome.lower)
        lines.append(Line(claim.short, "", effect["estimate"], effect["low"], effect["high"], decided=decided))
    return lines


def trained(evidence: Evidence) -> dict[str, float]:
    """Trained weights of every row by its name."""
    return {row.name: row.metric("params/trainable") for row in evidence.matrix.finished}


def _weights(evidence: Evidence, claim: Claim) -> str:
    """Trained weights of the two rows of a claim, first by second."""
    known = trained(evidence)
    numbers = [known[name] for name in claim.rows if not np.isnan(known.get(name, np.nan))]
    return f"{count(numbers[0])} : {count(numbers[1])}" if len(numbers) == len(claim.rows) == 2 else NONE


def _unlike(evidence: Evidence) -> list[Block]:
    """How much more mhp trains than mh, and which controls hold that still."""
    joint = evidence.main.joint
    for model in evidence.main.having("llm", "mh", "mhp"):
        ratio = joint[model, "mhp"].metric("params/trainable") / joint[model, "mh"].metric("params/trainable")
        if ratio > 1:
            there = [name for name in CONTROLS if (model, name) in joint]
            held = ", ".join(there) or "nothing here"
            return [UNLIKE.format(ratio=ratio, held=held, controls=", ".join(CONTROLS))]
    return []


def factors_section(evidence: Evidence) -> list[Section]:
    """A line for each effect of each model; no section where no model has the routings of any effect."""
    frame = evidence.of("factors")
    if frame.empty:
        return []
    body = [[e["a"], e["b"], _steps(e["b"]), effect_text(e), verdict_word(e)] for _, e in frame.iterrows()]
    header = ["model", "effect", "steps", "points", "above zero"]
    return [Section("What each part of a routing does", [FACTORS, Table(header, body, left=3)])]


def _steps(name: str) -> str:
    texts = [f"{first} → {then}" for first, then in STEPS[name]]
    return f"({texts[1]}) - ({texts[0]})" if INTERACTION in name else ", ".join(texts)


def gains_section(evidence: Evidence, figures: list[Block]) -> list[Section]:
    """A table of gains for each budget, each negative transfer by name, the figures; none without baselines."""
    matrix = evidence.matrix
    if not evidence.gains:
        return []
    volumes = ", ".join(f"{task} {matrix.train[TASK_NAMES.index(task)]:,}" for task in matrix.tasks)
    blocks: list[Block] = [GAINS, f"Training rows: {volumes}."]
    for budget in dict.fromkeys(gain.budget for gain in evidence.gains):
        blocks += [f"{BUDGETS[budget]}.", _gains_table(evidence, [g for g in evidence.gains if g.budget == budget])]
    return [Section("Single-task baselines", [*blocks, *_negative(evidence), *figures])]


def _gains_table(evidence: Evidence, gains: list[Gain]) -> Table:
    matrix, body = evidence.matrix, []
    for row in dict.fromkeys(gain.row for gain in gains):
        by_task = {gain.task: gain for gain in gains if gain.row is row}
        texts = [_gain_text(evidence, by_task.get(task)) for task in matrix.tasks]
        whole = len(by_task) == len(matrix.tasks)
        mean = f"{signed(np.mean([_relative(evidence, gain) for gain in by_task.values()]))} %" if whole else NONE
        body.append([*row.labels, next(iter(by_task.values())).other.labels[1], *texts, mean])
    tasks = [f"{task} n={matrix.n[TASK_NAMES.index(task)]:,}" for task in matrix.tasks]
    return table(body, [*tasks, "Δp"], ["baseline"])


def _gain_text(evidence: Evidence, gain: Gain | None) -> str:
    if gain is None:
        return NONE
    return f"{effect_text(evidence.gain(gain))} ({signed(_relative(evidence, gain))} %)"


def _relative(evidence: Evidence, gain: Gain) -> float:
    base = gain.other.mean[TASK_NAMES.index(gain.task)]
    return evidence.gain(gain)["estimate"] / base if base else np.nan


def _negative(evidence: Evidence) -> list[Block]:
    """Tasks that a row is worse at than its baseline, after Holm's correction."""
    lines = [
        f"{gain.task}: {gain.row.name} {effect_text(effect)} points, n={effect['n_rows']:,.0f}"
        for gain in evidence.gains
        if (effect := evidence.gain(gain))["verdict"] == Outcome.lower
    ]
    total = len(evidence.gains)
    if not lines:
        return [f"Negative transfer: none of {total} gains is below zero after Holm's correction."]
    return [f"Negative transfer, {len(lines)} of {total} gains:", lines]


def volume_curves(evidence: Evidence) -> list[Curve]:
    """What sharing gives by training rows: one curve a model and task, of the budget that most gains have."""
    budgets = [gain.budget for gain in evidence.gains]
    most = max(dict.fromkeys(budgets), key=budgets.count, default="")
    points: dict[tuple[str, str], list[tuple]] = {}
    for gain in evidence.gains:
        model, routing, mix, _ = gain.row.labels
        if gain.budget == most and mix == JOINT and routing == gain.other.labels[1]:
            effect = evidence.gain(gain)
            label = " ".join(filter(None, [model, routing, gain.row.variant_but("task_mix.share", "match")]))
            points.setdefault((label, gain.task), []).append((gain.trained, *effect[["estimate", "low", "high"]]))
    curves = []
    for (label, task), of in points.items():
        x, y, low, high = np.array(sorted(of), float).T
        curves.append(Curve(label, task, x, y, np.ones(len(x)), np.stack([low, high])))
    return curves
