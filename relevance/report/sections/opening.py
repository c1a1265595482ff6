"""What a reader has to know first: three sentences that answer, and notes on the table, each only where it holds.

"Which: for llm mhp is highest (84.9 % macro accuracy), undecided against mh; ..." made by rule, from numbers alone;
decided is what the rule of the claims calls supported; before them who learnt nothing
["Bold: the highest mean of its column ...", "† collapsed on the task: ... 2 of 6 finished cells collapsed ..."]
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relevance.metrics import COLUMNS
from relevance.pages.blocks import percent
from relevance.report.matrix import CEILING, MARK, MainRows, Matrix
from relevance.report.rows import NOTHING, Row
from relevance.report.sections.accuracy import NEAR
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
MACRO = COLUMNS.index("macro")
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
    idle: list[str]  # the routings of which no cell learnt anything, which are not among the others


def bests(main: MainRows) -> list[Best]:
    """One for each family in which cells learnt anything, in the order of the table."""
    return [best for family, models in main.families.items() if (best := _best(main, family, models))]


def _best(main: MainRows, family: str, models: list[str]) -> Best | None:
    models = [model for model in models if any(main.joint[model, one].learnt for one in main.routings(model))]
    most = max((len(main.routings(model)) for model in models), default=0)
    full = [model for model in models if len(main.routings(model)) == most]
    every = [one for one in main.routings(full[0]) if set(full) <= set(main.having(family, one))] if full else []
    routings = [one for one in every if any(main.joint[model, one].learnt for model in full)]
    if not routings:
        return None
    seeds = set.intersection(*(set(main.joint[model, one].seeds) for model in full for one in routings))
    means = {one: np.mean([_mean_over(main.joint[model, one], seeds) for model in full]) for one in routings}
    best = max(means, key=means.__getitem__)
    others = {one: contrast(mean(main, full, best, one), main.matrix.n) for one in routings if one != best}
    return Best(family, full, best, float(means[best]), others, [one for one in every if one not in routings])


def _mean_over(row: Row, seeds: set[int]) -> float:
    """Macro accuracy over the seeds that all rows have, so that no row is best by its seeds; over its own if none."""
    at = [row.seeds.index(seed) for seed in sorted(seeds)] or slice(None)
    return float(row.values[at, MACRO].mean())


def opening(main: MainRows, found: list[Claim]) -> list[str]:
    """Three sentences, before them which cells learnt nothing; fewer, and no best, where no joint cell learnt any."""
    rows = [row for row in main.matrix.rows if row.finished]
    if rows and not any(row.learnt for row in rows):
        none = f"No cell learnt anything: none of {sum(row.finished for row in rows)} is {BETTER}; {REMEDY}."
        return [none, f"How sure: {_how_sure(main, found)}."] if main.joint else [none]
    first = _nothing(rows)
    if not main.joint:
        return [f"{first}No cell of all tasks finished: nothing can be said yet."]
    families = {best.family: best for best in bests(main)}
    which = [
        _which(families[one]) if one in families else f"for {one} no routing learnt anything" for one in main.families
    ]
    much = [f"By how much: {'; '.join(map(_how_much, families.values()))}."] if families else []
    return [f"{first}Which: {'; '.join(which)}.", *much, f"How sure: {_how_sure(main, found)}."]


def _nothing(rows: list[Row]) -> str:
    """The sentence on cells that learnt nothing, a space after it; "" without any."""
    cells = [cell.cell for row in rows for cell, nothing in zip(row.cells, row.nothing, strict=True) if nothing]
    if not cells:
        return ""
    named = ", ".join([*cells[:NAMED], *(["…"] if len(cells) > NAMED else [])])
    total = sum(row.finished for row in rows)
    return f"Learnt nothing: {len(cells)} of {total} cells ({named}), not {BETTER}; {REMEDY}. "


def _which(best: Best) -> str:
    near = [routing for routing, value in best.others.items() if not _decided(value)]
    score = f"{percent(best.macro)} % macro accuracy"
    if not best.others:
        only = "learnt anything" if best.idle else "finished"
        return f"for {best.family} only {best.routing} {only} ({score})"
    if not near:
        return f"for {best.family} it is {best.routing} ({score}), decided against all {len(best.others)} others"
    if len(near) == len(best.others):
        return f"for {best.family} no routing is decided: {best.routing} is highest ({score})"
    return f"for {best.family} {best.routing} is highest ({score}), undecided against {_and(near)}"


def _how_much(best: Best) -> str:
    gaps = [(name, value) for name, value in best.others.items() if value]
    if not gaps:
        return f"for {best.family} there is nothing to compare {best.routing} with"
    against = best.others.get(REFERENCE)
    if against:
        return f"for {best.family} {best.routing} gains {effect_text(against)} points over the text prefix"
    name, value = min(gaps, key=lambda pair: pair[1].value)
    return f"for {best.family} {best.routing} gains {effect_text(value)} points over {name}, the next"


def _how_sure(main: MainRows, found: list[Claim]) -> str:
    matrix = main.matrix
    seeds = sorted({len(row.seeds) for row in main.joint.values()})
    words = [
        f"{matrix.n.sum():,} test rows, {_and([str(n) for n in seeds])} {'seed' if seeds == [1] else 'seeds'} a cell"
    ]
    words.append("95 % intervals over resampled entities")
    verdicts = [claim.verdict for claim in found]
    counts = ", ".join(f"{verdicts.count(one)} {one}" for one in Verdict if one in verdicts)
    words.append(f"of the paper's {len(found)} claims {counts}")
    return "; ".join([*words, *_floors(main, matrix)])


def _floors(main: MainRows, matrix: Matrix) -> list[str]:
    """What takes the ground from under any comparison: cells that are no better than what needs no model."""
    lexical = matrix.references["floor", "lexical"].macro
    below = [row for row in main.joint.values() if row.mean[MACRO] <= lexical]
    if not below:
        return []
    return [f"but {len(below)} of {len(main.joint)} rows do not beat the lexical floor ({percent(lexical)} %)"]


def _decided(value: Effect | None) -> bool:
    return value is not None and value.verdict is Verdict.supported


def _and(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def notes(found: list[Matrix], near: bool) -> list[str]:
    """One line for each thing that holds for any of the matrices; `near` whether any row is not told apart."""
    rows = [row for matrix in found for row in matrix.rows]
    cells = [cell for row in rows for cell in row.cells]
    dirty = sum(cell.dirty for cell in cells)
    idle, finished = sum(sum(row.nothing) for row in rows), sum(row.finished for row in rows)
    alike = {task: None for matrix in found for task in matrix.unlearnable}
    thin = {TASK_NAMES[at]: None for matrix in found for at in np.flatnonzero(matrix.resample.thin)}
    lines = {
        BOLD: True,
        ALIKE: near,
        FLOOR: True,
        f"Lexical is the majority on {', '.join(alike)}: fewer than two labels in training.": alike,
        THIN.format(tasks=", ".join(thin), fewest=FEWEST): thin,
        NOISE: any(CEILING in matrix.references for matrix in found),
        f"{COLLAPSE} {_collapses(rows)}": any(row.marked.any() for row in rows),
        f"{IDLE} {idle} of {finished} finished cells.": idle,
        PARTIAL: any(matrix.partial(row) for matrix in found for row in matrix.rows),
        SEEDS: any(0 < row.finished < len(row.cells) for row in rows),
        f"{dirty} of {len(cells)} cells ran from a working tree with uncommitted changes.": dirty,
    }
    return [line for line, holds in lines.items() if holds]


def _collapses(rows: list[Row]) -> str:
    """How many of the finished cells collapsed, and how many of them on how many tasks."""
    tasks = Counter(len(names) for row in rows for names in row.collapsed if names)
    told = ", ".join(f"{cells} on {n} {'task' if n == 1 else 'tasks'}" for n, cells in sorted(tasks.items()))
    return f"{tasks.total()} of {sum(row.finished for row in rows)} finished cells collapsed: {told}."
