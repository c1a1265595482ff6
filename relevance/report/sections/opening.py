"""What a reader has to know first: three sentences that answer, and notes on the table, each only where it holds.

"Which: for llm mhp is highest (84.9 % macro accuracy), undecided against mh; ..." made by rule, from numbers alone;
decided is what the rule of the claims calls supported; before them who learnt nothing
["Bold: the highest mean of its column ...", "† collapsed on the task: ... 2 of 6 finished cells collapsed ..."]
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relevance.pages.blocks import percent
from relevance.report.matrix import CEILING, MARK, MainRows, Matrix
from relevance.report.rows import MACRO, NOTHING, Row
from relevance.report.sections import NEAR
from relevance.report.sections.claims import Claim, mean
from relevance.report.stats import FEWEST, Effect, Verdict, contrast, effect_text
from relevance.tasks import TASK_NAMES

BOLD = "Bold: the highest mean of its column before rounding; rows that tie are all bold."
FLOOR = (
    "Floors: majority answers the most frequent training label of the task; lexical is, per task, gradient boosting on"
    " the cosine of character 3-4-grams, word overlaps and lengths of the two texts."
)
NOISE = (
    "Ceiling: the share of test rows whose label is the one before noise; a model that knew every true label would "
    "score this."
)
COLLAPSE = (
    f"{MARK} collapsed on the task: some seed predicted one class only, or its accuracy is not above the upper end of "
    "the 95 % Wilson interval of the majority floor's. Floors, ceiling and probes are not tested for it."
)
IDLE = (
    f"{NOTHING}: the cell's macro accuracy is not above that of the majority floor on the same rows, or it collapsed "
    "on every task it was tested on. A row of such cells alone is neither bold nor called highest; lower its rate "
    "(model.lr) or train longer."
)
PARTIAL = (
    "Micro and macro are over the tasks a row was tested on; rows not tested on every task of the data show theirs and"
    " stay out of the bold."
)
ALIKE = (
    f"{NEAR} not told apart from the highest of its column: the 95 % interval of the difference, over resampled "
    "entities, holds zero. It says nothing of rows that share no seed with the highest."
)
THIN = (
    "No interval can be given for {tasks}, nor for macro: fewer than {fewest} entities in its test rows; what rests on "
    "them is undecided."
)
SEEDS = "Where seeds read 2 of 3, the mean is over the seeds that finished."
NAMED = 3  # cells that the first sentence names
BETTER = "better than the most frequent label"
REMEDY = "lower the rate (model.lr) or train longer"
REFERENCE = "prefix"  # the plain way, which the others are measured by


@dataclass(frozen=True)
class Best:
    """The best routing of one family, over its models that were trained with the most routings."""

    family: str
    models: list[str]
    routing: str
    macro: float
    others: dict[str, Effect | None]  # the best minus each other routing
    idle: bool  # whether of some routing no cell learnt anything; it is not among the others


def bests(main: MainRows) -> list[Best]:
    """One for each family in which cells learnt anything, in the order of the table."""
    return [best for family, models in main.families.items() if (best := _best(main, family, models))]


def _best(main: MainRows, family: str, models: list[str]) -> Best | None:
    def learnt(models: list[str], routings: list[str]) -> bool:
        return any(main.joint[model, routing].learnt for model in models for routing in routings)

    models = [model for model in models if learnt([model], main.routings(model))]
    if not models:
        return None
    most = max(len(main.routings(model)) for model in models)
    full = [model for model in models if len(main.routings(model)) == most]
    shared = [routing for routing in main.routings(full[0]) if set(full) <= set(main.having(family, routing))]
    routings = [routing for routing in shared if learnt(full, [routing])]
    if not routings:
        return None
    seeds = set.intersection(*(set(main.joint[model, routing].seeds) for model in full for routing in routings))
    means = {name: float(np.mean([_mean_over(main.joint[model, name], seeds) for model in full])) for name in routings}
    best = max(means, key=means.__getitem__)
    others = {name: contrast(mean(main, full, best, name), main.matrix.n) for name in routings if name != best}
    return Best(family, full, best, means[best], others, len(routings) < len(shared))


def _mean_over(row: Row, seeds: set[int]) -> float:
    """Macro accuracy over the seeds that all rows have, so that no row is best by its seeds; over its own if none."""
    at = [row.seeds.index(seed) for seed in sorted(seeds)] or slice(None)
    return float(row.values[at, MACRO].mean())


def opening(main: MainRows, claims: list[Claim]) -> list[str]:
    """Three sentences, before them which cells learnt nothing; fewer, and no best, where no joint cell learnt any."""
    rows = main.matrix.finished
    sure = f"How sure: {_how_sure(main, claims)}." if main.joint else ""
    if rows and not any(row.learnt for row in rows):
        none = f"No cell learnt anything: none of {sum(row.finished for row in rows)} is {BETTER}; {REMEDY}."
        return [none, sure] if sure else [none]
    first = _nothing(rows)
    if not main.joint:
        return [f"{first}No cell of all tasks finished: nothing can be said yet."]
    best = {best.family: best for best in bests(main)}
    nothing = "for {} no routing learnt anything".format
    which = "; ".join(_which(best[family]) if family in best else nothing(family) for family in main.families)
    much = [f"By how much: {'; '.join(map(_how_much, best.values()))}."] if best else []
    return [f"{first}Which: {which}.", *much, sure]


def _nothing(rows: list[Row]) -> str:
    """The sentence on cells that learnt nothing, a space after it; "" without any."""
    cells = [cell.cell for row in rows for cell, nothing in zip(row.cells, row.nothing, strict=True) if nothing]
    if not cells:
        return ""
    names = ", ".join([*cells[:NAMED], *(["…"] if len(cells) > NAMED else [])])
    total = sum(row.finished for row in rows)
    return f"Learnt nothing: {len(cells)} of {total} cells ({names}), not {BETTER}; {REMEDY}. "


def _which(best: Best) -> str:
    near = [name for name, effect in best.others.items() if not effect or effect.verdict is not Verdict.supported]
    score = f"{percent(best.macro)} % macro accuracy"
    if not best.others:
        return f"for {best.family} only {best.routing} {'learnt anything' if best.idle else 'finished'} ({score})"
    if not near:
        return f"for {best.family} it is {best.routing} ({score}), decided against all {len(best.others)} others"
    if len(near) == len(best.others):
        return f"for {best.family} no routing is decided: {best.routing} is highest ({score})"
    return f"for {best.family} {best.routing} is highest ({score}), undecided against {_and(near)}"


def _how_much(best: Best) -> str:
    gaps = {name: effect for name, effect in best.others.items() if effect}
    if not gaps:
        return f"for {best.family} there is nothing to compare {best.routing} with"
    name = REFERENCE if REFERENCE in gaps else min(gaps, key=lambda name: gaps[name].value)
    against = "the text prefix" if name == REFERENCE else f"{name}, the next"
    return f"for {best.family} {best.routing} gains {effect_text(gaps[name])} points over {against}"


def _how_sure(main: MainRows, claims: list[Claim]) -> str:
    """With what takes the ground from under any comparison: cells that are no better than what needs no model."""
    numbers = sorted({row.finished for row in main.joint.values()})
    seeds = f"{_and(list(map(str, numbers)))} {'seed' if numbers == [1] else 'seeds'}"
    verdicts = Counter(claim.verdict for claim in claims)
    lexical = main.matrix.references["floor", "lexical"].macro
    below = [row for row in main.joint.values() if row.mean[MACRO] <= lexical]
    words = [
        f"{main.matrix.n.sum():,} test rows, {seeds} a cell",
        "95 % intervals over resampled entities",
        f"of the paper's {len(claims)} claims "
        + ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in Verdict if verdict in verdicts),
    ]
    if below:
        total = len(main.joint)
        words.append(f"but {len(below)} of {total} rows do not beat the lexical floor ({percent(lexical)} %)")
    return "; ".join(words)


def _and(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def notes(tables: list[Matrix], near: bool) -> list[str]:
    """One line for each thing that holds for any of the matrices; `near` whether any row is not told apart."""
    rows = [row for matrix in tables for row in matrix.rows]
    cells = [cell for row in rows for cell in row.cells]
    dirty = sum(cell.dirty for cell in cells)
    idle, finished = sum(sum(row.nothing) for row in rows), sum(row.finished for row in rows)
    alike = {task: None for matrix in tables for task in matrix.unlearnable}
    thin = {TASK_NAMES[at]: None for matrix in tables for at in np.flatnonzero(matrix.resample.thin)}
    lines = {
        BOLD: True,
        ALIKE: near,
        FLOOR: True,
        f"Lexical is the majority on {', '.join(alike)}: fewer than two labels in training.": alike,
        THIN.format(tasks=", ".join(thin), fewest=FEWEST): thin,
        NOISE: any(CEILING in matrix.references for matrix in tables),
        f"{COLLAPSE} {_collapses(rows)}": any(row.marked.any() for row in rows),
        f"{IDLE} {idle} of {finished} finished cells.": idle,
        PARTIAL: any(matrix.partial(row) for matrix in tables for row in matrix.rows),
        SEEDS: any(0 < row.finished < len(row.cells) for row in rows),
        f"{dirty} of {len(cells)} cells ran from a working tree with uncommitted changes.": dirty,
    }
    return [line for line, holds in lines.items() if holds]


def _collapses(rows: list[Row]) -> str:
    """How many of the finished cells collapsed, and how many of them on how many tasks."""
    tasks = Counter(len(names) for row in rows for names in row.collapsed if names)
    counts = ", ".join(f"{cells} on {n} {'task' if n == 1 else 'tasks'}" for n, cells in sorted(tasks.items()))
    return f"{tasks.total()} of {sum(row.finished for row in rows)} finished cells collapsed: {counts}."
