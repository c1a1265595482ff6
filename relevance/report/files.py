"""The findings of a sweep → the files of numbers beside its page: cells.csv, comparisons.csv, provenance.json.

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
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

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
EFFECT = "value low high n seeds relative verdict".split()
MCNEMAR = "only_a only_b p_exact p_mid p_holm".split()
COMPARISONS_HEADER = ("data", "kind", "column", "a", "b", *EFFECT, *MCNEMAR)
CELLS_HEADER = tuple("sweep cell model routing task_mix variant seed task metric value n status run_id git_sha".split())
Measure = tuple[str, str, str, str]  # task, metric, value, n


def cells_csv(sweep: SweepRecord, found: list[Findings]) -> str:
    """cells.csv: rows in the order of the matrix, values 0 to 1 in full precision, n in test rows.

    Each finished cell has the metrics of METRICS and
    collapsed (1 or 0, see metrics.collapsed) per task tested, then at task `all` accuracy (micro) and macro_accuracy.
    What its run logged besides follows: parameters_trainable and parameters_total (weights, no n),
    probe/<kind>/accuracy and probe/<kind>/macro_accuracy. A cell that did not finish has one row with an empty value.
    Floors (model `floor`) and the noise ceiling (model `ceiling`) follow the cells of their data, with no seed, status
    or run, then the votes, cells without a run; where a sweep holds several tables of pairs the variant of a floor says
    which: `data=<digest>`.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CELLS_HEADER)
    for one in found:
        variant = f"data={one.matrix.digest[:12]}" if len(found) > 1 else ""
        votes = [row for voted in one.voted for row in voted.rows.values()]
        for line in (*_lines(one.matrix, variant), *_rows(votes)):
            writer.writerow([guard(field) for field in (sweep.name, *line)])
    return text.getvalue()


def _lines(matrix: Matrix, variant: str) -> Iterator[list[str]]:
    """Fields after the sweep's name."""
    yield from _rows(matrix.rows)
    for (kind, name), scores in matrix.references.items():
        head = [f"{kind}-{name}".replace(" ", "-"), kind, name, "", variant, ""]
        yield from ([*head, *measure, "", "", ""] for measure in _measures(scores))


def _rows(rows: Iterable[Row]) -> Iterator[list[str]]:
    for row in rows:
        for cell, scores, flat in zip(row.cells, row.scores, row.collapsed, strict=True):
            head = [cell.cell, cell.model, cell.routing, cell.task_mix, cell.variant, str(cell.seed)]
            tail = [cell.status, cell.run_id, cell.git_sha]
            measures = _of_cell(cell, scores, flat) if scores else [(ALL, METRICS[0].name, "", "")]
            yield from ([*head, *measure, *tail] for measure in measures)


def _of_cell(cell: CellRecord, scores: Scores, flat: tuple[str, ...]) -> Iterator[Measure]:
    """Everything there is to say of a finished cell that collapsed on the tasks `flat`."""
    yield from _measures(scores)
    for task, n in zip(TASK_NAMES, scores.n, strict=True):
        if n:
            yield task, "collapsed", str(int(task in flat)), str(n)
    for kind in ("trainable", "total"):
        if not math.isnan(value := cell.metrics.get(f"params/{kind}", math.nan)):
            yield ALL, f"parameters_{kind}", f"{value:.0f}", ""
    yield from _probes(cell, scores)


def _probes(cell: CellRecord, scores: Scores) -> Iterator[Measure]:
    counted = [*scores.n, scores.n.sum(), scores.n.sum()]
    for kind, values in probed(cell).items():
        for (task, metric), value, n in zip(COLUMN_METRICS, values, counted, strict=True):
            if not math.isnan(value):
                yield task, f"probe/{kind}/{metric}", repr(float(value)), str(n)


def _measures(scores: Scores) -> Iterator[Measure]:
    by_task = {metric.name: metric.by_task(scores) for metric in METRICS if metric.by_task}
    for at in np.flatnonzero(scores.n):
        for name, values in by_task.items():
            if not math.isnan(values[at]):
                yield TASK_NAMES[at], name, repr(float(values[at])), str(scores.n[at])
    for metric in METRICS:
        if metric.overall:
            yield ALL, metric.name, repr(metric.overall(scores)), str(scores.n.sum())


def comparisons_csv(found: list[Findings]) -> str:
    """comparisons.csv: for every column the best row with each other one, and each claim, in full precision, 0 to 1.

    kind `interval` has the difference of seed means and its 95 % interval; kind `mcnemar`, within one seed, how many
    rows only one of the two is right on, p exact and mid-p, and the mid-p after Holm's correction over its column;
    kind `claim` the claims, kind `gain` the differences to single-task baselines.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COMPARISONS_HEADER, lineterminator="\n", restval="")
    writer.writeheader()
    for one in found:
        for line in (*_compared(one), *_claimed(one), *_gained(one)):
            told = {"data": one.matrix.digest[:12], **line}
            writer.writerow({key: _written(value) for key, value in told.items()})
    return text.getvalue()


def _written(value: str | float) -> str:
    """A text, guarded, or a number in full precision, whichever library it comes from."""
    return guard(value) if isinstance(value, str) else repr(value if isinstance(value, int) else float(value))


def _compared(found: Findings) -> Iterator[dict[str, str | float]]:
    for one in found.comparisons:
        pair = {"column": one.column, "a": one.best.name, "b": one.other.name}
        yield {"kind": "interval", **pair, **_effect(one.effect)}
        for test in one.tests:
            counts = {"only_a": test.only_best, "only_b": test.only_other}
            p = {"p_exact": test.exact, "p_mid": test.mid, "p_holm": test.holm}
            yield {"kind": "mcnemar", **pair, "seeds": str(test.seed), **counts, **p}


def _claimed(found: Findings) -> Iterator[dict[str, str | float]]:
    for one in found.claims:
        told = {"a": one.letter, "b": one.text, "verdict": one.verdict, **_effect(one.effect)}
        yield {"kind": "claim", "column": one.column, **told}


def _gained(found: Findings) -> Iterator[dict[str, str | float]]:
    for one in found.gains:
        pair = {"column": one.task, "a": one.row.name, "b": one.single.name}
        yield {"kind": "gain", **pair, **_effect(one.effect), "relative": one.relative}


def _effect(found: Effect | None) -> dict[str, str | float]:
    if found is None:
        return {}
    numbers = {"value": found.value, "low": found.low, "high": found.high, "n": found.n}
    return {**numbers, "seeds": " ".join(f"{seed:.6f}" for seed in found.seeds)}


def provenance_json(sweep: SweepRecord, found: list[Matrix]) -> str:
    """provenance.json: what every number of the report can be walked back to. No clock, no path."""
    return (
        json.dumps(
            {
                "name": sweep.name,
                "sweeps": [asdict(run) for run in sweep.runs],
                "cells": [_origin(cell) for cell in sweep.cells],
                "data": {matrix.digest: _contents(matrix) for matrix in found},
            },
            indent=2,
            sort_keys=True,
            ensure_ascii=False,
        )
        + "\n"
    )


def _origin(cell: CellRecord) -> dict[str, object]:
    return {
        "cell": cell.cell,
        "run_id": cell.run_id,
        "status": cell.status,
        "fingerprint": cell.fingerprint,
        "data_digest": cell.data_digest,
        "backbone": cell.backbone,
        "revision": cell.revision,
        "git_sha": cell.git_sha,
        "dirty": cell.dirty,
        "versions": cell.versions,
    }


def _contents(matrix: Matrix) -> dict[str, object]:
    tested = {task: int(n) for task, n in zip(TASK_NAMES, matrix.n, strict=True) if n}
    return {"rows": matrix.sizes, "test_rows": tested, "quarantined": matrix.set_aside}


def guard(field: str) -> str:
    """`field` as a spreadsheet will not take for a formula: led by a quote unless it is a number."""
    risky = field.startswith(("=", "+", "-", "@", "\t", "\r")) and not NUMBER.fullmatch(field)
    return f"'{field}" if risky else field


OURS = re.compile(  # pareto: no longer drawn; an earlier report in the folder may have it
    r"(heatmap|forest|slope|volume|pareto|reliability)(-[0-9a-f]{8})?\.(png|svg)|quarantine-[0-9a-f]{12}\.csv"
)


def write_report(sweep: SweepRecord, reports: Path, form: Form = PLAIN) -> Path:
    """Write the report of a sweep; returns its folder. The same runs give the same bytes.

    A runs.zip of an earlier report is written anew: what it holds and what stands beside it are of one sweep.

    Raises UserError where a table of pairs or predictions is absent or does not match its run.
    """
    found = [Findings(matrix, form.ties) for matrix in matrices(sweep)]
    folder = reports / slug(sweep.name)
    captions = write_figures(found, folder) if form.figures else {}
    page = sections(sweep, found, captions, form)
    title = f"Report: {sweep.name}"
    files = {
        "matrix.md": markdown(title, page),
        "matrix.tex": "\n".join(latex(accuracy_table(one.matrix, near(one.comparisons)), FOLDED) for one in found),
        "cells.csv": cells_csv(sweep, found),
        "comparisons.csv": comparisons_csv(found),
        "provenance.json": provenance_json(sweep, [one.matrix for one in found]),
        "index.html": html(title, page, folder),
    }
    for name, text in files.items():
        write_text(folder / name, text)
    aside = {one.matrix.aside_name: one.matrix.aside for one in found if one.matrix.aside}
    for name, rows in aside.items():
        with atomic_file(folder / name) as part:
            part.write_bytes(rows if form.texts else textless(rows))
    if form.runs or (folder / NAME).exists():
        write_archive(sweep, [one.matrix for one in found], folder / NAME)
    _prune(folder, {*aside, *(f"{name}.{form}" for name in captions for form in ("png", "svg"))})
    return folder


def _prune(folder: Path, written: set[str]) -> None:
    """Take away figures and lists of an earlier report that this one does not have: a folder is of one report."""
    for path in folder.iterdir():
        if OURS.fullmatch(path.name) and path.name not in written:
            path.unlink()
