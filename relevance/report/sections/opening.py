"""The answer: a line for each family of models out of a fixed set, a table of at most six rows, and one figure.

"ce: mh, mhp, prefix or none: no difference shown"     "llm: not enough evidence: add seed=1,2", with the command
"""

import re
from collections.abc import Sequence

import numpy as np

from relevance.pages.blocks import NONE, Block, Bold, Code, Table, percent
from relevance.report.evidence import BEST, PREFIX, REFERENCE, Effect, Evidence
from relevance.report.figures import Line
from relevance.report.matrix import LEXICAL, MARK
from relevance.report.measures import ACCURACY
from relevance.report.rows import FINISHED, NOTHING, Row
from relevance.report.sections import drawn, effect_text, short
from relevance.report.verdict import WORD_OVERLAP, Answer, Outcome, Verdict, contenders
from relevance.tracking.records import SweepRun

MOST = 6  # rows of the first table
FITTING = 12  # lines of the first figure: more would not stand on the first screen
NAMED = 3  # cells that a sentence names
MODELS = re.compile(r"(?<=\s)model=(\S+)")
SEED = re.compile(r"(?<=\s)seed=\S+")
REMEDY = "lower the rate (model.lr) or train longer"
TITLES = {Outcome.higher: "above", Outcome.lower: "below"}
MEASURE = {
    ACCURACY: "accuracy",
    "ndcg_10": "NDCG@10",
    "mrr": "MRR",
    "average_precision": "average precision",
    "average_precision_relevant": "average precision of label 2",
}


def verdict_lines(evidence: Evidence, runs: Sequence[SweepRun], data: str = "") -> list[Block]:
    """A line for each family, what it rests on beside it, and the commands that would decide what is open.

    `data` names the table of pairs where there are several.
    """
    lines: list[Block] = []
    commands: dict[str, None] = {}
    for family, verdict in evidence.verdicts.items():
        lines += [Bold(f"{family}{data}: {verdict.text}."), _reason(evidence, family, verdict)]
        if verdict.more_seeds:
            commands[with_seeds(_command(runs, evidence.models(family)), verdict.more_seeds)] = None
    if not evidence.main.joint:
        lines += [Bold(f"not tested{data}: no cell of all tasks finished."), _unfinished(evidence)]
    return [line for line in lines if line] + [Code(command) for command in commands]


def _unfinished(evidence: Evidence) -> str:
    """How many cells have no scores, and why the first has none."""
    cells = [cell for row in evidence.matrix.rows for cell in row.cells if cell.status != FINISHED]
    if not cells:
        return ""
    first, total = cells[0], sum(len(row.cells) for row in evidence.matrix.rows)
    return f"{len(cells)} of {total} did not finish: {first.cell} {first.status.lower()}: {first.reason or NONE}"


def _command(runs: Sequence[SweepRun], models: list[str]) -> str:
    """That of the sweep which names one of the models, else of the first."""
    names = {model.split()[0] for model in models}
    named = [run.command for run in runs if names & set(_models(run.command))]
    return next(iter([*named, *(run.command for run in runs)]), "python -m relevance.run")


def _models(command: str) -> list[str]:
    return [name for names in MODELS.findall(command) for name in names.split(",")]


def with_seeds(command: str, seeds: tuple[int, ...]) -> str:
    """The command that trains these seeds as well."""
    word = f"seed={','.join(map(str, seeds))}"
    return SEED.sub(word, command) if SEED.search(command) else f"{command} {word}"


def _reason(evidence: Evidence, family: str, verdict: Verdict) -> str:
    """What the line rests on; the worst first: cells that learnt nothing or collapsed."""
    sentences = [*_nothing(evidence, family)]
    if ranked := contenders(evidence.candidates[family]):
        first, *others = ranked
        rows = [evidence.main.joint[model, first.name] for model in evidence.models(family)]
        if marked := {task: None for row in rows for task in row.collapsed}:
            sentences.append(
                f"{first.name} collapsed on {', '.join(marked)} ({MARK}: not shown to tell more than one answer to "
                "every row would)."
            )
        gap = ""
        if others:  # over the prefix, or the next where it is the prefix or there is none
            other = next((each for each in others if each.name == REFERENCE), others[0]).name
            gap = f", {effect_text(evidence.effect(BEST + family, first.name, other))} points over {other}"
        sentences.append(f"Highest: {first.name}, {percent(first.value)} %{gap}.")
        floor = evidence.effect(BEST + family, first.name, WORD_OVERLAP)
        if verdict.answer is not Answer.floor and floor is not None and not floor["low"] > 0:
            sentences.append(f"It is not shown to beat word overlap: {effect_text(floor)} points.")
        if len(first.seeds) == 1:
            sentences.append("One training seed decides nothing.")
    return " ".join(sentences)


def _nothing(evidence: Evidence, family: str) -> list[str]:
    """The sentence on cells of a family that learnt nothing."""
    rows = [row for row in evidence.matrix.finished if evidence.main.family(row) == family]
    cells = [cell.cell for row in rows for cell in row.nothing]
    if not cells:
        return []
    names = ", ".join([*cells[:NAMED], *(["…"] if len(cells) > NAMED else [])])
    total = sum(row.finished for row in rows)
    return [f"{NOTHING.capitalize()}: {len(cells)} of {total} cells ({names}); {REMEDY}."]


def first_table(evidence: Evidence) -> Table:
    """Of each model its family's highest routings and the prefix, at most six rows in all."""
    models = [(family, model) for family in evidence.candidates for model in evidence.models(family)][:MOST]
    body = []
    for family, model in models:
        ranked = sorted(evidence.candidates[family], key=lambda each: -each.value)
        names = [each.name for each in ranked]
        shown = sorted(names, key=lambda name: (name != names[0], name != REFERENCE))[: MOST // len(models)]
        body += [_line(evidence, evidence.main.joint[model, name]) for name in names if name in shown]
    header = ["model", "routing", f"macro {MEASURE[evidence.measure]}, %", f"minus {REFERENCE}", "weights"]
    if not evidence.of(PREFIX):  # no model was trained with it
        header, *body = [[*line[:3], *line[4:]] for line in (header, *body)]
    return Table(header, body, left=2)


def _line(evidence: Evidence, row: Row) -> list[str]:
    model = evidence.main.model(row)
    other = evidence.main.joint.get((model, REFERENCE))
    effect = evidence.effect(PREFIX, row.name, other.name) if other else None
    text = effect_text(effect)
    values = evidence.macro(row)
    sd = values.std(ddof=1) if len(values) > 1 else np.nan
    return [model, row.labels[1], percent(values.mean(), sd), text, short(row.metric("params/trainable"))]


def reading(evidence: Evidence) -> str:
    """What the numbers above are, in the words that the page uses."""
    matrix, name = evidence.matrix, MEASURE[evidence.measure]
    seeds = sorted({row.finished for row in evidence.main.joint.values()})
    number = " or ".join(map(str, seeds))
    lexical = evidence.ranked.values([matrix.floor(LEXICAL[1])], evidence.ranked.weights("macro"))[0]
    return (
        f"Macro {name}: the mean over {len(matrix.tasks)} tasks, {matrix.n.sum():,} test rows; ± the deviation over "
        f"{number} training {'seed' if number == '1' else 'seeds'}; [95 % interval] over the entities of the test rows "
        f"and over seeds; weights: those that are trained. Word overlap, which needs no model: {percent(lexical)} %."
    )


def differences(evidence: Evidence) -> tuple[list[Line], str, str]:
    """Lines of the first figure, its title, which says what is seen, and what its axis shows.

    They are each model's routings minus its text prefix; of many, or without a prefix, each family's highest minus the
    others, which the lines above the figure speak of.
    """
    effects = evidence.of(PREFIX)
    name = MEASURE[evidence.measure]
    rows = {row.name: key for key, row in evidence.main.joint.items()}
    if 0 < len(effects) <= FITTING:
        lines = [drawn(effect, rows[effect["a"]][1], rows[effect["a"]][0]) for effect in effects]
        return lines, _title(lines, effects), f"macro {name} minus that of the text prefix, points"
    lines, titles = [], []
    for family, verdict in evidence.verdicts.items():
        bests = [effect for effect in evidence.of(BEST + family) if effect["b"] != WORD_OVERLAP]
        lines += [drawn(effect, effect["b"], f"{family}: {effect['a']} minus") for effect in bests]
        titles += [f"{family}: {verdict.text}"] if bests else []
    return lines, "; ".join(titles), f"difference of macro {name}, points"


def _title(lines: list[Line], effects: list[Effect]) -> str:
    """Which routings are above the prefix and which below; models of which the same is seen stand together."""
    seen: dict[str, list[str]] = {}
    for model in dict.fromkeys(line.group for line in lines):
        verdicts = {
            line.label: each["verdict"] for line, each in zip(lines, effects, strict=True) if line.group == model
        }
        sides = [
            f"{_and(names)} {word} the prefix"
            for outcome, word in TITLES.items()
            if (names := [name for name, verdict in verdicts.items() if verdict == outcome])
        ]
        if {*verdicts.values()} == {Outcome.one_seed}:
            sides = ["one seed decides nothing"]
        seen.setdefault(", ".join(sides) or "no difference to the prefix shown", []).append(model)
    return "; ".join(f"{_and(models)}: {what}" for what, models in seen.items())


def _and(words: list[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
