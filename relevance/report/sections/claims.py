"""The paper's claims on this data, what each part of a routing does, and single-task cells beside joint ones."""

from collections.abc import Iterator

import numpy as np

from relevance.pages.blocks import NONE, Block, Bold, Section, Table, signed
from relevance.report.claims import CLAIMS, CONTROLS, INTERACTION, STEPS, Claim, Gain
from relevance.report.evidence import Effect, Evidence
from relevance.report.figures import Curve, Line
from relevance.report.matrix import JOINT
from relevance.report.sections import decided_text, drawn, effect_text, short, table, weights_text
from relevance.report.verdict import Outcome
from relevance.tasks import TASK_NAMES

WORDS = {Outcome.higher: "supported", Outcome.lower: "contradicted", Outcome.undecided: "undecided"}
RULE = (
    "Supported: the difference of seed means is above zero beyond its 95 % interval, over entities and training seeds, "
    "after Holm's correction for the claims tested; contradicted: below; undecided: neither. Points of macro accuracy; "
    "weights: those trained by its two rows."
)
PAPER = (
    "The paper's abstract (arXiv 2606.23919), on its own data: its ensemble of mhp models reaches "
    "89.96 % on 453K test examples, the best of all; multi-task training gives up to 14 % on low-resource tasks."
)
UNLIKE = (
    "b3 compares unlike things: mhp trains {ratio:.1f} times the weights of mh. Held still: {held}; "
    "+sweep=controls trains {controls}."
)
FACTORS = (
    "A main effect is the mean of the steps between routings that differ in it alone; an interaction says by how much "
    "the first factor changes what the second does. Points of macro accuracy; bold: decided, after Holm's correction; "
    "weights: those trained before and after a step."
)
GAINS = (
    "A cell of several tasks minus one of the same model on the task alone, in points, with its 95 % interval. Δp is "
    "LibMTL's: the mean over tasks of the difference relative to the single-task accuracy, in percent. Baselines have "
    "the row's own routing, or else the one named."
)
BUDGETS = {
    "": "No budget is matched: a single-task cell takes fewer optimiser steps than its joint cell.",
    "steps": "match=steps: a single-task cell takes as many optimiser steps as its joint cell.",
    "examples": "match=examples: a single-task cell sees its task's rows as often as its joint cell.",
}


def claims_section(evidence: Evidence, figures: list[Block]) -> Section:
    body, untested = [], []
    for claim, effect in _claims(evidence):
        tested = effect["verdict"] != Outcome.untested
        word = WORDS.get(effect["verdict"], str(effect["verdict"]))
        rows = f"{effect['n_rows']:,.0f}" if tested else NONE
        letter = claim.contrast.a
        body.append(
            [letter, claim.text, Bold(word), effect_text(effect), weights_text(evidence.weights(claim.rows)), rows]
        )
        if not tested:
            untested.append(f"{letter}: {claim.contrast.reason or 'a row of it did not finish'}")
    header = ["", "claim", "verdict", "points", "weights", "test rows"]
    blocks: list[Block] = [RULE, Table(header, body, left=3), *figures]
    if untested:
        blocks += ["Not tested, and not counted:", untested]
    return Section("The paper's claims on this data", [*blocks, *_unlike(evidence), PAPER])


def _claims(evidence: Evidence) -> Iterator[tuple[Claim, Effect]]:
    return zip(evidence.claims, evidence.of(CLAIMS), strict=True)


def claim_lines(evidence: Evidence) -> list[Line]:
    """Those that were tested, for a figure."""
    return [drawn(effect, f"{effect['a']} {effect['b']}") for _, effect in _claims(evidence)]


def _unlike(evidence: Evidence) -> list[Block]:
    """How much more mhp trains than mh, and which controls hold that still."""
    joint = evidence.main.joint
    for model in evidence.main.having("llm", "mh", "mhp"):
        ratio = joint[model, "mhp"].metric("params/trainable") / joint[model, "mh"].metric("params/trainable")
        if ratio > 1:
            held = ", ".join(name for name in CONTROLS if (model, name) in joint) or "nothing here"
            return [UNLIKE.format(ratio=ratio, held=held, controls=", ".join(CONTROLS))]
    return []


def factors_section(evidence: Evidence) -> list[Section]:
    """A line for each effect, a column for each model; no section where no model has the routings of any effect."""
    factors = evidence.of("factors")
    if not factors:
        return []
    models = list(dict.fromkeys(effect["a"] for effect in factors))
    texts = {(effect["b"], effect["a"]): decided_text(effect) for effect in factors}
    names = [name for name in STEPS if any((name, model) in texts for model in models)]
    body = [
        [
            name,
            _steps(name),
            *(texts.get((name, model), NONE) for model in models),
            _trained(evidence, name, models),
        ]
        for name in names
    ]
    header = ["effect", "steps", *models, "weights"]
    return [Section("What each part of a routing does", [FACTORS, Table(header, body, left=2)])]


def _trained(evidence: Evidence, name: str, models: list[str]) -> str:
    """Trained weights before and after each step that changes them, of each model that has its routings."""
    joint, texts = evidence.main.joint, dict[str, None]()
    for model in models:
        for step in STEPS[name]:
            if all((model, routing) in joint for routing in step):
                before, after = (joint[model, routing].metric("params/trainable") for routing in step)
                texts["equal" if before == after else f"{short(before)} → {short(after)}"] = None
    return ", ".join(texts)


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
    for budget in dict.fromkeys(gain.budget for gain, _ in evidence.gains):
        blocks += [BUDGETS[budget], _gains_table(evidence, budget)]
    return [Section("Single-task baselines", [*blocks, *_negative(evidence), *figures])]


def _gains_table(evidence: Evidence, budget: str) -> Table:
    matrix, body = evidence.matrix, []
    gains = [(gain, effect) for gain, effect in evidence.gains if gain.budget == budget]
    for row in dict.fromkeys(gain.row for gain, _ in gains):
        mine = {gain.task: (gain, effect) for gain, effect in gains if gain.row is row}
        texts = [decided_text(mine[task][1]) if task in mine else NONE for task in matrix.tasks]
        relative = float(np.mean([_relative(gain, effect) for gain, effect in mine.values()]))
        mean = f"{signed(relative)} %" if len(mine) == len(matrix.tasks) else NONE
        body.append([*row.labels, next(iter(mine.values()))[0].other.labels[1], *texts, mean])
    tasks = [f"{task} n={matrix.n[TASK_NAMES.index(task)]:,}" for task in matrix.tasks]
    return table(body, [*tasks, "Δp"], ["baseline"])


def _relative(gain: Gain, effect: Effect) -> float:
    base = gain.other.mean[TASK_NAMES.index(gain.task)]
    return effect["estimate"] / base if base else np.nan


def _negative(evidence: Evidence) -> list[Block]:
    """Tasks that a row is worse at than its baseline, after Holm's correction."""
    lines = [
        f"{gain.task}: {gain.row.name} {effect_text(effect)} points, n={effect['n_rows']:,.0f}"
        for gain, effect in evidence.gains
        if effect["verdict"] == Outcome.lower
    ]
    total = len(evidence.gains)
    if not lines:
        return [f"Negative transfer: none of {total} gains is below zero after Holm's correction."]
    return [f"Negative transfer, {len(lines)} of {total} gains:", lines]


def volume_curves(evidence: Evidence) -> list[Curve]:
    """What sharing gives by training rows: one curve a model and task, of the budget that most gains have."""
    budgets = [gain.budget for gain, _ in evidence.gains]
    most = max(dict.fromkeys(budgets), key=budgets.count, default="")
    points: dict[tuple[str, str], list[tuple]] = {}
    for gain, effect in evidence.gains:
        model, routing, mix, _ = gain.row.labels
        if gain.budget == most and mix == JOINT and routing == gain.other.labels[1]:
            label = " ".join(filter(None, [model, routing, gain.row.variant_but("task_mix.share", "match")]))
            point = gain.trained, effect["estimate"], effect["low"], effect["high"]
            points.setdefault((label, gain.task), []).append(point)
    curves = []
    for (label, task), of in points.items():
        x, y, low, high = np.array(sorted(of), float).T
        curves.append(Curve(label, task, x, y, np.ones(len(x)), np.stack([low, high])))
    return curves
