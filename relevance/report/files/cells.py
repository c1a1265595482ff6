"""A sweep and its findings → cells.csv.

sweep,cell,model,routing,task_mix,variant,seed,task,metric,value,n,status,run_id,git_sha
nightly,llm-mhp-joint-s0,llm,mhp,joint,,0,item_type,accuracy,0.8135109419600381,1051,FINISHED,4f0c...,9d1e...
nightly,floor-majority,floor,majority,,,,item_type,accuracy,0.4814462416745956,1051,,,
"""

import csv
import io
import math
from collections.abc import Iterable, Iterator

import numpy as np

from relevance.records import CellRecord, SweepRecord
from relevance.report.files.guard import guard
from relevance.report.findings import Findings
from relevance.report.matrix import Matrix
from relevance.report.probes import probed
from relevance.report.row import Row
from relevance.scores import COLUMNS, Scores
from relevance.tasks import LABELS, TASK_NAMES

HEADER = tuple("sweep cell model routing task_mix variant seed task metric value n status run_id git_sha".split())
TASKS = (*TASK_NAMES, "all", "all")  # of the accuracies in the order of COLUMNS
MEASURES = (*("accuracy" for _ in COLUMNS[1:]), "macro_accuracy")
Measure = tuple[str, str, str, str]  # task, metric, value, n


def cells_csv(sweep: SweepRecord, found: list[Findings]) -> str:
    """cells.csv: rows in the order of the matrix, values 0 to 1 in full precision, n in test rows.

    Each finished cell has accuracy, macro_f1, recall_<label>, quadratic_weighted_kappa, mean_absolute_error and
    collapsed (1 or 0, see scores.collapsed) per task tested, then at task `all` accuracy (micro) and macro_accuracy.
    What its run logged besides follows: parameters_trainable and parameters_total (weights, no n),
    probe/<kind>/accuracy and probe/<kind>/macro_accuracy. A cell that did not finish has one row with an empty value.
    Floors (model `floor`) and the noise ceiling (model `ceiling`) follow the cells of their data, with no seed, status
    or run, then the votes, cells without a run; where a sweep holds several tables of pairs the variant of a floor says
    which: `data=<digest>`.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
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
            measures = _found(cell, scores, flat) if scores else [("all", "accuracy", "", "")]
            yield from ([*head, *measure, *tail] for measure in measures)


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
    for at in np.flatnonzero(scores.n):
        told = {"accuracy": scores.accuracy[at], "macro_f1": scores.macro_f1[at]}
        told |= {f"recall_{word}": value for word, value in zip(LABELS, scores.recall[at], strict=True)}
        told |= {"quadratic_weighted_kappa": scores.kappa[at], "mean_absolute_error": scores.mae[at]}
        for name, value in told.items():
            if not math.isnan(value):
                yield TASK_NAMES[at], name, repr(float(value)), str(scores.n[at])
    n = str(scores.n.sum())
    yield "all", "accuracy", repr(scores.micro), n
    yield "all", "macro_accuracy", repr(scores.macro), n
