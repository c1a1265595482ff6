"""The findings of a sweep → the sections of its report, in the order of the page, and the figures they show.

[findings of a table of pairs], captions of the figures drawn → Section(""), Section("Matrix"), ..., how to get these
numbers: of every cell the run, commit, data and packages, and the commands that train it
"""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from relevance.pages.blocks import NONE, Block, Code, Figure, Link, Section, Table, count
from relevance.report.ensembles import METHODS
from relevance.report.figures.lines import Line, write_forest, write_slope, write_volume
from relevance.report.figures.tiles import write_heat_map, write_reliability
from relevance.report.matrix import JOINT, MainRows, Matrix
from relevance.report.rows import FINISHED, MICRO, NOTHING, Row
from relevance.report.sections import Finding, accuracy, claims, ensembles, of_data
from relevance.report.sections.calibration import Calibration, calibration, calibration_section
from relevance.report.sections.ensembles import MOST, Voted, Votes
from relevance.report.sections.mistakes import mistakes_sections
from relevance.report.sections.opening import notes, opening
from relevance.report.sections.probes import consistency_section, probes_section
from relevance.report.stats import MANY, POOLS, Right, mcnemar
from relevance.tracking.records import CellRecord, SweepRecord
from relevance.vote import DEFAULT, Ties


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
        return ensembles.voted(self.main, self.ties, MOST)

    @cached_property
    def votes(self) -> Votes:
        return Votes(self.main, self.voted)

    @cached_property
    def claims(self) -> list[claims.Claim]:
        return claims.claims(self.main, self.votes)

    @cached_property
    def gains(self) -> list[Finding]:
        return claims.gains(self.main)

    @cached_property
    def comparisons(self) -> list[Finding]:
        return accuracy.comparisons(self.matrix)

    @cached_property
    def near(self) -> dict[Row, frozenset[int]]:
        return accuracy.near(self.comparisons)

    @cached_property
    def calibration(self) -> Calibration:
        return calibration(self.matrix)

    @cached_property
    def mcnemar(self) -> dict[str, str]:
        """By the letter of a claim about two rows: p of each seed, over all rows (mid-p, not corrected)."""
        rows = {row.name: row for row in [*self.matrix.rows, *(vote.rows[METHODS[0]] for vote in self.voted)]}
        right, p_values = Right(self.matrix.tested), {}
        for claim in self.claims:
            names = claim.effect.cells if claim.effect else ()
            if len(names) == 2 and set(names) <= set(rows):
                pairs = accuracy.seedwise(*(rows[name] for name in names))
                counts = [right.differing(answers, others, MICRO) for _, answers, others in pairs]
                p_values[claim.letter] = " ".join(f"{p:.2g}" for p in mcnemar(*np.array(counts).T).mid)
        return p_values


INTRODUCTION = (
    "A cell's run in MLflow holds its parameters, metrics, config.yaml, confusion and model; its folder "
    "outputs/cells/<cell> its config.yaml and predictions. These commands give all of it again, and skip what is there:"
)
DIRTY = "* from a working tree with uncommitted changes: {n} of {all} cells."
WEIGHTS = "Weights, trainable / total; private layers with their gates."
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


@dataclass(frozen=True)
class Form:
    """How a reader wants the report."""

    ties: Ties = DEFAULT  # of votes
    figures: bool = True
    texts: bool = True  # whether pairs are shown among the mistakes; else their row ids alone
    ui: str = "http://127.0.0.1:5000"  # where run ids link to
    runs: bool = False  # whether what it is made of lies beside it, see archive.py


PLAIN = Form()


Captions = dict[str, str]  # of the figures that were drawn, by name


def sections(sweep: SweepRecord, findings: list[Findings], captions: Captions, form: Form = PLAIN) -> list[Section]:
    """The report from its first line to its last."""
    matrices = [each.matrix for each in findings]
    rows = [row for matrix in matrices for row in matrix.rows]
    figures = {each: suffix(each, findings) for each in findings}
    curves = [figure for mark in figures.values() for figure in _figure(RELIABILITY + mark, captions)]
    return [
        Section("", [line for each in findings for line in _opening(each, matrices)]),
        _matrix(sweep, findings, captions),
        Section("Notes", [notes(matrices, any(each.near for each in findings))], deep=True),
        *(
            section if len(findings) == 1 else replace(section, title=f"{section.title} (data {each.matrix.name})")
            for each in findings
            for section in _decided(each, figures[each], captions)
        ),
        *probes_section(matrices),
        *calibration_section(matrices, [each.calibration for each in findings], curves),
        Section("Cost", ["Means over seeds that finished.", accuracy.cost_table(rows)]),
        Section("Parameters", [WEIGHTS, accuracy.parameters_table(rows)], deep=True),
        *mistakes_sections(matrices, form.texts),
        origin_section(sweep, form.ui),
    ]


def _opening(findings: Findings, matrices: list[Matrix]) -> list[str]:
    first, *others = opening(findings.main, findings.claims)
    return [" ".join([*of_data(findings.matrix, matrices, "."), first]), *others]


def _figure(name: str, captions: Captions) -> list[Block]:
    return [Figure(name, captions[name])] if name in captions else []


def _matrix(sweep: SweepRecord, findings: list[Findings], captions: Captions) -> Section:
    tables = [
        block
        for each in findings
        for block in (data_line(each.matrix), accuracy.accuracy_table(each.matrix, each.near))
    ]
    commands = [Code(run.command) for run in sweep.runs]
    rows = [row for each in findings for row in each.matrix.rows]
    return Section("Matrix", [FOLDED, *commands, *tables, *counts(sweep, rows), *_figure(HEAT, captions)])


def _decided(findings: Findings, mark: str, captions: Captions) -> list[Section]:
    """What rests on one table of pairs."""
    matrix, pairs = findings.matrix, findings.comparisons
    drawn = INTERVALS.format(draws=matrix.resample.draws) + (POOLED if matrix.resample.pooled else "")
    sure: list[Block] = [drawn, accuracy.interval_table(matrix)]
    if pairs:  # none of a single row, nor where no row learnt anything
        sure += [APART, accuracy.near_lines(pairs), BESIDE, accuracy.beside_table(pairs, matrix)]
    sure += _figure(SLOPE + mark, captions)
    claimed = claims.claims_section(findings.claims, findings.mcnemar)
    return [
        replace(claimed, blocks=[*claimed.blocks, *_figure(FOREST + mark, captions)]),
        *([Section("How sure", sure)] if matrix.finished else []),
        *claims.factors_section(findings.main),
        *ensembles.ensembles_section(matrix, findings.voted, findings.ties),
        *claims.baselines_sections(matrix, findings.gains, _figure(VOLUME + mark, captions)),
        *consistency_section(findings.main),
        *accuracy.measures_section(matrix),
    ]


def data_line(matrix: Matrix) -> str:
    """Which table of pairs, its size, and how many rows of its file are not in it."""
    sizes = ", ".join(f"{n:,} {split}" for split, n in matrix.sizes.items())
    line = f"Data {matrix.name}: {sizes} rows."
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
    others = [cell for cell in sweep.cells if cell.status != FINISHED]
    total = len(sweep.cells)
    words = [f"{total - len(others)} finished" + (f" ({', '.join(fallen)})" if fallen else "")]
    words += [f"{n} {end}" for end, n in Counter(cell.status.lower() for cell in others).items()]
    line = f"{total} {'cell' if total == 1 else 'cells'}: {', '.join(words)}."
    reasons = [f"{cell.cell} {cell.status.lower()}" + (f": {cell.reason}" if cell.reason else "") for cell in others]
    return [line, reasons] if others else [line]


def origin_section(sweep: SweepRecord, ui: str) -> Section:
    """`ui` is where MLflow's pages are: run ids link there."""
    header = ["cell", "status", "run", "commit", "data", "folder", "seconds"]
    dirty = sum(cell.dirty for cell in sweep.cells)
    sets = Counter(tuple(sorted(cell.versions.items())) for cell in sweep.cells if cell.versions)
    packages = [f"{n} cells: {', '.join(f'{name} {at}' for name, at in versions)}" for versions, n in sets.items()]
    blocks: list[Block] = [
        INTRODUCTION,
        *(Code(run.command) for run in sweep.runs),
        Table(header, [_line(cell, ui) for cell in sweep.cells], left=6),
        *([DIRTY.format(n=dirty, all=len(sweep.cells))] if dirty else []),
        "Packages:",
        packages or [NONE],
    ]
    return Section("How to get these numbers", blocks)


def _line(cell: CellRecord, ui: str) -> list[str]:
    run = Link(cell.run_id[:8], f"{ui}/#/experiments/{cell.experiment}/runs/{cell.run_id}") if cell.run_id else NONE
    commit = (cell.git_sha[:8] or NONE) + (" *" if cell.dirty else "")
    duration = count(cell.metrics.get("seconds", np.nan))
    return [cell.cell, cell.status, run, commit, cell.data_digest[:12], cell.fingerprint[:16], duration]


def write_figures(findings: list[Findings], folder: Path) -> Captions:
    """The captions of the figures that there was something to draw for; of the others old files are gone."""
    captions = {HEAT: write_heat_map([each.matrix for each in findings], folder)}
    for each in findings:
        mark = suffix(each, findings)
        captions |= {
            FOREST + mark: write_forest(differences(each), folder, "Differences in macro accuracy", FOREST + mark),
            SLOPE + mark: write_slope(each.matrix, folder, SLOPE + mark),
            VOLUME + mark: write_volume(volume(each.gains), folder, VOLUME + mark),
            RELIABILITY + mark: write_reliability(each.calibration.curves, folder, RELIABILITY + mark),
        }
    return {name: caption for name, caption in captions.items() if caption}


def suffix(findings: Findings, every: list[Findings]) -> str:
    """What follows the name of a figure of one table of pairs, where a sweep holds several."""
    return "" if findings is every[0] else f"-{findings.matrix.digest[:8]}"


def differences(findings: Findings) -> list[Line]:
    """The claims, then each routing of each model against the text prefix."""
    lines = [Line(claim.short, "claims", claim.effect) for claim in findings.claims if claim.effect]
    joint = findings.main.joint
    for (model, routing), row in joint.items():
        other = joint.get((model, REFERENCE), row)
        if other is not row and (effect := Finding.of("macro", row, other, findings.matrix.n).effect):
            lines.append(Line(routing, f"{model}, against {REFERENCE}", effect))
    return lines


def volume(gains: list[Finding]) -> list[Line]:
    """What sharing gives to each task: one budget, the one that most gains have; a line differs in rows alone."""
    budgets = [gain.budget for gain in gains]
    most = max(dict.fromkeys(budgets), key=budgets.count, default="")
    lines = []
    for gain in gains:
        model, routing, mix, _ = gain.row.labels
        if gain.effect and gain.budget == most and mix == JOINT and routing == gain.other.labels[1]:
            label = " ".join(filter(None, [model, routing, gain.row.variant_but("task_mix.share", "match")]))
            lines.append(Line(label, gain.column, gain.effect, gain.trained))
    return lines
