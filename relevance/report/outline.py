"""The findings of a sweep → the sections of its report, in the order of the page, and the figures they show.

[findings of a table of pairs], captions of the figures drawn → Section(""), Section("Matrix"), ..., how to get these
numbers: of every cell the run, commit, data and packages, and the commands that train it
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from relevance.metrics import COLUMNS
from relevance.pages.blocks import NONE, Block, Code, Figure, Link, Section, Table
from relevance.report.ensembles import METHODS
from relevance.report.figures.lines import Line, Point, write_forest, write_slope, write_volume
from relevance.report.figures.tiles import write_heat_map, write_reliability
from relevance.report.matrix import MainRows, Matrix
from relevance.report.rows import FINISHED, NOTHING, Row
from relevance.report.sections.accuracy import (
    Comparison,
    accuracy_table,
    beside_table,
    comparisons,
    cost_table,
    interval_table,
    measures_section,
    near,
    parameters_table,
    seedwise,
    told,
)
from relevance.report.sections.calibration import Calibration, calibration, calibration_section
from relevance.report.sections.claims import (
    Claim,
    Gain,
    baselines_sections,
    claims,
    claims_section,
    factors_section,
    gains,
)
from relevance.report.sections.ensembles import MOST, Voted, Votes, ensembles_section, voted
from relevance.report.sections.mistakes import mistakes_sections
from relevance.report.sections.opening import notes, opening
from relevance.report.sections.probes import consistency_section, probes_section
from relevance.report.stats import MANY, POOLS, Right, contrast, mcnemar, versus
from relevance.tracking.records import CellRecord, SweepRecord
from relevance.vote import DEFAULT, Ties

MICRO = COLUMNS.index("micro")


@dataclass(frozen=True, eq=False)
class Findings:
    """Of one table of pairs."""

    matrix: Matrix
    ties: Ties = DEFAULT

    @cached_property
    def main(self) -> MainRows:
        return MainRows(self.matrix)

    @cached_property
    def voted(self) -> list[Voted]:
        return voted(self.main, self.ties, MOST)

    @cached_property
    def votes(self) -> Votes:
        return Votes(self.main, self.voted)

    @cached_property
    def claims(self) -> list[Claim]:
        return claims(self.main, self.votes)

    @cached_property
    def gains(self) -> list[Gain]:
        return gains(self.main)

    @cached_property
    def comparisons(self) -> list[Comparison]:
        return comparisons(self.matrix)

    @cached_property
    def calibration(self) -> Calibration:
        return calibration(self.matrix)

    @cached_property
    def mcnemar(self) -> dict[str, str]:
        """By the letter of a claim about two rows: p of each seed, over all rows (mid-p, not corrected)."""
        votes = [vote.rows[METHODS[0]] for vote in self.voted]
        rows = {row.name: row for row in [*self.matrix.rows, *votes]}
        p_values = {}
        for claim in self.claims:
            names = claim.effect.cells if claim.effect else ()
            if len(names) == 2 and all(name in rows for name in names):
                p_values[claim.letter] = self._p(*(rows[name] for name in names))
        return p_values

    def _p(self, first: Row, other: Row) -> str:
        right = Right(self.matrix.tested)
        counts = [right.differing(answers, others, MICRO) for _, answers, others in seedwise(first, other)]
        return " ".join(f"{p:.2g}" for p in mcnemar(*np.array(counts).T).mid)


INTRODUCTION = (
    "A cell's run in MLflow holds its parameters, metrics, config.yaml, confusion and model; its folder "
    "outputs/cells/<cell> its config.yaml and predictions. These commands give all of it again, and skip what is there:"
)
DIRTY = "* from a working tree with uncommitted changes: {n} of {all} cells."
HEAT = "heatmap"
FOREST, SLOPE, VOLUME, RELIABILITY = "forest", "slope", "volume", "reliability"
REFERENCE = "prefix"  # the routing that others are drawn against
FOLDED = "Test accuracy in percent; mean ± standard deviation over cells equal in all but seed."
INTERVALS = (
    "95 % intervals of the means above, in percent: entities of the test rows drawn again {draws:,} times (the left "
    "entity; both in tasks of two entities of one kind), the seeds as they were."
)
POOLED = f" Where a kind has more than {MANY:,} entities, {POOLS} random groups of them are drawn instead."
BESIDE = (
    "The highest row minus each other one, in points, where the two share seeds; McNemar's mid-p within each seed, "
    "over all rows, by Holm's correction for all tests of the column. Both are in comparisons.csv for every column. "
    "The highest row was found on these rows too, so that its lead is a little too large, and the p a little too "
    "small."
)
APART = "The highest row of each column, and which rows the interval of the difference does not tell apart from it:"
Shown = Callable[[str], list[Block]]  # the figure of that name, where it was drawn


@dataclass(frozen=True)
class Form:
    """How a reader wants the report."""

    ties: Ties = DEFAULT  # of votes
    figures: bool = True
    texts: bool = True  # whether pairs are shown among the mistakes; else their row ids alone
    ui: str = "http://127.0.0.1:5000"  # where run ids link to
    runs: bool = False  # whether what it is made of lies beside it, see archive.py


PLAIN = Form()


def sections(
    sweep: SweepRecord, findings: list[Findings], captions: dict[str, str], form: Form = PLAIN
) -> list[Section]:
    """The report from its first line to its last; `captions` of the figures that were drawn, by name."""
    matrices = [each.matrix for each in findings]
    rows = [row for matrix in matrices for row in matrix.rows]
    answer: list[Block] = [line for each in findings for line in _opening(each, len(findings) > 1)]
    first = [
        Section("", answer),
        _matrix(sweep, findings, captions),
        Section("Notes", [notes(matrices, any(near(each.comparisons) for each in findings))], deep=True),
    ]
    decided = [
        _named(section, each, findings)
        for each in findings
        for section in _decided(each, _shown(each, findings, captions))
    ]
    curves = [figure for each in findings for figure in _shown(each, findings, captions)(RELIABILITY)]
    return [
        *first,
        *decided,
        *probes_section(matrices),
        *calibration_section(matrices, [each.calibration for each in findings], curves),
        *_cost(rows),
        *mistakes_sections(matrices, form.texts),
        origin_section(sweep, form.ui),
    ]


def _opening(findings: Findings, several: bool) -> list[str]:
    first, *others = opening(findings.main, findings.claims)
    return [f"Data {findings.matrix.digest[:12]}. {first}" if several else first, *others]


def _shown(findings: Findings, every: list[Findings], captions: dict[str, str]) -> Shown:
    mark = suffix(findings, every)
    return lambda name: [Figure(name + mark, captions[name + mark])] if name + mark in captions else []


def _matrix(sweep: SweepRecord, findings: list[Findings], captions: dict[str, str]) -> Section:
    tables = [
        block
        for each in findings
        for block in (data_line(each.matrix), accuracy_table(each.matrix, near(each.comparisons)))
    ]
    commands = [Code(run.command) for run in sweep.runs]
    heat: list[Block] = [Figure(HEAT, captions[HEAT])] if HEAT in captions else []
    rows = [row for each in findings for row in each.matrix.rows]
    return Section("Matrix", [FOLDED, *commands, *tables, *counts(sweep, rows), *heat])


def _decided(findings: Findings, shown: Shown) -> list[Section]:
    """What rests on one table of pairs."""
    matrix = findings.matrix
    drawn = INTERVALS.format(draws=matrix.resample.draws) + (POOLED if matrix.resample.pooled else "")
    sure: list[Block] = [drawn, interval_table(matrix)]
    if findings.comparisons:  # none of a single row, nor where no row learnt anything
        sure += [APART, told(findings.comparisons), BESIDE, beside_table(findings.comparisons, matrix)]
    claimed = claims_section(findings.claims, findings.mcnemar)
    return [
        Section(claimed.title, [*claimed.blocks, *shown(FOREST)]),
        *([Section("How sure", [*sure, *shown(SLOPE)])] if any(row.finished for row in matrix.rows) else []),
        *factors_section(findings.main),
        *ensembles_section(matrix, findings.voted, findings.ties),
        *baselines_sections(matrix, findings.gains, shown(VOLUME)),
        *consistency_section(findings.main),
        *measures_section(matrix),
    ]


def _named(section: Section, findings: Findings, every: list[Findings]) -> Section:
    """Said of which table of pairs, where there are several."""
    return (
        section if len(every) == 1 else replace(section, title=f"{section.title} (data {findings.matrix.digest[:12]})")
    )


def _cost(rows: list[Row]) -> list[Section]:
    which = "Weights, trainable / total; private layers with their gates."
    return [
        Section("Cost", ["Means over seeds that finished.", cost_table(rows)]),
        Section("Parameters", [which, parameters_table(rows)], deep=True),
    ]


def data_line(matrix: Matrix) -> str:
    """Which table of pairs, its size, and how many rows of its file are not in it."""
    sizes = ", ".join(f"{n:,} {split}" for split, n in matrix.sizes.items())
    line = f"Data {matrix.digest[:12]}: {sizes} rows."
    if matrix.alike:
        line += f" In every cell: {','.join(matrix.alike)}."
    if matrix.aside:
        line += f" Set aside: {matrix.set_aside:,} rows of the file, listed in {matrix.aside_name}."
    return line


def counts(sweep: SweepRecord, rows: list[Row]) -> list[Block]:
    """How many cells ended how, and each unfinished one with its reason."""
    flat = sum(bool(tasks) for row in rows for tasks in row.collapsed)
    idle = sum(sum(row.nothing) for row in rows)
    fallen = [f"{flat} collapsed on some task"] * bool(flat) + [f"{idle} {NOTHING}"] * bool(idle)
    finished = sum(cell.status == FINISHED for cell in sweep.cells)
    others = [cell for cell in sweep.cells if cell.status != FINISHED]
    ends = Counter(cell.status.lower() for cell in others)
    words = [
        f"{finished} finished" + (f" ({', '.join(fallen)})" if fallen else ""),
        *(f"{n} {end}" for end, n in ends.items()),
    ]
    total = len(sweep.cells)
    line = f"{total} {'cell' if total == 1 else 'cells'}: {', '.join(words)}."
    return [line, [_unfinished(cell) for cell in others]] if others else [line]


def _unfinished(cell: CellRecord) -> str:
    reason = f": {cell.reason}" if cell.reason else ""
    return f"{cell.cell} {cell.status.lower()}{reason}"


def origin_section(sweep: SweepRecord, ui: str) -> Section:
    """`ui` is where MLflow's pages are: run ids link there."""
    body = [_line(cell, ui) for cell in sweep.cells]
    header = ["cell", "status", "run", "commit", "data", "folder", "seconds"]
    dirty = sum(cell.dirty for cell in sweep.cells)
    marked = [DIRTY.format(n=dirty, all=len(sweep.cells))] if dirty else []
    blocks: list[Block] = [INTRODUCTION, *(Code(run.command) for run in sweep.runs), Table(header, body, left=6)]
    return Section("How to get these numbers", [*blocks, *marked, "Packages:", _packages(sweep)])


def _line(cell: CellRecord, ui: str) -> list[str]:
    run = Link(cell.run_id[:8], f"{ui}/#/experiments/{cell.experiment}/runs/{cell.run_id}") if cell.run_id else NONE
    commit = (cell.git_sha[:8] or NONE) + (" *" if cell.dirty else "")
    seconds = cell.metrics.get("seconds")
    duration = f"{seconds:,.0f}" if seconds is not None else NONE
    return [cell.cell, cell.status, run, commit, cell.data_digest[:12], cell.fingerprint[:16], duration]


def _packages(sweep: SweepRecord) -> list[str]:
    """Each set of versions that cells ran with, and how many did."""
    sets = Counter(tuple(sorted(cell.versions.items())) for cell in sweep.cells if cell.versions)
    lines = [f"{n} cells: {', '.join(f'{name} {number}' for name, number in versions)}" for versions, n in sets.items()]
    return lines or [NONE]


def write_figures(findings: list[Findings], folder: Path) -> dict[str, str]:
    """The captions of the figures that there was something to draw for, by name; of the others old files are gone."""
    captions = {HEAT: write_heat_map([each.matrix for each in findings], folder)}
    for each in findings:
        mark = suffix(each, findings)
        captions |= {
            FOREST + mark: write_forest(lines(each), folder, "Differences in macro accuracy", FOREST + mark),
            SLOPE + mark: write_slope(each.matrix, folder, SLOPE + mark),
            VOLUME + mark: write_volume(points(each), folder, VOLUME + mark),
            RELIABILITY + mark: write_reliability(each.calibration.curves, folder, RELIABILITY + mark),
        }
    return {name: caption for name, caption in captions.items() if caption}


def suffix(findings: Findings, every: list[Findings]) -> str:
    """What follows the name of a figure of one table of pairs, where a sweep holds several."""
    return "" if findings is every[0] else f"-{findings.matrix.digest[:8]}"


def lines(findings: Findings) -> list[Line]:
    """The claims, then each routing of each model against the text prefix."""
    claimed = [Line(claim.short, "claims", claim.effect) for claim in findings.claims if claim.effect]
    main = findings.main
    for (model, routing), row in main.joint.items():
        other = main.joint.get((model, REFERENCE))
        if (
            other
            and other is not row
            and (value := contrast(versus(row.series, other.series, "macro"), findings.matrix.n))
        ):
            claimed.append(Line(routing, f"{model}, against {REFERENCE}", value))
    return claimed


def _series(gain: Gain) -> str:
    """A line of the figure: cells that differ in their training rows alone."""
    model, routing, *_ = gain.row.labels
    return " ".join(filter(None, [model, routing, gain.row.variant_but("task_mix.share", "match")]))


def points(findings: Findings) -> list[Point]:
    """What sharing gives to each task: one budget, the one that most gains have."""
    budgets = [gain.budget for gain in findings.gains]
    most = max(dict.fromkeys(budgets), key=budgets.count, default="")
    return [
        Point(_series(gain), gain.task, gain.rows, gain.effect)
        for gain in findings.gains
        if gain.budget == most and gain.row.labels[2] == "joint" and gain.row.labels[1] == gain.single.labels[1]
    ]
