"""What the paper claims, asked of the cells at hand: supported, contradicted or undecided, and on what.

a  the mhp vote beats every single cell   +0.9 [-0.2, +2.0]   undecided   n=1,212, seeds +0.7 +1.1 +0.9

With all six routings of a model: what prefix, heads and private layers do by themselves, and together.
llm  heads  +3.1 [+2.2, +4.0]  = mean of (none → mh) and (prefix → prefix_mh)
"""

from dataclasses import dataclass

import numpy as np

from relevance.config import Mix
from relevance.pages.blocks import NONE, Block, Bold, Section, Table, signed
from relevance.report.matrix import SHARED, MainRows, Matrix, whole
from relevance.report.rows import Row
from relevance.report.sections.ensembles import Votes
from relevance.report.stats import SEEDS, Effect, Terms, Verdict, contrast, effect_text, interval, on, versus
from relevance.tasks import TASK_NAMES

ROUTED = ("prefix", "mh", "mhp")
BUDGETS = {  # the first that was run is used
    "steps": "match=steps: a single-task cell takes as many optimiser steps as its joint cell",
    "examples": "match=examples: a single-task cell sees its rows as often as its joint cell does",
    "": "budgets not matched: each cell trains for its own epochs and may stop early",
}
MACRO = "macro"
SHORT = {  # what an effect is the difference of, by the first letters of its claim
    "a1": "mhp vote - closest cell",
    "a2": "mhp vote - prefix vote",
    "b1": "llm: prefix - mh",
    "b2": "prefix - mh: llm - ce",
    "b3": "llm: mhp - mh",
    "c": "joint - single, few rows",
    "d1": "gain of voting: mhp - prefix",
    "d2": "members differ: mhp - prefix",
}
COLUMN = {"c": "mean of the tasks of few rows", "d2": "disagreement"}  # of those that are not of macro accuracy
RANK = {
    Verdict.contradicted: 0,
    Verdict.undecided: 1,
    Verdict.supported: 2,
}  # a claim about all is as good as its worst
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
Steps = list[tuple[str, str]]  # from one routing to another
EFFECTS: dict[str, Steps] = {
    "prefix": [("none", "prefix"), ("mh", "prefix_mh"), ("mhp", "prefix_mhp")],
    "heads": [("none", "mh"), ("prefix", "prefix_mh")],
    "private layers": [("mh", "mhp"), ("prefix_mh", "prefix_mhp")],
    "private layers, shared by all tasks (capacity)": [("mh", SHARED)],
    "private layers, of its own against shared (isolation)": [(SHARED, "mhp")],
}
INTERACTIONS = {  # the second step minus the first
    "prefix × heads": (("none", "prefix"), ("mh", "prefix_mh")),
    "prefix × private layers": (("mh", "mhp"), ("prefix_mh", "prefix_mhp")),
}
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
    effect: Effect | None
    reason: str = ""

    @property
    def column(self) -> str:
        """What the effect is a difference of."""
        return COLUMN.get(self.letter, COLUMN.get(self.letter[0], MACRO))

    @property
    def short(self) -> str:
        """The claim as a difference, for a figure."""
        told = SHORT.get(self.letter) or SHORT[self.letter[0]]
        return (
            f"{self.letter} {self.text.partition(':')[0]}: {told}" if self.letter[0] == "c" else f"{self.letter} {told}"
        )

    @property
    def verdict(self) -> str:
        return self.effect.verdict.value if self.effect else Verdict.undecided.value


def claims(main: MainRows, votes: Votes) -> list[Claim]:
    """All of them, in the order of the letters."""
    found = [*_votes(main, votes), *_prefixes(main), *_low(main), *_gain(main, votes)]
    return sorted(found, key=lambda claim: (claim.letter[0], int(claim.letter[1:])))


def _votes(main: MainRows, votes: Votes) -> list[Claim]:
    every = "the mhp vote beats every single cell (the closest is shown)"
    other = "the mhp vote beats the prefix vote"
    if reason := votes.untestable("mhp"):
        return [Claim("a1", every, None, reason), Claim("a2", other, None, reason)]
    vote = votes.hard["mhp"]
    rivals = [_claim(main, "a1", every, versus(vote, row.series, MACRO)) for row in whole(main.matrix)]
    closest = min(rivals, key=_worst)
    if reason := votes.untestable("prefix"):
        return [closest, Claim("a2", other, None, reason)]
    return [closest, _claim(main, "a2", other, versus(vote, votes.hard["prefix"], MACRO))]


def _worst(rival: Claim) -> tuple[int, float]:
    """One that cannot be asked first: a claim about every cell is not decided without it."""
    return (RANK[rival.effect.verdict], rival.effect.value) if rival.effect else (-1, 0.0)


def _prefixes(main: MainRows) -> list[Claim]:
    texts = {
        "b1": "llm: without the prefix and without private layers (mh) it is worse than with the prefix",
        "b2": "that loss (prefix to mh) is larger for llm than for ce",
        "b3": "llm: private layers recover what mh loses, if it does: mhp is better than mh",
    }
    llm, ce = (main.having(family, *ROUTED) for family in ("llm", "ce"))
    if not llm:
        why = "no model of the llm family finished under prefix, mh and mhp"
        return [Claim(letter, text, None, why) for letter, text in texts.items()]
    drop, back = mean(main, llm, "prefix", "mh"), mean(main, llm, "mhp", "mh")
    found = [_claim(main, "b1", texts["b1"], drop), _claim(main, "b3", texts["b3"], back)]
    if not ce:
        return [*found, Claim("b2", texts["b2"], None, "no model of the ce family finished under prefix, mh and mhp")]
    other = [(-weights, series) for weights, series in mean(main, ce, "prefix", "mh")]
    return [*found, _claim(main, "b2", texts["b2"], [*drop, *other])]


def mean(main: MainRows, models: list[str], one: str, other: str) -> Terms:
    """Macro accuracy of one routing minus that of another, the mean over models that have both."""
    pairs = [versus(main.joint[model, one].series, main.joint[model, other].series, MACRO) for model in models]
    return [(weights / len(models), series) for terms in pairs for weights, series in terms]


def _low(main: MainRows) -> list[Claim]:
    """Per family, over its models with baselines; by steps where several budgets were run."""
    found = []
    for number, (family, models) in enumerate(main.families.items(), 1):
        text = (
            f"{family}: training on all tasks helps those with the fewest training rows ({', '.join(main.low_tasks)})"
        )
        pairs = [terms for model in models if (terms := _baselines(main, model))]
        terms = [(weights / len(pairs), series) for terms in pairs for weights, series in terms]
        none = Claim(f"c{number}", text, None, "no single-task cells of all these tasks; +sweep=baselines trains them")
        found.append(_claim(main, f"c{number}", text, terms) if terms else none)
    return found


def _baselines(main: MainRows, model: str) -> Terms:
    """A model's joint row on the tasks of few rows, minus the single-task rows, each on its task.

    The row is the one whose routing the baselines have, else the first of the model.
    """
    found = []
    for routing in main.routings(model):
        row = main.joint[model, routing]
        for budget, singles in sorted(main.singles(row).items(), key=lambda pair: list(BUDGETS).index(pair[0])):
            own = {task: singles[task] for task in main.low_tasks if task in singles}
            if len(own) == len(main.low_tasks):
                theirs = {one.labels[1] for one in own.values()}
                terms = [(main.low, row.series), *((on(task, -1 / len(own)), one.series) for task, one in own.items())]
                found.append((theirs != {routing}, list(BUDGETS).index(budget), terms))
    return min(found, key=lambda one: one[:2])[2] if found else []


def _gain(main: MainRows, votes: Votes) -> list[Claim]:
    texts = {
        "d1": "a vote gains more over the mean of its members with mhp members than with prefix members",
        "d2": "mhp members differ more from each other than prefix members do (share of rows, mean over pairs)",
    }
    if reason := votes.untestable("mhp") or votes.untestable("prefix"):
        return [Claim(letter, text, None, reason) for letter, text in texts.items()]
    terms = []
    for sign, kind in ((1, "mhp"), (-1, "prefix")):
        members = [main.joint[model, kind].series for model in votes.models[kind]]
        terms += [(on(MACRO, sign), votes.hard[kind])]
        terms += [(on(MACRO, -sign / len(members)), series) for series in members]
    apart = versus(votes.apart["mhp"], votes.apart["prefix"], MACRO)
    return [_claim(main, "d1", texts["d1"], terms), _claim(main, "d2", texts["d2"], apart)]


def _claim(main: MainRows, letter: str, text: str, terms: Terms) -> Claim:
    value = contrast(terms, main.matrix.n)
    names = "; ".join(dict.fromkeys(series.name for _, series in terms))
    return Claim(letter, text, value, "" if value else f"no seed that all of these finished: {names}")


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


def factors(main: MainRows) -> list[tuple[str, str, str, Effect | None]]:
    """Model, effect, the steps it is made of, and the effect or None where a routing is missing; none without any."""
    found = []
    for model in dict.fromkeys(model for model, _ in main.joint):
        lines = [
            *((name, steps, [1 / len(steps)] * len(steps)) for name, steps in EFFECTS.items()),
            *((name, list(steps), [-1.0, 1.0]) for name, steps in INTERACTIONS.items()),
        ]
        found += [
            (model, name, _told(steps, weights), _effect(main, model, steps, weights)) for name, steps, weights in lines
        ]
    known = {model for model, _, _, value in found if value}
    return [line for line in found if line[0] in known]


def factors_section(main: MainRows) -> list[Section]:
    """None where no model has the routings of any effect."""
    found = factors(main)
    if not found:
        return []
    body = [[model, name, steps, *_texts(value)] for model, name, steps, value in found]
    header = ["model", "effect", "steps", f"points n={main.matrix.n.sum():,}", "by seed", "above zero"]
    return [Section("What each part of a routing does", [FACTORS, Table(header, body, left=3)])]


def _effect(main: MainRows, model: str, steps: Steps, weights: list[float]) -> Effect | None:
    if any((model, routing) not in main.joint for step in steps for routing in step):
        return None
    terms = [
        (on("macro", sign * weight), main.joint[model, routing].series)
        for step, weight in zip(steps, weights, strict=True)
        for routing, sign in zip(step, (-1, 1), strict=True)
    ]
    return contrast(terms, main.matrix.n)


def _told(steps: Steps, weights: list[float]) -> str:
    texts = [f"{one} → {other}" for one, other in steps]
    return f"({texts[1]}) - ({texts[0]})" if weights[0] < 0 else ", ".join(texts)


def _texts(value: Effect | None) -> list[str]:
    if value is None:
        return [NONE] * 3
    return [effect_text(value), " ".join(map(signed, value.seeds)), value.verdict.value]


INTRODUCTION = (
    "Δ: accuracy of a cell of several tasks minus that of a cell of the same model on the task alone, in points, with "
    "the 95 % interval of resampled entities; in parentheses relative to the single-task accuracy. Δp is LibMTL's: the"
    " mean over tasks of the relative Δ, in percent. Baselines have the row's own routing, or else the one named."
)


@dataclass(frozen=True)
class Gain:
    """Of one row, on one task, under one budget."""

    row: Row
    single: Row
    task: str
    budget: str
    effect: Effect
    relative: float  # of the single-task accuracy
    rows: int  # training rows of the task


def gains(main: MainRows) -> list[Gain]:
    """One for each row of several tasks, task and budget for which a baseline shares a finished seed with it."""
    found = []
    for row in main.finished:
        if row.config.task_mix.kind is Mix.single:
            continue
        for budget, singles in main.singles(row).items():
            known = (_gain_on(row, singles[task], task, budget, main.matrix) for task in TASK_NAMES if task in singles)
            found += [one for one in known if one]
    return found


def _gain_on(row: Row, single: Row, task: str, budget: str, matrix: Matrix) -> Gain | None:
    delta = contrast(versus(row.series, single.series, task), matrix.n)
    if delta is None:
        return None
    base = _mean(single.values, [single.seeds.index(seed) for seed in _common(row, single)], task)
    trained = row.config.task_mix.share * matrix.train[TASK_NAMES.index(task)]
    rows = max(1, round(trained))  # as data.batches.portion has it
    return Gain(row, single, task, budget, delta, delta.value / base if base else np.nan, rows)


def total(found: list[Gain]) -> tuple[float, float, float]:
    """LibMTL's Δp of one row's gains, a share, with its interval: the mean over tasks of the relative gains."""
    ratios, drawn = [], []
    for gain in found:
        column = TASK_NAMES.index(gain.task)
        common = _common(gain.row, gain.single)
        joint, single = (
            one.draws[[one.seeds.index(seed) for seed in common]][:, :, column].mean(axis=0)
            for one in (gain.row, gain.single)
        )
        ratios.append(gain.relative)
        drawn.append(np.divide(joint - single, single, out=np.full(len(joint), np.nan), where=single > 0))
    return float(np.mean(ratios)), *interval(np.mean(drawn, axis=0))


def baselines_sections(matrix: Matrix, found: list[Gain], figures: list[Block]) -> list[Section]:
    """A table of gains for each budget, each negative transfer by name, the figures; none without baselines."""
    if not found:
        return []
    tested = np.flatnonzero(matrix.n)
    volumes = ", ".join(f"{TASK_NAMES[task]} {matrix.train[task]:,}" for task in tested)
    blocks: list[Block] = [INTRODUCTION, f"Training rows: {volumes}."]
    for budget in dict.fromkeys(gain.budget for gain in found):
        blocks += [f"{BUDGETS.get(budget, budget)}.", _table(matrix, [one for one in found if one.budget == budget])]
    return [Section("Single-task baselines", [*blocks, *_negative(found), *figures])]


def _table(matrix: Matrix, found: list[Gain]) -> Table:
    header = ["model", "routing", "task mix", "variant", "baseline"]
    tested = np.flatnonzero(matrix.n)
    header += [f"{TASK_NAMES[task]} n={matrix.n[task]:,}" for task in tested]
    body = []
    for row in dict.fromkeys(gain.row for gain in found):
        own = {gain.task: gain for gain in found if gain.row is row}
        texts = [_text(own.get(TASK_NAMES[task])) for task in tested]
        whole, low, high = total(list(own.values()))
        asked = f"{signed(whole)} % [{signed(low)}, {signed(high)}]" if len(own) == len(tested) else NONE
        body.append([*row.labels, next(iter(own.values())).single.labels[1], *texts, asked])
    return Table([*header, "Δp"], body, left=5)


def _text(gain: Gain | None) -> str:
    return f"{effect_text(gain.effect)} ({signed(gain.relative)} %)" if gain else NONE


def _negative(found: list[Gain]) -> list[Block]:
    """Tasks that a row is worse at than its baseline, by the rule of the claims."""
    worse = [gain for gain in found if gain.effect.verdict is Verdict.contradicted]
    if not worse:
        return [f"Negative transfer: none of {len(found)} gains lies below zero by the rule of the claims."]
    lines = [f"{one.task}: {one.row.name} {effect_text(one.effect)} points, n={one.effect.n:,}" for one in worse]
    return [f"Negative transfer, {len(worse)} of {len(found)} gains:", lines]


def _common(row: Row, single: Row) -> list[int]:
    return sorted(set(row.seeds) & set(single.seeds))


def _mean(values: np.ndarray, at: list[int], task: str) -> float:
    return float(values[at, TASK_NAMES.index(task)].mean())
