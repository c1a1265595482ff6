"""The evidence of a sweep → the sections of its report, in the order of the page, and the figures they show.

The first screen answers: a verdict for each family, a small table, one figure. Then what it rests on; what few look for
is closed until it is opened.
"""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from relevance.pages.blocks import NONE, Block, Code, Figure, Link, Section, Table, count
from relevance.report.evidence import BY_TASK, DECIDED, PREFIX, Evidence
from relevance.report.figures import Line, write_curves, write_intervals
from relevance.report.matrix import CEILING, MARK, Matrix
from relevance.report.measures import ACCURACY
from relevance.report.panel import FEWEST
from relevance.report.rows import FINISHED, NOTHING, Row
from relevance.report.sections import NEAR, ONE, claims, drawn, effect_text, of_data, tables
from relevance.report.sections.calibration import Calibration, calibration, calibration_section
from relevance.report.sections.cascade import cascade_section
from relevance.report.sections.causes import TITLE, cause_lines, causes_section
from relevance.report.sections.mistakes import mistakes_sections
from relevance.report.sections.opening import differences, first_table, reading, verdict_lines
from relevance.report.sections.probes import consistency_section, probes_section
from relevance.report.sections.taught import taught_section
from relevance.report.sections.votes import votes_sections
from relevance.tasks import TASK_NAMES
from relevance.tracking.records import CellRecord, SweepRecord
from relevance.vote import DEFAULT, Ties

FOLDED = "Test accuracy in percent; mean ± deviation over cells, models equal but for the seed."
NOTES = (
    "Bold: the highest of its column, where both floors are below it. "
    f"{NEAR} not told apart from the highest: the 95 % interval of the difference holds zero; {ONE} one of the two has "
    "one seed, which decides nothing. Floors: majority answers the most frequent training label; lexical, or word "
    "overlap, is gradient boosting on what the two texts share."
)
NOISE = "Ceiling: the share of test rows whose label is the one before noise; who knew every true label scores this."
COLLAPSE = (
    f"{MARK} collapsed: some seed is not shown to tell more than the majority floor: the 95 % interval of the "
    "difference is not above zero. {n} of {all} finished cells."
)
THIN = "No interval for {tasks}, nor for micro and macro: fewer than {fewest} left entities."
ELSE = "Rows of other task mixes and variants stand in the closed table."
DIRTY = "* from a working tree with uncommitted changes: {n} of {all} cells."
ORIGIN = (
    "A cell's run in MLflow holds parameters, metrics, confusion and model, its folder outputs/cells/<cell> "
    "config.yaml and predictions. These commands give all of it again:"
)
WEIGHTS = "Weights, trainable / total; private layers with their gates."
POINTS = "difference of macro accuracy, points"


@dataclass(frozen=True)
class Form:
    """How a reader wants the report."""

    ties: Ties = DEFAULT  # of votes
    figures: bool = True
    texts: bool = True  # whether pairs are shown among the mistakes; else their row ids alone
    ui: str | None = None  # where MLflow's pages are: run ids link there
    runs: bool = False  # whether what it is made of lies beside it, see archive.py
    measure: str = ACCURACY  # what the page ranks by


PLAIN = Form()
Captions = dict[str, str]  # of the figures that were drawn, by name


@dataclass(frozen=True, eq=False)
class Findings:
    """Of one table of pairs: the evidence, and how far probabilities can be trusted."""

    evidence: Evidence
    calibration: Calibration
    mark: str  # behind the names of its figures, where a sweep holds several tables

    @property
    def matrix(self) -> Matrix:
        return self.evidence.matrix


def findings_of(matrices: list[Matrix], form: Form = PLAIN) -> list[Findings]:
    """What is found of each matrix."""
    return [
        Findings(Evidence(matrix, form.ties, form.measure), calibration(matrix), f"-{matrix.digest[:8]}" * (at > 0))
        for at, matrix in enumerate(matrices)
    ]


def sections(sweep: SweepRecord, findings: list[Findings], captions: Captions, form: Form = PLAIN) -> list[Section]:
    """The report from its first line to its last."""
    matrices = [each.matrix for each in findings]
    rows = [row for matrix in matrices for row in matrix.rows]
    curves = [figure for each in findings for figure in _figure("reliability" + each.mark, captions)]
    return [
        Section("", _opening(findings, matrices, sweep, captions)),
        _matrix(findings, sweep),
        *(
            section if len(findings) == 1 else replace(section, title=f"{section.title} (data {each.matrix.name})")
            for each in findings
            for section in _decided(each, captions)
        ),
        Section("Cost", ["Means over seeds that finished.", tables.cost_table(_shown(findings))]),
        *mistakes_sections(matrices, form.texts),
        Section("How sure", [block for each in findings for block in _sure(each, matrices, captions)], closed=True),
        *_beyond(findings, matrices),
        *(section for each in findings for section in consistency_section(each.evidence.main)),
        *probes_section(matrices),
        *cascade_section([each.evidence.main for each in findings]),
        *calibration_section(matrices, [each.calibration for each in findings], curves),
        Section("All rows and parameters", _all_rows(findings, matrices, rows), closed=True),
        origin_section(sweep, form.ui),
    ]


def _shown(findings: list[Findings]) -> list[Row]:
    """The rows of the open tables: all of the matrix where none is joint."""
    joint = [row for each in findings for row in each.evidence.main.joint.values()]
    return joint or [row for each in findings for row in each.matrix.finished]


def _figure(name: str, captions: Captions) -> list[Block]:
    return [Figure(name, captions[name])] if name in captions else []


def _opening(findings: list[Findings], matrices: list[Matrix], sweep: SweepRecord, captions: Captions) -> list[Block]:
    """The verdicts of every table of pairs and the commands they name, then what each rests on."""
    said: list[Block] = []
    blocks: list[Block] = []
    for each in findings:
        evidence = each.evidence
        said += verdict_lines(evidence, sweep.runs, "".join(of_data(each.matrix, matrices, " (data {})")))
        if evidence.main.joint:
            blocks += [*of_data(each.matrix, matrices), first_table(evidence)]
            blocks += [*_figure("differences" + each.mark, captions), reading(evidence)]
    commands = dict.fromkeys(block for block in said if isinstance(block, Code))
    return [*(block for block in said if not isinstance(block, Code)), *commands, *blocks]


def _matrix(findings: list[Findings], sweep: SweepRecord) -> Section:
    blocks: list[Block] = [FOLDED]
    for each in findings:
        blocks += [data_line(each.matrix), tables.main_table(each.evidence)]
    rows = [row for each in findings for row in each.matrix.rows]
    return Section("Matrix", [*blocks, *_notes(findings, rows), *counts(sweep, rows)])


def _notes(findings: list[Findings], rows: list[Row]) -> list[Block]:
    """What the marks of the table mean, and what holds for it."""
    flat, finished = _collapsed(rows), sum(row.finished for row in rows)
    thin = {
        task: None
        for each in findings
        for task in each.matrix.tasks
        if each.matrix.measurer.rows.lefts[TASK_NAMES.index(task)] < FEWEST
    }
    unlearnable = {task: None for each in findings for task in each.matrix.unlearnable}
    lines = {
        NOTES: True,
        NOISE: any(CEILING in each.matrix.references for each in findings),
        COLLAPSE.format(n=flat, all=finished): flat,
        THIN.format(tasks=", ".join(thin), fewest=FEWEST): thin,
        f"Lexical is the majority on {', '.join(unlearnable)}: fewer than two labels in training.": unlearnable,
        ELSE: len(_shown(findings)) < sum(row.finished > 0 for row in rows),
    }
    return [line for line, holds in lines.items() if holds]


def _collapsed(rows: list[Row]) -> int:
    """How many cells collapsed on some task."""
    return sum(bool(tested.collapsed) for row in rows for tested in row.results)


def _decided(findings: Findings, captions: Captions) -> list[Section]:
    """What rests on one table of pairs."""
    evidence, mark = findings.evidence, findings.mark
    return [
        claims.claims_section(evidence, _figure("claims" + mark, captions)),
        *causes_section(evidence, _figure("causes" + mark, captions)),
        *claims.factors_section(evidence),
        *votes_sections(evidence.main, evidence.votes, evidence.ties),
        *taught_section(evidence),
        *claims.gains_section(evidence, _figure("volume" + mark, captions)),
    ]


def _sure(findings: Findings, matrices: list[Matrix], captions: Captions) -> list[Block]:
    evidence = findings.evidence
    if not findings.matrix.finished:
        return []
    blocks: list[Block] = [*of_data(findings.matrix, matrices), *_figure("tasks" + findings.mark, captions)]
    blocks += [tables.INTERVALS, tables.interval_table(evidence)]
    return [*blocks, *_needed(evidence)]


def _needed(evidence: Evidence) -> list[Block]:
    """What would decide each undecided difference to the prefix, if it stayed as it is."""
    lines = []
    for effect in evidence.of(PREFIX):
        if effect["verdict"] not in DECIDED:
            seeds, rows = (
                NONE if np.isnan(effect[name]) else f"{effect[name]:,.0f}" for name in ("seeds_needed", "rows_needed")
            )
            lines.append([effect["a"], effect_text(effect), str(effect["verdict"]), seeds, rows])
    header = ["row", "minus prefix", "verdict", "seeds that would decide", "test rows that would"]
    return ["If it stayed as it is:", Table(header, lines, left=1)] if lines else []


def _beyond(findings: list[Findings], matrices: list[Matrix]) -> list[Section]:
    """Ranking, then other measures."""
    ranking = [block for each in findings for block in tables.ranking_blocks(each.evidence)]
    measures = [section for each in findings for section in tables.measures_sections(each.matrix)]
    sections = [Section("Ranking", ranking, closed=True)] if ranking else []
    return [*sections, *([Section("Beyond accuracy", [tables.BEYOND], closed=True), *measures] if measures else [])]


def _all_rows(findings: list[Findings], matrices: list[Matrix], rows: list[Row]) -> list[Block]:
    blocks: list[Block] = []
    for each in findings:
        blocks += [*of_data(each.matrix, matrices), tables.accuracy_table(each.evidence, each.matrix.rows)]
    return [*blocks, WEIGHTS, tables.parameters_table(rows)]


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
    flat, idle = _collapsed(rows), sum(len(row.nothing) for row in rows)
    fallen = [f"{flat} collapsed on some task"] * bool(flat) + [f"{idle} {NOTHING}"] * bool(idle)
    others = [cell for cell in sweep.cells if cell.status != FINISHED]
    total = len(sweep.cells)
    words = [f"{total - len(others)} finished" + (f" ({', '.join(fallen)})" if fallen else "")]
    words += [f"{n} {end}" for end, n in Counter(cell.status.lower() for cell in others).items()]
    line = f"{total} {'cell' if total == 1 else 'cells'}: {', '.join(words)}."
    reasons = [f"{cell.cell} {cell.status.lower()}" + (f": {cell.reason}" if cell.reason else "") for cell in others]
    return [line, reasons] if others else [line]


def origin_section(sweep: SweepRecord, ui: str | None) -> Section:
    """`ui` is where MLflow's pages are: run ids link there; without it they are text."""
    header = ["cell", "status", "run", "commit", "data", "folder", "seconds"]
    dirty = sum(cell.dirty for cell in sweep.cells)
    sets = Counter(tuple(sorted(cell.versions.items())) for cell in sweep.cells if cell.versions)
    packages = [f"{n} cells: {', '.join(f'{name} {at}' for name, at in versions)}" for versions, n in sets.items()]
    blocks: list[Block] = [
        ORIGIN,
        *(Code(run.command) for run in sweep.runs),
        Table(header, [_line(cell, ui) for cell in sweep.cells], left=6),
        *([DIRTY.format(n=dirty, all=len(sweep.cells))] if dirty else []),
        "Packages:",
        packages or [NONE],
    ]
    return Section("How to get these numbers", blocks, closed=True)


def _line(cell: CellRecord, ui: str | None) -> list[str]:
    run = cell.run_id[:8] or NONE
    if ui and cell.run_id:
        run = Link(run, f"{ui}/#/experiments/{cell.experiment}/runs/{cell.run_id}")
    commit = (cell.git_sha[:8] or NONE) + (" *" if cell.dirty else "")
    duration = count(cell.metrics.get("seconds", np.nan))
    return [cell.cell, cell.status, run, commit, cell.data_digest[:12], cell.fingerprint[:16], duration]


def write_figures(findings: list[Findings], folder: Path) -> Captions:
    """The captions of the figures that there was something to draw for."""
    captions: Captions = {}
    for each in findings:
        for name, (lines, caption) in _drawings(each, folder).items():
            if lines:
                captions[name + each.mark] = caption
    return captions


def _drawings(findings: Findings, folder: Path) -> dict[str, tuple[int, str]]:
    """By name how many lines or curves were drawn, and what stands under them."""
    evidence, mark = findings.evidence, findings.mark
    n = f"n = {findings.matrix.n.sum():,} test rows"
    lines, title, axis = differences(evidence)
    written = {"differences": (write_intervals(lines, folder, "differences" + mark, title, axis), "")}
    for name, of, text in (
        ("tasks", _by_task(evidence), "Where a routing differs from the prefix, task by task"),
        ("claims", claims.claim_lines(evidence), "The paper's claims: right of zero is for them"),
        ("causes", cause_lines(evidence), TITLE),
    ):
        written[name] = (write_intervals(of, folder, name + mark, text, POINTS), text)
    gains = claims.volume_curves(evidence)
    text = "What sharing gives to a task, by its training rows"
    written["volume"] = (write_curves(gains, folder, "volume" + mark, text, ("training rows", "gain, points")), text)
    curves = findings.calibration.curves
    text = "Accuracy by confidence: below the diagonal a model is too sure"
    across = ("confidence, %", "accuracy, %")
    written["reliability"] = (write_curves(curves, folder, "reliability" + mark, text, across, diagonal=True), text)
    bars = "bars: 95 % intervals over entities and seeds; filled: decided"
    marks = dict.fromkeys(("volume", "reliability"), "a marker grows with its rows")
    return {
        name: (number, "; ".join(filter(None, (text, n, marks.get(name, bars)))) + ".")
        for name, (number, text) in written.items()
    }


def _by_task(evidence: Evidence) -> list[Line]:
    names = {row.name: " ".join(key) for key, row in evidence.main.joint.items()}
    effects = sorted(evidence.of(BY_TASK), key=lambda effect: TASK_NAMES.index(effect["scope"]))
    return [drawn(effect, names[effect["a"]], effect["scope"]) for effect in effects]
