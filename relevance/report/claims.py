"""What is asked of the main rows of a matrix, as contrasts: the paper's claims, each part of a routing, single tasks.

b3  llm: mhp - mh, macro, mean over the models of the family that have both
llm private layers = mean of (mh → mhp) and (prefix_mh → prefix_mhp)
llm mh joint - llm mh single_item_type, on item_type

A claim that cannot be tested is a contrast without terms and says why. Like against like: `CONTROLS` name what a claim
about private layers changes besides them, and the routings that hold that still.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from relevance.config import Mix
from relevance.report.matrix import SHARED, MainRows, whole
from relevance.report.measures import DISAGREEMENT
from relevance.report.panel import Contrast, Term
from relevance.report.rows import MACRO, Row
from relevance.report.votes import MainVotes
from relevance.tasks import TASK_NAMES

CLAIMS = "claims"  # the contrasts that Holm's correction takes together
CLAIM_TEXTS = {  # what is claimed, and what its effect is the difference of
    "a1": ("the mhp vote beats every single cell (the highest is shown)", "mhp vote - highest cell"),
    "a2": ("the mhp vote beats the prefix vote", "mhp vote - prefix vote"),
    "b1": ("llm: without prefix and private layers (mh) it is worse than with the prefix", "llm: prefix - mh"),
    "b2": ("that loss (prefix to mh) is larger for llm than for ce", "prefix - mh: llm - ce"),
    "b3": ("llm: private layers recover what mh loses: mhp is better than mh", "llm: mhp - mh"),
    "c": ("{family}: training on all tasks helps those of fewest training rows ({tasks})", "{family}: joint - single"),
    "d1": ("a vote gains more over mhp members than over prefix members", "gain of voting: mhp - prefix"),
    "d2": ("mhp members differ more from each other than prefix members do", "members differ: mhp - prefix"),
}  # fmt: skip
LOW = "tasks of few rows"  # the scope of claims c
# Private layers as one set, as adapters; without them, all weights trained, adapters as large as mhp_lora's, as mhp's
CONTROLS = (SHARED, "mhp_lora", "mh_wide", "mh_r56", "mh_r569")
STEPS = {  # from one routing to another
    "prefix": [("none", "prefix"), ("mh", "prefix_mh"), ("mhp", "prefix_mhp")],
    "heads": [("none", "mh"), ("prefix", "prefix_mh")],
    "private layers": [("mh", "mhp"), ("prefix_mh", "prefix_mhp")],
    "private layers, one set for all tasks (capacity)": [("mh", SHARED)],
    "private layers, of its own against one set (isolation)": [(SHARED, "mhp")],
    "private layers as adapters": [("mh", "mhp_lora")],
    "every weight trained, without private layers": [("mh", "mh_wide")],
    "private adapters against one of equal weights (isolation)": [("mh_r56", "mhp_lora")],
    "private layers against an adapter of equal weights": [("mh_r569", "mhp")],
    "learnt vectors (soft prompt)": [("none", "soft_prompt")],
    "learnt vectors instead of the prefix": [("prefix", "soft_prompt")],
    "a matrix per task in the adapters (MTL-LoRA)": [("mh", "mtl_lora")],
    "private layers instead of such matrices": [("mtl_lora", "mhp")],
    "prefix × heads": [("none", "prefix"), ("mh", "prefix_mh")],
    "prefix × private layers": [("mh", "mhp"), ("prefix_mh", "prefix_mhp")],
}
INTERACTION = " × "  # in its name: the second step minus the first, not their mean


@dataclass(frozen=True, eq=False)
class Claim:
    """One sentence of the paper."""

    text: str
    contrast: Contrast  # `a` is its letter, `b` the claim as a difference
    rows: tuple[str, ...]  # names of those it rests on


@dataclass(frozen=True, eq=False)
class Gain:
    """A row of several tasks beside a single-task row of the same model, on its task."""

    row: Row
    other: Row
    task: str
    budget: str  # "steps", "examples" or "" where none is matched
    trained: int  # training rows of the task
    contrast: Contrast


Weighted = list[tuple[float, Row, np.ndarray]]  # factor, row and weights of tasks [6]


class Asked:
    """Everything that is asked of the main rows and their votes; `macro` [6] weighs the tasks of the data alike."""

    def __init__(self, main: MainRows, votes: MainVotes, macro: np.ndarray) -> None:
        self.main, self.votes, self.macro = main, votes, macro

    def claims(self) -> list[Claim]:
        """All of them but d2, which is of another measure, in the order of the letters."""
        claims = [*self._votes(), *self._prefixes(), *self._low(), *self._gain()]
        return sorted(claims, key=lambda claim: claim.contrast.a)

    def apart(self, places: Mapping[str, tuple[int, ...]]) -> Claim:
        """d2, of the panel of disagreements, in which each routing's votes have their places."""
        reason = self.votes.untestable("mhp", "prefix")
        terms = () if reason else tuple(
            Term(places[kind], sign * self.macro) for kind, sign in (("mhp", 1), ("prefix", -1))
        )  # fmt: skip
        text, short = CLAIM_TEXTS["d2"]
        return Claim(text, Contrast(CLAIMS, "d2", short, DISAGREEMENT, terms, reason), ())

    def _claim(self, letter: str, rows: Weighted, reason: str = "", scope: str = "macro", **words: str) -> Claim:
        text, short = (text.format(**words) for text in CLAIM_TEXTS[letter[0] if letter[0] == "c" else letter])
        terms = () if reason else tuple(Term(row.places, factor * weights) for factor, row, weights in rows)
        names = tuple(dict.fromkeys(row.name for _, row, _ in rows))
        return Claim(text, Contrast(CLAIMS, letter, short, scope, terms, reason), names)

    def _votes(self) -> Iterator[Claim]:
        if reason := self.votes.untestable("mhp"):
            yield from (self._claim(letter, [], reason) for letter in ("a1", "a2"))
            return
        vote = self.votes.hard("mhp")
        highest = max(whole(self.main.matrix), key=lambda row: row.mean[MACRO])
        yield self._claim("a1", self._minus(vote, highest))
        reason = self.votes.untestable("prefix")
        yield self._claim("a2", [] if reason else self._minus(vote, self.votes.hard("prefix")), reason)

    def _minus(self, row: Row, other: Row) -> Weighted:
        return [(1, row, self.macro), (-1, other, self.macro)]

    def _prefixes(self) -> Iterator[Claim]:
        llm, ce = (self.main.having(family, "prefix", "mh", "mhp") for family in ("llm", "ce"))
        absent = "no model of the {} family finished under prefix, mh and mhp".format
        drop, back = self.mean(llm, "prefix", "mh"), self.mean(llm, "mhp", "mh")
        other = [(-factor, row, weights) for factor, row, weights in self.mean(ce, "prefix", "mh")]
        reason = "" if llm else absent("llm")
        yield self._claim("b1", drop, reason)
        yield self._claim("b2", [*drop, *other], reason or ("" if ce else absent("ce")))
        yield self._claim("b3", back, reason)

    def mean(self, models: list[str], routing: str, other: str) -> Weighted:
        """One routing minus another, the mean over models that have both."""
        return [
            (factor / len(models), row, weights)
            for model in models
            for factor, row, weights in self._minus(self.main.joint[model, routing], self.main.joint[model, other])
        ]

    def _low(self) -> Iterator[Claim]:
        """Per family, over its models with baselines."""
        for number, (family, models) in enumerate(self.main.families.items(), 1):
            pairs = [rows for model in models if (rows := self._baselines(model))]
            rows = [(factor / len(pairs), row, weights) for rows in pairs for factor, row, weights in rows]
            reason = "" if rows else "no single-task cells of all these tasks; +sweep=baselines trains them"
            yield self._claim(f"c{number}", rows, reason, LOW, family=family, tasks=", ".join(self.main.low_tasks))

    def _baselines(self, model: str) -> Weighted:
        """A model's joint row on the tasks of few rows, minus the single-task rows, each on its task.

        The row is the first whose routing the baselines have, else the first of the model; by steps where it can be.
        """
        choices, tasks = [], self.main.low_tasks
        for routing in self.main.routings(model):
            row = self.main.joint[model, routing]
            for budget, singles in self.main.singles(row).items():
                if set(tasks) <= set(singles):
                    singly = [(-1 / len(tasks), singles[task], _on(task)) for task in tasks]
                    others = {singles[task].labels[1] for task in tasks} != {routing}
                    choices.append(((others, budget != "steps"), [(1, row, self.main.low), *singly]))
        return min(choices, key=lambda choice: choice[0])[1] if choices else []

    def _gain(self) -> Iterator[Claim]:
        if reason := self.votes.untestable("mhp", "prefix"):
            yield self._claim("d1", [], reason)
            return
        rows: Weighted = []
        for sign, kind in ((1, "mhp"), (-1, "prefix")):
            members = [self.main.joint[model, kind] for model in self.votes.models(kind)]
            rows += [(sign, self.votes.hard(kind), self.macro)]
            rows += [(-sign / len(members), row, self.macro) for row in members]
        yield self._claim("d1", rows)

    def factors(self) -> list[Contrast]:
        """Of each model each effect whose routings it has."""
        contrasts = []
        for model in dict.fromkeys(model for model, _ in self.main.joint):
            have = set(self.main.routings(model))
            for name, steps in STEPS.items():
                if have >= {routing for step in steps for routing in step}:
                    contrasts.append(Contrast("factors", model, name, "macro", self._steps(model, name, steps)))
        return contrasts

    def _steps(self, model: str, name: str, steps: list[tuple[str, str]]) -> tuple[Term, ...]:
        factors = [-1.0, 1.0] if INTERACTION in name else [1 / len(steps)] * len(steps)
        sums: dict[str, float] = {}
        for (first, then), factor in zip(steps, factors, strict=True):
            sums[then], sums[first] = sums.get(then, 0) + factor, sums.get(first, 0) - factor
        return tuple(Term(self.main.joint[model, name].places, by * self.macro) for name, by in sums.items())

    def gains(self) -> list[Gain]:
        """One for each row of several tasks, task and budget that has a baseline."""
        gains = []
        for row in self.main.matrix.finished:
            if row.config.task_mix.kind is not Mix.single:
                for budget, singles in self.main.singles(row).items():
                    gains += [self._gain_on(row, singles[task], task, budget) for task in TASK_NAMES if task in singles]
        return gains

    def _gain_on(self, row: Row, other: Row, task: str, budget: str) -> Gain:
        rows = self.main.matrix.train[TASK_NAMES.index(task)]
        trained = max(1, round(row.config.task_mix.share * rows))  # as data.batches.portion has it
        terms = (Term(row.places, _on(task)), Term(other.places, -_on(task)))
        return Gain(row, other, task, budget, trained, Contrast("gains", row.name, other.name, task, terms))


def _on(task: str) -> np.ndarray:
    return np.eye(len(TASK_NAMES))[TASK_NAMES.index(task)]
