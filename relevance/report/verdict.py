"""Effects → what is decided: Holm's correction by family, a verdict on each, and one line on a family of models.

best ce   mh - prefix   +0.1 [-1.8, +1.9]   p 0.91   no difference shown: 100 seeds would not decide it
ce mh 81.4, ce prefix 81.3, both above word overlap → "mh or prefix: no difference shown"

The contrasts of a family are corrected together, those that could be tested. Not so the highest row of a family minus
each other: that it is the best has to hold against all, so that its least sure contrast decides, and finding it on the
same rows costs nothing (Gutmann and Maymin, Annals of Statistics 15, 1987). Choosing it on validation would not do
instead: a lucky training seed is lucky there as well (docs/log.md). That the highest beats one row picked beforehand,
the text prefix, is another claim: it stands in a family of all that are measured against that row, and is corrected.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd

from relevance.report.inference import ALPHA, SEEDS

WORD_OVERLAP = "word overlap"  # what a contrast with the lexical floor calls its second side
ENOUGH = 3  # seeds to begin with, where there is one
MOST_SEEDS = 10  # of a row that are worth their time: an effect that needs more is no difference that matters here
MOST_ROWS = 4  # times the test rows, likewise


class Outcome(StrEnum):
    """Of one effect, the worst first."""

    untested = "not tested"
    one_seed = "one seed"
    few_rows = "few rows"
    undecided = "no difference shown"
    lower = "lower"  # type: ignore[assignment]  # stands over str.lower, which nobody calls of an outcome
    higher = "higher"


def settled(effects: pd.DataFrame, best: Collection[str] = ()) -> pd.DataFrame:
    """The effects with `p_holm` and `verdict`; families named in `best` are the highest row minus each other.

    What has no p was not tested, and the others pay nothing for it.
    """
    corrected = effects.groupby("family", sort=False)["p"].transform(lambda p: holm(p.to_numpy()))
    p = effects["p"].where(effects["family"].isin(list(best)), corrected)
    verdicts = [_outcome(*each) for each in zip(effects["estimate"], effects["seeds"], p, strict=True)]
    return effects.assign(p_holm=p, verdict=verdicts)


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's (1979) corrected p of the tests of one family [T]; NaN stays, and counts as no test."""
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]  # NaN sorts last
    corrected = np.full(len(p), np.nan)
    corrected[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return corrected


def _outcome(estimate: float, seeds: float, p: float) -> Outcome:
    if np.isnan(estimate):
        return Outcome.untested
    if np.isnan(p):
        return Outcome.one_seed if seeds < SEEDS else Outcome.few_rows
    if p >= ALPHA:
        return Outcome.undecided
    return Outcome.higher if estimate > 0 else Outcome.lower


class Answer(StrEnum):
    """Of a family of models, the worst precondition first."""

    untested = "not tested"
    nothing = "learnt nothing: lower the rate"
    floor = "nothing beats word overlap: change the backbone or the data"
    evidence = "not enough evidence"
    alike = "no difference shown"
    use = "use"


@dataclass(frozen=True)
class Candidate:
    """A routing of a family, by its row."""

    name: str
    value: float  # what the page ranks by; NaN where no cell finished
    seeds: tuple[int, ...]
    learnt: bool  # whether any of its cells did, see metrics.learnt_nothing


@dataclass(frozen=True)
class Verdict:
    """One line on a family."""

    answer: Answer
    names: tuple[str, ...] = ()  # the highest, then those that no difference to it is shown of, from the highest down
    more_seeds: tuple[int, ...] = ()  # that would decide it, beside those there are
    more_rows: int = 0  # test rows in all that would, where no number of seeds does

    @property
    def text(self) -> str:
        """The line: "use mh", "mh or prefix: no difference shown", "not enough evidence: add seed=3,4"."""
        if self.answer is Answer.use:
            return f"{self.answer} {self.names[0]}"
        if self.answer is Answer.alike:
            return f"{', '.join(self.names[:-1])} or {self.names[-1]}: {self.answer}"
        if self.more_seeds:
            return f"{self.answer}: add seed={','.join(map(str, self.more_seeds))}"
        return f"{self.answer}: {self.more_rows:,} test rows would decide" if self.more_rows else str(self.answer)


def contenders(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that finished and learnt anything, from the highest down; of equals in the order they came in."""
    return sorted(
        (each for each in candidates if each.learnt and each.value == each.value), key=lambda each: -each.value
    )


def family_verdict(candidates: Sequence[Candidate], effects: pd.DataFrame) -> Verdict:
    """What to use of a family.

    `effects` are `settled`: the first of `contenders` minus each other one, and minus WORD_OVERLAP. In this order:

    - not tested: fewer than two candidates finished, or only one of them learnt anything
    - learnt nothing: none that finished did
    - nothing beats word overlap: the highest is not above it
    - not enough evidence: a row has one seed, a task fewer than panel.FEWEST left entities, or what is seen would be
      decided by at most MOST_SEEDS seeds a row or MOST_ROWS times the test rows
    - no difference shown: it would take more than that
    - use the highest: shown to be above all others and above word overlap
    """
    finished = [each for each in candidates if each.value == each.value]
    ranked = contenders(candidates)
    if len(finished) < 2 or len(ranked) == 1:
        return Verdict(Answer.untested, tuple(each.name for each in finished))
    if not ranked:
        return Verdict(Answer.nothing)
    first, *others = ranked
    here = effects[effects["a"] == first.name].set_index("b")
    if here.loc[WORD_OVERLAP, "estimate"] <= 0:
        return Verdict(Answer.floor, (first.name,))
    rows = here.loc[[*(each.name for each in others), WORD_OVERLAP]]
    unclear = rows[rows["verdict"] != Outcome.higher]
    names = (first.name, *(name for name in unclear.index if name != WORD_OVERLAP))
    if unclear.empty:
        return Verdict(Answer.use, names)
    return _unclear(unclear, names, sorted(set.intersection(*(set(each.seeds) for each in ranked))))


def _unclear(effects: pd.DataFrame, names: tuple[str, ...], seeds: list[int]) -> Verdict:
    """Of effects that are not decided: whether more seeds or rows would, worth their time, decide the least sure."""
    verdicts, needed, rows = (effects[name] for name in ("verdict", "seeds_needed", "rows_needed"))
    if (verdicts == Outcome.one_seed).any():
        return Verdict(Answer.evidence, names, _more(seeds, ENOUGH))
    if verdicts.isin([Outcome.few_rows, Outcome.untested]).any():
        return Verdict(Answer.evidence, names)
    if needed.max(skipna=False) <= MOST_SEEDS:
        return Verdict(Answer.evidence, names, _more(seeds, int(needed.max())))
    if rows.max(skipna=False) <= MOST_ROWS * effects["n_rows"].max():
        return Verdict(Answer.evidence, names, more_rows=int(rows.max()))
    return Verdict(Answer.alike, names) if len(names) > 1 else Verdict(Answer.evidence, names)


def _more(seeds: list[int], needed: int) -> tuple[int, ...]:
    """The lowest seeds that are not there yet, until there are so many."""
    free = (seed for seed in range(needed + len(seeds)) if seed not in seeds)
    return tuple(seed for _, seed in zip(range(max(1, needed - len(seeds))), free, strict=False))
