"""Write the report of a sweep: index.html, matrix.md, matrix.tex, tables as csv, figures, provenance.json.

sweep "nightly" → multirun_reports/nightly/; "a b" → multirun_reports/a-b-c8687a08/

cells.csv        sweep,cell,model,routing,task_mix,variant,seed,task,metric,value,n,status,run_id,git_sha
                 nightly,llm-mhp-joint-s0,llm,mhp,joint,,0,item_type,accuracy,0.8135109419600381,1051,FINISHED,4f0c...
comparisons.csv  data,family,a,b,measure,scope,estimate,low,high,df,se_rows,se_seeds,...
                 3f55934ea4b3,column macro,llm mhp joint,llm mh joint,accuracy,macro,0.0203,0.0061,0.0338,7.1,...

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
from relevance.metrics import ALL, COLUMN_METRICS, METRICS, Scores
from relevance.outputs import check_text
from relevance.pages.render import html, latex, markdown
from relevance.ranking import MEASURES
from relevance.report.archive import NAME, textless, write_archive
from relevance.report.evidence import Evidence
from relevance.report.matrix import Matrix, as_read
from relevance.report.measures import Tested
from relevance.report.page import FOLDED, PLAIN, Findings, Form, findings_of, sections, write_figures
from relevance.report.panel import EFFECTS
from relevance.report.rows import Row
from relevance.report.sections.probes import probed
from relevance.report.sections.tables import main_table
from relevance.tasks import TASK_NAMES
from relevance.tracking.records import CellRecord, SweepRecord

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
CELLS_HEADER = "sweep cell model routing task_mix variant seed task metric value n status run_id git_sha".split()
COMPARISONS = [*EFFECTS, "p_holm", "verdict"]
ORIGIN = "cell run_id status fingerprint data_digest backbone revision git_sha dirty versions".split()
OURS = re.compile(  # of this and of earlier versions
    r"(differences|tasks|claims|factors|volume|reliability|heatmap|forest|slope|pareto)(-[0-9a-f]{8})?\.(png|svg)"
    r"|quarantine-[0-9a-f]{12}\.csv"
)
Field = str | float
Measure = tuple[str, str, Field, Field]  # task, metric, value, n


def write_report(sweep: SweepRecord, reports: Path, form: Form = PLAIN) -> Path:
    """Write the report of a sweep; returns its folder. The same runs give the same bytes.

    A runs.zip of an earlier report is written anew: what it holds and what stands beside it are of one sweep.
    Raises UserError where no table of pairs is whole.
    """
    sweep, tables = as_read(sweep)
    findings = findings_of(tables, form)
    folder = reports / slug(sweep.name)
    check_free(folder, "matrix.md", "# Report:")
    captions = write_figures(findings, folder) if form.figures else {}
    page, title = sections(sweep, findings, captions, form), f"Report: {sweep.name}"
    files = {
        "matrix.md": markdown(title, page),
        "matrix.tex": "\n".join(latex(main_table(each.evidence), FOLDED) for each in findings),
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


def check_free(folder: Path, first: str, start: str) -> None:
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

    Each finished cell has METRICS per task tested, with collapsed (1 or 0, see measures), then those over all rows,
    at task `all`. What its run logged besides follows: parameters_trainable and parameters_total (weights, no n),
    probe/<kind>/accuracy and probe/<kind>/macro_accuracy. A cell that did not finish has one row with an empty value.
    Floors (model `floor`) and the noise ceiling (model `ceiling`) follow the cells of their data, with no seed, status
    or run, then the votes, cells without a run; where a sweep holds several tables of pairs the variant of a floor says
    which: `data=<digest>`.
    """
    lines: list[list[Field]] = []
    for each in findings:
        variant = f"data={each.matrix.name}" if len(findings) > 1 else ""
        lines += [*_lines(each.matrix.rows), *_references(each.matrix, variant)]
        lines += _lines(row for vote in each.evidence.votes for row in vote.rows.values())
        lines += _ranked(each.evidence)
    return csv_text(CELLS_HEADER, ([sweep.name, *line] for line in lines))


def _lines(rows: Iterable[Row]) -> Iterator[list[Field]]:
    for row in rows:
        for cell, tested in zip(row.cells, row.tested, strict=True):
            measures = _of_cell(cell, tested) if tested else [(ALL, METRICS[0].name, "", "")]
            yield from (_line(cell, measure) for measure in measures)


def _line(cell: CellRecord, measure: Measure) -> list[Field]:
    head = cell.cell, cell.model, cell.routing, cell.task_mix, cell.variant, cell.seed
    return [*head, *measure, cell.status, cell.run_id, cell.git_sha]


def _ranked(evidence: Evidence) -> Iterator[list[Field]]:
    """The ranking measures of each finished cell, by task and as the mean over tasks; n counts lists."""
    for name in MEASURES:
        panel = evidence.panel(name)
        for row in evidence.matrix.finished:
            for cell, place in zip(row.done, row.places, strict=True):
                for at in np.flatnonzero(~np.isnan(panel.means[place])):
                    yield _line(cell, (TASK_NAMES[at], name, panel.means[place, at], int(panel.clusters.n[at])))


def _references(matrix: Matrix, variant: str) -> Iterator[list[Field]]:
    for (kind, name), scores in matrix.references.items():
        head = [f"{kind}-{name}".replace(" ", "-"), kind, name, "", variant, ""]
        yield from ([*head, *measure, "", "", ""] for measure in _measures(scores))


def _of_cell(cell: CellRecord, tested: Tested) -> Iterator[Measure]:
    """Everything there is to say of a finished cell."""
    scores = tested.scores
    yield from _measures(scores)
    for task, n in zip(TASK_NAMES, scores.n.tolist(), strict=True):
        if n:
            yield task, "collapsed", int(task in tested.collapsed), n
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
    """comparisons.csv: every effect that the page speaks of, 0 to 1 in full precision, and those of every column.

    Columns as relevance.report.panel.EFFECTS, p after Holm's correction within its family, the verdict, and the trained
    weights of both sides where they are rows.
    """
    lines: list[list[Field]] = []
    for each in findings:
        values = each.evidence.effects[COMPARISONS].itertuples(index=False)
        lines += ([each.matrix.name, *("" if value != value else value for value in line)] for line in values)  # NaN
    return csv_text(["data", *COMPARISONS], lines)


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
