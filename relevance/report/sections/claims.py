"""The paper's claims, tested on the cells at hand: supported, contradicted or undecided, and on what.

a1  the mhp vote beats every single cell   +0.9 [-0.2, +2.0]   undecided   n=1,212, seeds +0.7 +1.1 +0.9

With all six routings of a model: what prefix, heads and private layers do by themselves, and together.
llm  heads  +3.1 [+2.2, +4.0]  = mean of (none → mh) and (prefix → prefix_mh)
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from relevance.config import Mix
from relevance.pages.blocks import NONE, Block, Bold, Section, Table, signed
from relevance.report.matrix import SHARED, MainRows, Matrix, whole
from relevance.report.sections import Finding, table
from relevance.report.sections.ensembles import Votes
from relevance.report.stats import (
    SEEDS,
    Effect,
    Terms,
    Verdict,
    contrast,
    effect_text,
    effect_texts,
    interval,
    on,
    versus,
)
from relevance.tasks import TASK_NAMES

ROUTED = ("prefix", "mh", "mhp")
BUDGETS = {  # the first that was run is used
    "steps": "match=steps: a single-task cell takes as many optimiser steps as its joint cell",
    "examples": "match=examples: a single-task cell sees its rows as often as its joint cell does",
    "": "budgets not matched: each cell trains for its own epochs and may stop early",
}
MACRO = "macro"
CLAIMS = {  # by letter what is claimed, and what its effect is the difference of
    "a1": ("the mhp vote beats every single cell (the closest is shown)", "mhp vote - closest cell"),
    "a2": ("the mhp vote beats the prefix vote", "mhp vote - prefix vote"),
    "b1": (
        "llm: without the prefix and without private layers (mh) it is worse than with the prefix",
        "llm: prefix - mh",
    ),
    "b2": ("that loss (prefix to mh) is larger for llm than for ce", "prefix - mh: llm - ce"),
    "b3": ("llm: private layers recover what mh loses, if it does: mhp is better than mh", "llm: mhp - mh"),
    "c": (
        "{family}: training on all tasks helps those with the fewest training rows ({tasks})",
        "{family}: joint - single, few rows",
    ),
    "d1": (
        "a vote gains more over the mean of its members with mhp members than with prefix members",
        "gain of voting: mhp - prefix",
    ),
    "d2": (
        "mhp members differ more from each other than prefix members do (share of rows, mean over pairs)",
        "members differ: mhp - prefix",
    ),
}
COLUMN = {"c": "mean of the tasks of few rows", "d2": "disagreement"}  # of those that are not of macro accuracy
RANK = (Verdict.contradicted, Verdict.undecided, Verdict.supported)  # a claim about all is as good as its worst
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
STEPS = {  # from one routing to another
    "prefix": [("none", "prefix"), ("mh", "prefix_mh"), ("mhp", "prefix_mhp")],
    "heads": [("none", "mh"), ("prefix", "prefix_mh")],
    "private layers": [("mh", "mhp"), ("prefix_mh", "prefix_mhp")],
    "private layers, shared by all tasks (capacity)": [("mh", SHARED)],
    "private layers, of its own against shared (isolation)": [(SHARED, "mhp")],
    "prefix × heads": [("none", "prefix"), ("mh", "prefix_mh")],
    "prefix × private layers": [("mh", "mhp"), ("prefix_mh", "prefix_mhp")],
}
INTERACTION = " × "  # in its name: the second step minus the first, not their mean
FACTORS = (
    "Macro accuracy in points, 95 % intervals of resampled entities. A main effect is the mean of the steps between "
    "routings that differ in it alone; an interaction says by how much the first factor changes what the second does. "
    "Private layers come only with heads of their own, so that heads × private layers cannot be told."
)


@dataclass(frozen=True)
class Claim:
    """One sentence of the paper; without an effect, why it cannot be tested here."""

    letter: str
    text: str
    short: str  # the claim as a difference, for a figure
    effect: Effect | None
    reason: str = ""

    @property
    def column(self) -> str:
        """What the effect is a difference of."""
        return COLUMN.get(self.letter, COLUMN.get(self.letter[0], MACRO))

    @property
    def verdict(self) -> str:
        return self.effect.verdict.value if self.effect else Verdict.undecided.value


Test = tuple[str, Terms, str]  # the letter of a claim, the terms of its effect, else why it cannot be tested


def claims(main: MainRows, votes: Votes) -> list[Claim]:
    """All of them, in the order of the letters."""
    tests = [*_votes(main, votes), *_prefixes(main), *_gain(main, votes)]
    tested = [_claim(main, test, *CLAIMS[test[0]]) for test in tests]
    for family, test in zip(main.families, _low(main), strict=True):
        words = {"family": family, "tasks": ", ".join(main.low_tasks)}
        tested.append(_claim(main, test, *(text.format(**words) for text in CLAIMS["c"])))
    return sorted(tested, key=lambda claim: (claim.letter[0], int(claim.letter[1:])))


def _claim(main: MainRows, test: Test, text: str, short: str) -> Claim:
    letter, terms, reason = test
    effect = contrast(terms, main.matrix.n) if terms else None
    if terms and not effect:
        names = "; ".join(dict.fromkeys(series.name for _, series in terms))
        reason = f"no seed that all of these finished: {names}"
    return Claim(letter, text, f"{letter} {short}", effect, reason)


def _votes(main: MainRows, votes: Votes) -> list[Test]:
    if reason := votes.untestable("mhp"):
        return [("a1", [], reason), ("a2", [], reason)]
    vote = votes.hard["mhp"]
    rivals = [versus(vote, row.series, MACRO) for row in whole(main.matrix)]
    closest = min(rivals, key=lambda terms: _rank(contrast(terms, main.matrix.n)))
    reason = votes.untestable("prefix")
    return [("a1", closest, ""), ("a2", [] if reason else versus(vote, votes.hard["prefix"], MACRO), reason)]


def _rank(effect: Effect | None) -> tuple[int, float]:
    """One that cannot be tested first: a claim about every cell is not decided without it."""
    return (RANK.index(effect.verdict), effect.value) if effect else (-1, 0.0)


def _prefixes(main: MainRows) -> list[Test]:
    llm, ce = (main.having(family, *ROUTED) for family in ("llm", "ce"))
    absent = "no model of the {} family finished under prefix, mh and mhp".format
    if not llm:
        return [(letter, [], absent("llm")) for letter in ("b1", "b2", "b3")]
    drop, back = mean(main, llm, "prefix", "mh"), mean(main, llm, "mhp", "mh")
    other = [(-weights, series) for weights, series in mean(main, ce, "prefix", "mh")]
    return [("b1", drop, ""), ("b3", back, ""), ("b2", [*drop, *other] if ce else [], absent("ce"))]


def mean(main: MainRows, models: list[str], routing: str, other: str) -> Terms:
    """Macro accuracy of one routing minus that of another, the mean over models that have both."""
    pairs = [versus(main.joint[model, routing].series, main.joint[model, other].series, MACRO) for model in models]
    return [(weights / len(models), series) for terms in pairs for weights, series in terms]


def _low(main: MainRows) -> Iterator[Test]:
    """Per family, over its models with baselines; by steps where several budgets were run."""
    for number, models in enumerate(main.families.values(), 1):
        pairs = [terms for model in models if (terms := _baselines(main, model))]
        terms = [(weights / len(pairs), series) for terms in pairs for weights, series in terms]
        yield f"c{number}", terms, "no single-task cells of all these tasks; +sweep=baselines trains them"


def _baselines(main: MainRows, model: str) -> Terms:
    """A model's joint row on the tasks of few rows, minus the single-task rows, each on its task.

    The row is the first whose routing the baselines have, else the first of the model.
    """
    choices, tasks = [], main.low_tasks
    for routing in main.routings(model):
        row = main.joint[model, routing]
        for budget, singles in main.singles(row).items():
            if set(tasks) <= set(singles):
                singly = [(on(task, -1 / len(tasks)), singles[task].series) for task in tasks]
                others = {singles[task].labels[1] for task in tasks} != {routing}
                choices.append(((others, list(BUDGETS).index(budget)), [(main.low, row.series), *singly]))
    return min(choices, key=lambda choice: choice[0])[1] if choices else []


def _gain(main: MainRows, votes: Votes) -> list[Test]:
    if reason := votes.untestable("mhp") or votes.untestable("prefix"):
        return [("d1", [], reason), ("d2", [], reason)]
    terms = []
    for sign, kind in ((1, "mhp"), (-1, "prefix")):
        members = [main.joint[model, kind].series for model in votes.models[kind]]
        terms += [(on(MACRO, sign), votes.hard[kind])]
        terms += [(on(MACRO, -sign / len(members)), series) for series in members]
    return [("d1", terms, ""), ("d2", versus(votes.apart["mhp"], votes.apart["prefix"], MACRO), "")]


def claims_section(claims: list[Claim], beside: dict[str, str]) -> Section:
    """`beside`: what McNemar's test says of a claim about two cells, by its letter."""
    body = [
        [
            claim.letter, claim.text, Bold(claim.verdict), *effect_texts(claim.effect),
            f"{claim.effect.n:,}" if claim.effect else NONE, beside.get(claim.letter, NONE),
        ]
        for claim in claims
    ]  # fmt: skip
    header = ["", "claim", "verdict", "points", "by seed", "test rows", "McNemar, by seed"]
    rests = [f"{claim.letter}: {'; '.join(claim.effect.cells) if claim.effect else claim.reason}" for claim in claims]
    blocks: list[Block] = [RULE, Table(header, body, left=3), PAPER, "They rest on:", rests]
    return Section("The paper's claims on this data", blocks)


def factors_section(main: MainRows) -> list[Section]:
    """A line for each effect of each model; no section where no model has the routings of any effect."""
    body = []
    for model in dict.fromkeys(model for model, _ in main.joint):
        effects = {name: _effect(main, model, name) for name in STEPS}
        if any(effects.values()):
            for name, effect in effects.items():
                verdict = effect.verdict.value if effect else NONE
                body.append([model, name, _steps(name), *effect_texts(effect), verdict])
    header = ["model", "effect", "steps", f"points n={main.matrix.n.sum():,}", "by seed", "above zero"]
    return [Section("What each part of a routing does", [FACTORS, Table(header, body, left=3)])] if body else []


def _effect(main: MainRows, model: str, name: str) -> Effect | None:
    """None where a routing is missing."""
    steps = STEPS[name]
    if any((model, routing) not in main.joint for step in steps for routing in step):
        return None
    weights = [-1.0, 1.0] if INTERACTION in name else [1 / len(steps)] * len(steps)
    terms = [
        (on(MACRO, sign * weight), main.joint[model, routing].series)
        for step, weight in zip(steps, weights, strict=True)
        for routing, sign in zip(step, (-1, 1), strict=True)
    ]
    return contrast(terms, main.matrix.n)


def _steps(name: str) -> str:
    texts = [f"{first} → {then}" for first, then in STEPS[name]]
    return f"({texts[1]}) - ({texts[0]})" if INTERACTION in name else ", ".join(texts)


INTRODUCTION = (
    "Δ: accuracy of a cell of several tasks minus that of a cell of the same model on the task alone, in points, with "
    "the 95 % interval of resampled entities; in parentheses relative to the single-task accuracy. Δp is LibMTL's: the"
    " mean over tasks of the relative Δ, in percent. Baselines have the row's own routing, or else the one named."
)


def gains(main: MainRows) -> list[Finding]:
    """One for each row of several tasks, task and budget for which a baseline shares a finished seed with it."""
    gains = []
    for row in main.matrix.finished:
        if row.config.task_mix.kind is not Mix.single:
            for budget, singles in main.singles(row).items():
                pairs = (Finding.of(task, row, singles[task], main.matrix.n) for task in TASK_NAMES if task in singles)
                gains += [_gain_on(pair, pair.effect, budget, main.matrix) for pair in pairs if pair.effect]
    return gains


def _gain_on(pair: Finding, effect: Effect, budget: str, matrix: Matrix) -> Finding:
    at = TASK_NAMES.index(pair.column)
    base = float(pair.other.values[_common(pair)[1], at].mean())
    trained = max(1, round(pair.row.config.task_mix.share * matrix.train[at]))  # as data.batches.portion has it
    return replace(pair, budget=budget, relative=effect.value / base if base else np.nan, trained=trained)


def _common(gain: Finding) -> tuple[list[int], list[int]]:
    """Places of the seeds that both rows have, in each."""
    seeds = sorted({*gain.row.seeds} & {*gain.other.seeds})
    return [gain.row.seeds.index(seed) for seed in seeds], [gain.other.seeds.index(seed) for seed in seeds]


def total(gains: list[Finding]) -> tuple[float, float, float]:
    """LibMTL's Δp of one row's gains, a share, with its interval: the mean over tasks of the relative gains."""
    drawn = []
    for gain in gains:
        joint, single = (
            row.draws[places][:, :, TASK_NAMES.index(gain.column)].mean(axis=0)
            for row, places in zip((gain.row, gain.other), _common(gain), strict=True)
        )
        drawn.append(np.divide(joint - single, single, out=np.full(len(joint), np.nan), where=single > 0))
    return float(np.mean([gain.relative for gain in gains])), *interval(np.mean(drawn, axis=0))


def baselines_sections(matrix: Matrix, gains: list[Finding], figures: list[Block]) -> list[Section]:
    """A table of gains for each budget, each negative transfer by name, the figures; none without baselines."""
    if not gains:
        return []
    volumes = ", ".join(f"{task} {matrix.train[TASK_NAMES.index(task)]:,}" for task in matrix.tasks)
    blocks: list[Block] = [INTRODUCTION, f"Training rows: {volumes}."]
    for budget in dict.fromkeys(gain.budget for gain in gains):
        members = [gain for gain in gains if gain.budget == budget]
        blocks += [f"{BUDGETS.get(budget, budget)}.", _table(matrix, members)]
    return [Section("Single-task baselines", [*blocks, *_negative(gains), *figures])]


def _table(matrix: Matrix, gains: list[Finding]) -> Table:
    body = []
    for row in dict.fromkeys(gain.row for gain in gains):
        by_task = {gain.column: gain for gain in gains if gain.row is row}
        mean, low, high = total(list(by_task.values()))
        all_tasks = len(by_task) == len(matrix.tasks)
        delta = f"{signed(mean)} % [{signed(low)}, {signed(high)}]" if all_tasks else NONE
        baseline = next(iter(by_task.values())).other.labels[1]
        body.append([*row.labels, baseline, *(_text(by_task.get(task)) for task in matrix.tasks), delta])
    tasks = [f"{task} n={matrix.n[TASK_NAMES.index(task)]:,}" for task in matrix.tasks]
    return table(body, [*tasks, "Δp"], ["baseline"])


def _text(gain: Finding | None) -> str:
    return f"{effect_text(gain.effect)} ({signed(gain.relative)} %)" if gain and gain.effect else NONE


def _negative(gains: list[Finding]) -> list[Block]:
    """Tasks that a row is worse at than its baseline, by the rule of the claims."""
    lines = [
        f"{gain.column}: {gain.row.name} {effect_text(gain.effect)} points, n={gain.effect.n:,}"
        for gain in gains
        if gain.effect and gain.effect.verdict is Verdict.contradicted
    ]
    if not lines:
        return [f"Negative transfer: none of {len(gains)} gains lies below zero by the rule of the claims."]
    return [f"Negative transfer, {len(lines)} of {len(gains)} gains:", lines]
