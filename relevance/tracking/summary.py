"""The best cell of a sweep, what the sweep's own run says on its page in MLflow, and links that open MLflow on it.

best(cells, "ce", "sweep nightly") → CellRecord("ce-mhp-joint-s0", …): by validation, the test rows choose nothing

cells → metrics best/ce/macro_accuracy, …, cells (finished), and a table as its description; of a report its answer
→ http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=cells
"""

import re
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from relevance.cli import echo
from relevance.errors import UserError
from relevance.tracking.records import KEY, CellRecord
from relevance.tracking.store import Run, Store

BEST = "best"
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
    """How to register the best seed of the highest row; nothing where it kept no model."""
    highest = max(ranking[0], key=lambda cell: cell.metrics.get("validation/macro_accuracy", 0.0)) if ranking else None
    if highest is None or not highest.files.model.is_dir():
        return []
    return [
        f"to register the highest, {highest.cell}, in Python:",
        f'  import mlflow; mlflow.set_tracking_uri("{store.shown}")',
        f'  mlflow.register_model("runs:/{highest.run_id}/model", "{store.experiment}")',
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


def best(cells: Sequence[CellRecord], model: str, place: str) -> CellRecord:
    """The finished cell of the highest macro accuracy on validation, of equals the first.

    `model` is a family, a model or the beginning of names, "ce-mhp".

    Compared are those of the most tasks. Cells that learnt nothing are none; UserError where no cell is left, or where
    they were validated on different tables of pairs.
    """
    finished = [cell for cell in cells if cell.status == "FINISHED"]
    kinds = dict.fromkeys(kind for cell in finished for kind in (cell.family, cell.model) if kind)
    of_kind = [c for c in finished if c.family == model] or [c for c in finished if c.model == model]
    of_kind = of_kind or [cell for cell in finished if cell.cell.startswith(model)]
    able = [cell for cell in (of_kind if model else finished) if cell.learnt]
    word = f"{BEST}:{model}" if model else BEST
    if not able:
        known = f"{BEST}:{f', {BEST}:'.join(kinds)}" if kinds else "none finished"
        raise UserError(
            f"{word}: {place} has no such cell that finished and learnt anything (there are: {known}); train longer, "
            "or name a cell"
        )
    if len({cell.data_digest for cell in able}) > 1:
        raise UserError(f"{word}: the cells of {place} have several tables of pairs, and are not comparable; name one")
    scored = [(scores, cell) for cell in able if (scores := validated(cell))]
    if not scored:
        raise UserError(f"{word}: no cell of {place} has validation rows, by which the best is chosen; name one")
    return max(scored, key=lambda each: each[0])[1]


def validated(cell: CellRecord) -> tuple[int, float] | None:
    """How many tasks it was validated on, and its macro accuracy there; None without rows, of a damaged file aloud."""
    from relevance import predictions  # only now: takes pyarrow along
    from relevance.metrics import score_predictions

    try:
        table = predictions.read(cell.files.validation)
    except UserError as error:
        echo(f"{cell.cell}: is left out ({error})")
        return None
    scores = score_predictions(table)
    return (int((scores.n > 0).sum()), scores.macro) if len(table) else None
