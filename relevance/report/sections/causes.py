"""The section that says what explains the paper's claim about decoders here, and the figure that carries it."""

import numpy as np
from scipy.special import stdtrit

from relevance.pages.blocks import NONE, Block, Bold, Section, Table
from relevance.report.causes import BOTH, CAUSES, FAMILY, MASK, PAPER, TUNING
from relevance.report.evidence import Effect, Evidence
from relevance.report.figures import Line
from relevance.report.inference import ALPHA
from relevance.report.sections import effect_text, weights_text

TITLE = "What explains a decoder's loss without the prefix"
RULE = (
    "The paper compares decoders under LoRA with encoders trained whole. Here family and tuning are crossed. "
    "prefix - mh is what a model loses when heads take the place of the prefix. Points of macro accuracy; intervals "
    "hold together at 95 % (Bonferroni, {n} effects); bold: without zero. Weights: means of those each side trains."
)
NAMES = {FAMILY: "the decoder itself (family)", TUNING: "its adapters (tuning)", MASK: "its causal mask"}


def simultaneous(effects: list[Effect]) -> list[Effect]:
    """The effects with intervals that hold together: each at ALPHA over the number that has one."""
    number = max(1, sum(not np.isnan(effect["p"]) for effect in effects))
    wider = []
    for effect in effects:
        half = np.hypot(effect["se_rows"], effect["se_seeds"]) * stdtrit(effect["df"], 1 - ALPHA / 2 / number)
        wider.append({**effect, "low": effect["estimate"] - half, "high": effect["estimate"] + half})
    return wider


def sign(effect: Effect | None) -> int:
    """1 or -1 where the interval is above or below zero, else 0."""
    return 0 if effect is None or np.isnan(effect["p"]) else int(effect["low"] > 0) - int(effect["high"] < 0)


def answer(effects: list[Effect]) -> str:
    """Which of the factors explains the paper's claim on this data, by rule."""
    loss = {effect["a"]: effect for effect in effects if effect["b"] == "prefix - mh"}
    paper = loss[PAPER]
    if np.isnan(paper["p"]):
        return f"Cannot be told: {paper['reason'] or 'one seed decides nothing; add seeds'}."
    text = effect_text(paper)
    if sign(paper) < 0:
        return f"The paper's claim is contradicted here: the decoder loses less than the encoder ({text} points)."
    if sign(paper) == 0:
        needed = "" if np.isnan(paper["seeds_needed"]) else f"; {paper['seeds_needed']:.0f} seeds would decide it"
        return (
            f"Cannot be told: no larger loss of the decoder than of the encoder is shown here ({text} points{needed})."
        )
    named = {name: NAMES[name] for name in (FAMILY, TUNING, MASK) if name in loss}
    causes = [f"{words} ({effect_text(loss[name])})" for name, words in named.items() if sign(loss[name]) > 0]
    if not causes:
        shown = ", ".join(f"{words} {effect_text(loss[name])}" for name, words in named.items())
        return f"The decoder loses more than the encoder ({text} points). Cannot be told why: {shown}."
    depends = "; how much depends on both together" if sign(loss.get(BOTH)) else ""
    return (
        f"The decoder loses more than the encoder ({text} points); what explains it: {' and '.join(causes)}{depends}."
    )


def causes_section(evidence: Evidence, figures: list[Block]) -> list[Section]:
    """None where the sweep does not cross the factors."""
    effects = simultaneous(evidence.of(CAUSES))
    if not effects:
        return []
    body = []
    for cause, effect in zip(evidence.causes, effects, strict=True):
        text = effect_text(effect) if not np.isnan(effect["p"]) else effect["reason"] or NONE
        body.append([effect["a"], effect["b"], Bold(text) if sign(effect) else text, weights_text(cause.trained)])
    rule = RULE.format(n=sum(not np.isnan(effect["p"]) for effect in effects))
    table = Table(["factor", "of", "points", "weights"], body, left=2)
    return [Section(TITLE, [Bold(answer(effects)), rule, *figures, table])]


def cause_lines(evidence: Evidence) -> list[Line]:
    """Sorted from the largest down, those on the loss first."""
    effects = [effect for effect in simultaneous(evidence.of(CAUSES)) if not np.isnan(effect["p"])]
    effects.sort(key=lambda effect: (effect["b"] == "accuracy", -effect["estimate"]))
    return [Line(e["a"], e["b"], e["estimate"], e["low"], e["high"], decided=bool(sign(e))) for e in effects]
