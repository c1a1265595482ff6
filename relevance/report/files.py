"""A sweep's record → <reports>/<sweep>/: index.html, matrix.md, matrix.tex, tables as csv, figures, provenance.json.

Two sweeps → <reports>/<A>-vs-<B>/: compare.md, compare.csv, index.html: each row both have, one minus the other.

sweep "nightly" → multirun_reports/nightly/; "a b" → multirun_reports/a-b-c8687a08/

cells.csv        sweep,cell,model,routing,task_mix,variant,seed,task,metric,value,n,status,run_id,git_sha
                 nightly,llm-mhp-joint-s0,llm,mhp,joint,,0,item_type,accuracy,0.8135109419600381,1051,FINISHED,4f0c...
comparisons.csv  data,kind,column,a,b,value,low,high,n,seeds,...,seed_0,seed_1
                 3f55934ea4b3,interval,macro,llm mhp joint,llm mh joint,0.0203,0.0061,0.0338,1212,,...,0.01812,0.0246
compare.csv      model,routing,task_mix,variant,column,a,b,difference,low,high,n,seeds
                 llm,mhp,joint,,macro,0.845,0.831,0.014,0.002,0.026,1212,3

No field runs as a formula: "=SUM(A1)" → "'=SUM(A1)"; "-1.5e-3" stays.
"""

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from relevance.atomic_io import atomic_file, write_text
from relevance.cell_id import slug
from relevance.errors import UserError
from relevance.metrics import ALL, COLUMN_METRICS, COLUMNS, METRICS, Scores
from relevance.outputs import check_text
from relevance.pages.blocks import NONE, Block, Bold, Code, Section, percent
from relevance.pages.render import html, latex, markdown
from relevance.report.archive import NAME, textless, write_archive
from relevance.report.matrix import Matrix, labels, matrices
from relevance.report.outline import FOLDED, PLAIN, Findings, Form, sections, write_figures
from relevance.report.rows import Row
from relevance.report.sections import Finding, table
from relevance.report.sections.accuracy import accuracy_table
from relevance.report.sections.probes import probed
from relevance.report.stats import Effect, effect_text
from relevance.tasks import TASK_NAMES
from relevance.tracking.records import CellRecord, SweepRecord

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
CELLS_HEADER = "sweep cell model routing task_mix variant seed task metric value n status run_id git_sha".split()
COMPARISONS_HEADER = (
    "data kind column a b value low high n seeds relative verdict only_a only_b p_exact p_mid p_holm".split()
)
SEED = "seed_"
CHANGES_HEADER = "model routing task_mix variant column a b difference low high n seeds".split()
CHANGES = (
    "Rows that both sweeps have, by model, routing, task mix and variant; a change is A minus B in points with its 95 "
    "% interval, over the same resampled entities and the seeds both have. Bold: the interval leaves out zero."
)
APART = "The sweeps share no table of pairs: their numbers stand side by side, and no difference can be tested."
ALONE = "Only in {name}: {rows}."
ORIGIN = "cell run_id status fingerprint data_digest backbone revision git_sha dirty versions".split()
OURS = re.compile(  # pareto: no longer drawn; an earlier report in the folder may have it
    r"(heatmap|forest|slope|volume|pareto|reliability)(-[0-9a-f]{8})?\.(png|svg)|quarantine-[0-9a-f]{12}\.csv"
)
Field = str | float
Labels = tuple[str, str, str, str]
Measure = tuple[str, str, Field, Field]  # task, metric, value, n


def write_report(sweep: SweepRecord, reports: Path, form: Form = PLAIN) -> Path:
    """Write the report of a sweep; returns its folder. The same runs give the same bytes.

    A runs.zip of an earlier report is written anew: what it holds and what stands beside it are of one sweep.
    Raises UserError where a table of pairs or predictions is absent or does not match its run.
    """
    findings = [Findings(matrix, form.ties) for matrix in matrices(sweep)]
    folder = reports / slug(sweep.name)
    _check_free(folder, "matrix.md", "# Report:")
    captions = write_figures(findings, folder) if form.figures else {}
    page = sections(sweep, findings, captions, form)
    title, tables = f"Report: {sweep.name}", [each.matrix for each in findings]
    files = {
        "matrix.md": markdown(title, page),
        "matrix.tex": "\n".join(latex(accuracy_table(of.matrix, of.near), FOLDED) for of in findings),
        "cells.csv": cells_csv(sweep, findings),
        "comparisons.csv": comparisons_csv(findings),
        "provenance.json": provenance_json(sweep, tables),
        "index.html": html(title, page, folder),
    }
    for name, text in files.items():
        write_text(folder / name, text)
    aside = {matrix.aside_name: matrix.aside for matrix in tables if matrix.aside}
    for name, rows in aside.items():
        with atomic_file(folder / name) as part:
            part.write_bytes(rows if form.texts else textless(rows))
    if form.runs or (folder / NAME).exists():
        write_archive(sweep, tables, folder / NAME)
    _prune(folder, {*aside, *(f"{name}.{kind}" for name in captions for kind in ("png", "svg"))})
    return folder


def _check_free(folder: Path, first: str, start: str) -> None:
    """UserError where a person's files have the names of a report's, whose `first` file begins with `start`."""
    check_text(folder / first, start)
    if (folder / "index.html").exists() and not (folder / first).exists():
        raise UserError(f"{folder}: has an index.html that is no report's; give another name= or reports=FOLDER")


def _prune(folder: Path, written: set[str]) -> None:
    """Remove figures and lists of an earlier report that this one does not have."""
    for path in folder.iterdir():
        if OURS.fullmatch(path.name) and path.name not in written:
            path.unlink()


def csv_text(header: Sequence[str], lines: Iterable[Sequence[Field]]) -> str:
    """A csv file: texts guarded against formulas, numbers in full precision."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_field(value) for value in line] for line in lines)
    return text.getvalue()


def _field(value: Field) -> str:
    """A number may be numpy's: it is written as Python's."""
    if isinstance(value, str):
        return guard(value)
    return repr(value if isinstance(value, int) else float(value))


def guard(field: str) -> str:
    """`field` as a spreadsheet will not take for a formula: led by a quote unless it is a number."""
    risky = field.startswith(("=", "+", "-", "@", "\t", "\r")) and not NUMBER.fullmatch(field)
    return f"'{field}" if risky else field


def cells_csv(sweep: SweepRecord, findings: list[Findings]) -> str:
    """cells.csv: rows in the order of the matrix, values 0 to 1, n in test rows.

    Each finished cell has METRICS per task tested, with collapsed (1 or 0, see metrics.collapsed), then those over all
    rows, at task `all`. What its run logged besides follows: parameters_trainable and parameters_total (weights, no n),
    probe/<kind>/accuracy and probe/<kind>/macro_accuracy. A cell that did not finish has one row with an empty value.
    Floors (model `floor`) and the noise ceiling (model `ceiling`) follow the cells of their data, with no seed, status
    or run, then the votes, cells without a run; where a sweep holds several tables of pairs the variant of a floor says
    which: `data=<digest>`.
    """
    lines: list[list[Field]] = []
    for each in findings:
        variant = f"data={each.matrix.name}" if len(findings) > 1 else ""
        lines += [*_lines(each.matrix.rows), *_references(each.matrix, variant)]
        lines += _lines(row for vote in each.voted for row in vote.rows.values())
    return csv_text(CELLS_HEADER, ([sweep.name, *line] for line in lines))


def _lines(rows: Iterable[Row]) -> Iterator[list[Field]]:
    for row in rows:
        for cell, scores, flat in zip(row.cells, row.scores, row.collapsed, strict=True):
            head: list[Field] = [cell.cell, cell.model, cell.routing, cell.task_mix, cell.variant, cell.seed]
            measures = _of_cell(cell, scores, flat) if scores else [(ALL, METRICS[0].name, "", "")]
            yield from ([*head, *measure, cell.status, cell.run_id, cell.git_sha] for measure in measures)


def _references(matrix: Matrix, variant: str) -> Iterator[list[Field]]:
    for (kind, name), scores in matrix.references.items():
        head = [f"{kind}-{name}".replace(" ", "-"), kind, name, "", variant, ""]
        yield from ([*head, *measure, "", "", ""] for measure in _measures(scores))


def _of_cell(cell: CellRecord, scores: Scores, flat: tuple[str, ...]) -> Iterator[Measure]:
    """Everything there is to say of a finished cell that collapsed on the tasks `flat`."""
    yield from _measures(scores)
    for task, n in zip(TASK_NAMES, scores.n.tolist(), strict=True):
        if n:
            yield task, "collapsed", int(task in flat), n
    for kind in ("trainable", "total"):
        if not math.isnan(value := cell.metrics.get(f"params/{kind}", math.nan)):
            yield ALL, f"parameters_{kind}", f"{value:.0f}", ""
    counted = [*scores.n.tolist(), *[int(scores.n.sum())] * 2]
    for kind, values in probed(cell).items():
        for (task, metric), value, n in zip(COLUMN_METRICS, values, counted, strict=True):
            if not math.isnan(value):
                yield task, f"probe/{kind}/{metric}", value, n


def _measures(scores: Scores) -> Iterator[Measure]:
    by_task = {metric.name: metric.by_task(scores) for metric in METRICS if metric.by_task}
    for at in np.flatnonzero(scores.n):
        for name, values in by_task.items():
            if not math.isnan(values[at]):
                yield TASK_NAMES[at], name, values[at], int(scores.n[at])
    for metric in METRICS:
        if metric.overall:
            yield ALL, metric.name, metric.overall(scores), int(scores.n.sum())


def comparisons_csv(findings: list[Findings]) -> str:
    """comparisons.csv: for every column the best row with each other one, and each claim, in full precision, 0 to 1.

    kind `interval` has the difference of seed means and its 95 % interval; kind `mcnemar`, within one seed, how many
    rows only one of the two is right on, p exact and mid-p, and the mid-p after Holm's correction over its column;
    kind `claim` the claims, kind `gain` the differences to single-task baselines. Of a difference over seeds,
    `seed_0`, `seed_1`, ... are those within each seed that all its rows have; `seeds` is the one seed of a test.
    """
    lines = [{"data": each.matrix.name, **line} for each in findings for line in _differences(each)]
    numbers = sorted({int(name.removeprefix(SEED)) for line in lines for name in line if name.startswith(SEED)})
    header = [*COMPARISONS_HEADER, *(f"{SEED}{number}" for number in numbers)]
    return csv_text(header, ([line.get(name, "") for name in header] for line in lines))


def _differences(findings: Findings) -> Iterator[dict[str, Field]]:
    for pair in findings.comparisons:
        names: dict[str, Field] = {"column": pair.column, "a": pair.row.name, "b": pair.other.name}
        yield {"kind": "interval", **names, **_effect(pair.effect)}
        yield from ({"kind": "mcnemar", **names, **test} for test in pair.tests)
    for claim in findings.claims:
        names = {"column": claim.column, "a": claim.letter, "b": claim.text, "verdict": claim.verdict}
        yield {"kind": "claim", **names, **_effect(claim.effect)}
    for gain in findings.gains:
        names = {"column": gain.column, "a": gain.row.name, "b": gain.other.name, "relative": gain.relative}
        yield {"kind": "gain", **names, **_effect(gain.effect)}


def _effect(effect: Effect | None) -> dict[str, Field]:
    if effect is None:
        return {}
    within = {f"{SEED}{number}": value for number, value in zip(effect.numbers, effect.seeds, strict=True)}
    return {"value": effect.value, "low": effect.low, "high": effect.high, "n": effect.n, **within}


def provenance_json(sweep: SweepRecord, tables: list[Matrix]) -> str:
    """provenance.json: what every number of the report can be walked back to. No clock, no path."""
    content: dict[str, Any] = {
        "name": sweep.name,
        "sweeps": [asdict(run) for run in sweep.runs],
        "cells": [{name: getattr(cell, name) for name in ORIGIN} for cell in sweep.cells],
        "data": {
            matrix.digest: {
                "rows": matrix.sizes,
                "test_rows": {task: int(matrix.n[TASK_NAMES.index(task)]) for task in matrix.tasks},
                "quarantined": matrix.set_aside,
            }
            for matrix in tables
        },
    }
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def write_comparison(first: SweepRecord, other: SweepRecord, reports: Path) -> Path:
    """Write the comparison of two sweeps; returns its folder. UserError where they share no row."""
    a, b = (_by_labels(sweep) for sweep in (first, other))
    changes = {key: _changes(a[key], b[key]) for key in a if key in b}
    if not changes:
        raise UserError(f"compare=[{first.name},{other.name}]: no row in common (model, routing, task mix, variant)")
    folder = reports / slug(f"{first.name}-vs-{other.name}")
    _check_free(folder, "compare.md", "# A:")
    alone = [(first.name, [key for key in a if key not in b]), (other.name, [key for key in b if key not in a])]
    page = _comparison([run.command for sweep in (first, other) for run in sweep.runs], changes, alone)
    title = f"A: {first.name}, B: {other.name}"
    files = {
        "compare.md": markdown(title, page),
        "index.html": html(title, page, folder),
        "compare.csv": _changes_csv(changes),
    }
    for name, text in files.items():
        write_text(folder / name, text)
    return folder


def _by_labels(sweep: SweepRecord) -> dict[Labels, tuple[Matrix, Row]]:
    """By the full labels of its cells: what all cells of one sweep have alike may differ between two."""
    return {labels(row.cells[0]): (matrix, row) for matrix in matrices(sweep) for row in matrix.rows}


def _changes(a: tuple[Matrix, Row], b: tuple[Matrix, Row]) -> list[Finding]:
    """By column; without effects where the sweeps share no table of pairs or a row did not finish."""
    (matrix, row), (theirs, other) = a, b
    same = matrix.digest == theirs.digest and row.finished and other.finished
    return [Finding.of(name, row, other, matrix.n) if same else Finding(name, row, other, None) for name in COLUMNS]


def _comparison(
    commands: list[str], changes: dict[Labels, list[Finding]], alone: list[tuple[str, list[Labels]]]
) -> list[Section]:
    """Commands, a table for each kind of number, and what only one of them has."""
    tested = any(finding.effect for findings in changes.values() for finding in findings)
    body = [[*key, *(_change(finding.effect) for finding in findings)] for key, findings in changes.items()]
    rest = [
        ALONE.format(name=name, rows=", ".join(" ".join(filter(None, key)) for key in keys))
        for name, keys in alone
        if keys
    ]
    blocks: list[Block] = [CHANGES, *map(Code, commands), table(body, COLUMNS) if tested else APART, *rest]
    both = [
        [*key, name, str(row.finished), *(percent(*value) for value in zip(row.mean, row.sd, strict=True))]
        for key, (finding, *_) in changes.items()
        for name, row in (("A", finding.row), ("B", finding.other))
    ]
    return [Section("A minus B", blocks), Section("Both", [table(both, ["seeds", *COLUMNS], ["sweep"])])]


def _change(effect: Effect | None) -> str:
    if effect is None:
        return NONE
    return Bold(effect_text(effect)) if effect.apart else effect_text(effect)


def _changes_csv(changes: dict[Labels, list[Finding]]) -> str:
    lines: list[list[Field]] = []
    for key, findings in changes.items():
        for at, finding in enumerate(findings):
            effect = finding.effect
            numbers = [effect.value, effect.low, effect.high, effect.n, len(effect.seeds)] if effect else [""] * 5
            values = [finding.row.mean[at], finding.other.mean[at], *numbers]
            lines.append([*key, finding.column, *("" if value != value else value for value in values)])  # NaN
    return csv_text(CHANGES_HEADER, lines)
