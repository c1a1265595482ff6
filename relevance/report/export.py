"""A sweep and its matrices → cells.csv and provenance.json, for programs to read.

sweep,cell,model,routing,task_mix,variant,seed,task,metric,value,n,status,run_id,git_sha
nightly,llm-mhp-joint-s0,llm,mhp,joint,,0,item_type,accuracy,0.8135109419600381,1051,FINISHED,4f0c...,9d1e...
nightly,floor-majority,floor,majority,,,,item_type,accuracy,0.4814462416745956,1051,,,
"""

import csv
import io
import json
import math
import re
from collections.abc import Iterator
from dataclasses import asdict

from relevance.records import CellRecord, SweepRecord
from relevance.report.matrix import Matrix
from relevance.report.probes import probed
from relevance.scores import COLUMNS, Scores
from relevance.tasks import TASK_NAMES

HEADER = (
    "sweep",
    "cell",
    "model",
    "routing",
    "task_mix",
    "variant",
    "seed",
    "task",
    "metric",
    "value",
    "n",
    "status",
    "run_id",
    "git_sha",
)
TASKS = (*TASK_NAMES, "all", "all")  # of the accuracies in the order of COLUMNS
MEASURES = (*("accuracy" for _ in COLUMNS[1:]), "macro_accuracy")
Measure = tuple[str, str, str, str]  # task, metric, value, n
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def cells_csv(sweep: SweepRecord, found: list[Matrix]) -> str:
    """cells.csv: rows in the order of the matrix, values 0 to 1 in full precision, n in test rows.

    Each finished cell has accuracy, macro_f1 and collapsed (1 or 0, see scores.collapsed) per task tested, then at
    task `all` accuracy (micro) and macro_accuracy. What its run logged besides follows: parameters_trainable and
    parameters_total (weights, no n), probe/<kind>/accuracy and probe/<kind>/macro_accuracy. A cell that did not
    finish has one row with an empty value. Floors (model `floor`) and the noise ceiling (model `ceiling`) follow
    the cells of their data, with no seed, status or run; where a sweep holds several tables of pairs their
    variant says which: `data=<digest>`.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for matrix in found:
        variant = f"data={matrix.digest[:12]}" if len(found) > 1 else ""
        for line in _lines(matrix, variant):
            writer.writerow([guard(field) for field in (sweep.name, *line)])
    return text.getvalue()


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


def guard(field: str) -> str:
    """`field` as a spreadsheet will not take for a formula: led by a quote unless it is a number."""
    risky = field.startswith(("=", "+", "-", "@", "\t", "\r")) and not NUMBER.fullmatch(field)
    return f"'{field}" if risky else field


def _lines(matrix: Matrix, variant: str) -> Iterator[list[str]]:
    """Fields after the sweep's name."""
    for row in matrix.rows:
        for cell, scores, flat in zip(row.cells, row.scores, row.collapsed, strict=True):
            head = [cell.cell, cell.model, cell.routing, cell.task_mix, cell.variant, str(cell.seed)]
            tail = [cell.status, cell.run_id, cell.git_sha]
            measures = _found(cell, scores, flat) if scores else [("all", "accuracy", "", "")]
            yield from ([*head, *measure, *tail] for measure in measures)
    for (kind, name), scores in matrix.references.items():
        head = [f"{kind}-{name}".replace(" ", "-"), kind, name, "", variant, ""]
        yield from ([*head, *measure, "", "", ""] for measure in _measures(scores))


def _found(cell: CellRecord, scores: Scores, flat: tuple[str, ...]) -> Iterator[Measure]:
    """Everything there is to say of a finished cell that collapsed on the tasks `flat`."""
    yield from _measures(scores)
    for task, n in zip(TASK_NAMES, scores.n, strict=True):
        if n:
            yield task, "collapsed", str(int(task in flat)), str(n)
    for kind in ("trainable", "total"):
        if not math.isnan(value := cell.metrics.get(f"params/{kind}", math.nan)):
            yield "all", f"parameters_{kind}", f"{value:.0f}", ""
    yield from _probes(cell, scores)


def _probes(cell: CellRecord, scores: Scores) -> Iterator[Measure]:
    counted = [*scores.n, scores.n.sum(), scores.n.sum()]
    for kind, values in probed(cell).items():
        for task, measure, value, n in zip(TASKS, MEASURES, values, counted, strict=True):
            if not math.isnan(value):
                yield task, f"probe/{kind}/{measure}", repr(float(value)), str(n)


def _measures(scores: Scores) -> Iterator[Measure]:
    values = zip(TASK_NAMES, scores.accuracy, scores.macro_f1, scores.n, strict=True)
    for task, accuracy, macro_f1, n in values:
        if n:
            yield task, "accuracy", repr(float(accuracy)), str(n)
            yield task, "macro_f1", repr(float(macro_f1)), str(n)
    n = str(scores.n.sum())
    yield "all", "accuracy", repr(scores.micro), n
    yield "all", "macro_accuracy", repr(scores.macro), n


def _origin(cell: CellRecord) -> dict[str, object]:
    return {
        "cell": cell.cell,
        "run_id": cell.run_id,
        "status": cell.status,
        "fingerprint": cell.fingerprint,
        "data_digest": cell.data_digest,
        "git_sha": cell.git_sha,
        "dirty": cell.dirty,
        "versions": cell.versions,
    }


def _contents(matrix: Matrix) -> dict[str, object]:
    tested = {task: int(n) for task, n in zip(TASK_NAMES, matrix.n, strict=True) if n}
    return {"rows": matrix.sizes, "test_rows": tested, "quarantined": matrix.set_aside}
