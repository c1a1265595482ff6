"""What a sweep's own run says on its page in MLflow, and the links that open MLflow on it.

cells → metrics best/ce/macro_accuracy, …, cells (finished), and a table as its description; of a report its answer
→ http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=cells
"""

import re
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from relevance.errors import UserError
from relevance.tracking.best import best
from relevance.tracking.records import CellRecord
from relevance.tracking.shown import KEY
from relevance.tracking.store import Run, Store

NOTE = "mlflow.note.content"  # MLflow's tag of a description, in markdown
NOTE_LENGTH = 8000  # characters that MLflow keeps of a tag
UI = "http://127.0.0.1:5000"  # of mlflow ui, and of make ui
TRAINING = "workflowType=machine_learning"  # else MLflow opens on its pages of traces
MACRO = "test/macro_accuracy"
LISTED = 20  # rows of a description
SHOWN = 8  # digits of a run id
HEAD = "| model | routing | task mix | settings | seeds | macro accuracy, % |\n|---|---|---|---|---|---:|"
PAGE = "report/index.html"  # among the artifacts of the run
ANSWER, IMAGE = "matrix.md", re.compile(r"!\[.*\n?")
Seeds = list[CellRecord]  # cells that differ in seed alone


def describe(run: Run, cells: Sequence[CellRecord], report: Path | None = None) -> list[str]:
    """Say on the sweep's run what came of its cells; returns lines for a person: links, and how to register the best.

    With the folder of a report its answer is the description, else a table; where nothing is new, it stays as it is.
    """
    ranking = ranked(cells)
    new = {f"best/{row[0].family}/macro_accuracy": _macro(row) for row in reversed(ranking)}  # the highest comes last
    new["cells"] = float(sum(cell.status == "FINISHED" for cell in cells))
    if report or new != run.store.client.get_run(run.run_id).data.metrics:
        run.log(new, 0, int(time.time() * 1000))
        note = _answer(run, report) if report else _table(ranking)
        run.tags({NOTE: note[:NOTE_LENGTH]})
    return [*links(run), *_using(cells), *_registering(run.store, ranking)]


def ranked(cells: Sequence[CellRecord]) -> list[Seeds]:
    """Finished cells that were tested on the same tasks, on as many as any; by seeds, the highest mean macro first."""
    rows: dict[tuple[str, ...], Seeds] = {}
    for cell in cells:
        if cell.status == "FINISHED" and MACRO in cell.metrics:
            rows.setdefault(cell.labels, []).append(cell)
    most = max((_tasks(row) for row in rows.values()), key=len, default=set())
    return sorted((row for row in rows.values() if _tasks(row) == most), key=_macro, reverse=True)


def links(run: Run) -> list[str]:
    """Where MLflow shows the sweep, and all cells with what they were asked and what came of it."""
    store, served = run.store, run.store.uri.startswith("http")
    runs = f"{store.shown.rstrip('/') if served else UI}/#/experiments/{store.experiment_id}/runs"
    command = "" if served else f" (mlflow ui --backend-store-uri {store.shown})"
    return [
        f"in MLflow{command}: {runs}/{run.run_id}?{TRAINING}",
        f"all its cells: {runs}?{TRAINING}&viewStateShareKey={KEY}",
    ]


def _using(cells: Sequence[CellRecord]) -> list[str]:
    """How to go on with the best cell; nothing where none is, or where it kept no model."""
    try:
        chosen = best(cells, "", "")
    except UserError:  # none finished, or learnt anything
        return []
    run = chosen.run_id[:SHOWN]
    return [
        f"the best on validation, {chosen.cell}, as a command and in Python:",
        f"  python -m relevance.predict cells={run} input=pairs.csv output=scored.csv",
        f'  import relevance; relevance.load("{run}").rank("a query", ["an item", "another"])',
    ] * chosen.files.model.is_dir()


def _registering(store: Store, ranking: list[Seeds]) -> list[str]:
    if not ranking:
        return []
    best = max(ranking[0], key=lambda cell: cell.metrics.get("validation/macro_accuracy", 0.0))
    if not best.files.model.is_dir():  # save=predictions
        return []
    return [
        f"to register the highest, {best.cell}, in Python:",
        f'  import mlflow; mlflow.set_tracking_uri("{store.shown}")',
        f'  mlflow.register_model("runs:/{best.run_id}/model", "{store.experiment}")',
    ]


def _table(ranking: list[Seeds]) -> str:
    lines = [
        f"| {row[0].model} | {row[0].routing} | {row[0].task_mix} | {row[0].variant.replace('|', ' ')} "
        f"| {len(row)} | {100 * _macro(row):.1f} |"
        for row in ranking
    ]
    more = f"\n\n{len(lines) - LISTED} more." if len(lines) > LISTED else ""
    return "\n".join([HEAD, *lines[:LISTED]]) + more if lines else "No cell finished."


def _answer(run: Run, report: Path) -> str:
    """What matrix.md says before its first heading, and where the page lies."""
    page = f"#/experiments/{run.store.experiment_id}/runs/{run.run_id}/artifacts/{PAGE}?{TRAINING}"
    text = (report / ANSWER).read_text(encoding="utf-8").partition("\n## ")[0].partition("\n")[2]
    first, _, rest = IMAGE.sub("", text).strip().partition("\n\n")  # MLflow folds a long description behind it
    return f"{first}\n\nThe whole report: [{PAGE}]({page})\n\n{rest}".strip()


def _macro(row: Seeds) -> float:
    return float(np.mean([cell.metrics[MACRO] for cell in row]))


def _tasks(row: Seeds) -> set[str]:
    return {key for key in row[0].metrics if re.fullmatch("test/.+/accuracy", key)}
