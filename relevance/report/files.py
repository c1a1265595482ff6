"""A sweep's record → <reports>/<sweep>/: index.html, matrix.md, matrix.tex, tables as csv, figures, provenance.json.

sweep "nightly" → multirun_reports/nightly/; "a b" → multirun_reports/a-b-c8687a08/

cells.csv        sweep,cell,model,routing,task_mix,variant,seed,task,metric,value,n,status,run_id,git_sha
                 nightly,llm-mhp-joint-s0,llm,mhp,joint,,0,item_type,accuracy,0.8135109419600381,1051,FINISHED,4f0c...
comparisons.csv  data,kind,column,a,b,value,low,high,n,seeds,...
                 3f55934ea4b3,interval,macro,llm mhp joint,llm mh joint,0.0203,0.0061,0.0338,1212,0.018120 0.024600,...

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
from relevance.metrics import ALL, COLUMN_METRICS, METRICS, Scores
from relevance.pages.render import html, latex, markdown
from relevance.report.archive import NAME, textless, write_archive
from relevance.report.matrix import Matrix, matrices
from relevance.report.outline import FOLDED, PLAIN, Findings, Form, sections, write_figures
from relevance.report.rows import Row
from relevance.report.sections.accuracy import accuracy_table, near
from relevance.report.sections.probes import probed
from relevance.report.stats import Effect
from relevance.tasks import TASK_NAMES
from relevance.tracking.records import CellRecord, SweepRecord

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
CELLS_HEADER = "sweep cell model routing task_mix variant seed task metric value n status run_id git_sha".split()
EFFECT = "value low high n seeds relative verdict".split()
MCNEMAR = "only_a only_b p_exact p_mid p_holm".split()
COMPARISONS_HEADER = ["data", "kind", "column", "a", "b", *EFFECT, *MCNEMAR]
ORIGIN = "cell run_id status fingerprint data_digest backbone revision git_sha dirty versions".split()
OURS = re.compile(  # pareto: no longer drawn; an earlier report in the folder may have it
    r"(heatmap|forest|slope|volume|pareto|reliability)(-[0-9a-f]{8})?\.(png|svg)|quarantine-[0-9a-f]{12}\.csv"
)
Field = str | float
Measure = tuple[str, str, Field, Field]  # task, metric, value, n


def write_report(sweep: SweepRecord, reports: Path, form: Form = PLAIN) -> Path:
    """Write the report of a sweep; returns its folder. The same runs give the same bytes.

    A runs.zip of an earlier report is written anew: what it holds and what stands beside it are of one sweep.

    Raises UserError where a table of pairs or predictions is absent or does not match its run.
    """
    findings = [Findings(matrix, form.ties) for matrix in matrices(sweep)]
    folder = reports / slug(sweep.name)
    captions = write_figures(findings, folder) if form.figures else {}
    page = sections(sweep, findings, captions, form)
    title = f"Report: {sweep.name}"
    files = {
        "matrix.md": markdown(title, page),
        "matrix.tex": "\n".join(latex(accuracy_table(of.matrix, near(of.comparisons)), FOLDED) for of in findings),
        "cells.csv": cells_csv(sweep, findings),
        "comparisons.csv": comparisons_csv(findings),
        "provenance.json": provenance_json(sweep, [each.matrix for each in findings]),
        "index.html": html(title, page, folder),
    }
    for name, text in files.items():
        write_text(folder / name, text)
    aside = {each.matrix.aside_name: each.matrix.aside for each in findings if each.matrix.aside}
    for name, rows in aside.items():
        with atomic_file(folder / name) as part:
            part.write_bytes(rows if form.texts else textless(rows))
    if form.runs or (folder / NAME).exists():
        write_archive(sweep, [each.matrix for each in findings], folder / NAME)
    _prune(folder, {*aside, *(f"{name}.{kind}" for name in captions for kind in ("png", "svg"))})
    return folder


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
        variant = f"data={each.matrix.digest[:12]}" if len(findings) > 1 else ""
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
    kind `claim` the claims, kind `gain` the differences to single-task baselines.
    """
    lines = ({"data": each.matrix.digest[:12], **line} for each in findings for line in _differences(each))
    return csv_text(COMPARISONS_HEADER, ([line.get(name, "") for name in COMPARISONS_HEADER] for line in lines))


def _differences(findings: Findings) -> Iterator[dict[str, Field]]:
    for pair in findings.comparisons:
        names: dict[str, Field] = {"column": pair.column, "a": pair.best.name, "b": pair.other.name}
        yield {"kind": "interval", **names, **_effect(pair.effect)}
        for test in pair.tests:
            values = test.only_best, test.only_other, test.exact, test.mid, test.holm
            yield {"kind": "mcnemar", **names, "seeds": str(test.seed), **dict(zip(MCNEMAR, values, strict=True))}
    for claim in findings.claims:
        names = {"column": claim.column, "a": claim.letter, "b": claim.text, "verdict": claim.verdict}
        yield {"kind": "claim", **names, **_effect(claim.effect)}
    for gain in findings.gains:
        names = {"column": gain.task, "a": gain.row.name, "b": gain.single.name, "relative": gain.relative}
        yield {"kind": "gain", **names, **_effect(gain.effect)}


def _effect(effect: Effect | None) -> dict[str, Field]:
    if effect is None:
        return {}
    seeds = " ".join(f"{seed:.6f}" for seed in effect.seeds)
    return {"value": effect.value, "low": effect.low, "high": effect.high, "n": effect.n, "seeds": seeds}


def provenance_json(sweep: SweepRecord, tables: list[Matrix]) -> str:
    """provenance.json: what every number of the report can be walked back to. No clock, no path."""
    content: dict[str, Any] = {
        "name": sweep.name,
        "sweeps": [asdict(run) for run in sweep.runs],
        "cells": [{name: getattr(cell, name) for name in ORIGIN} for cell in sweep.cells],
        "data": {matrix.digest: _contents(matrix) for matrix in tables},
    }
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _contents(matrix: Matrix) -> dict[str, object]:
    tested = {task: int(n) for task, n in zip(TASK_NAMES, matrix.n, strict=True) if n}
    return {"rows": matrix.sizes, "test_rows": tested, "quarantined": matrix.set_aside}
