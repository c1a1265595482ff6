"""A sweep's record → <reports>/<sweep>/{matrix.md, cells.csv, heatmap.png, provenance.json}.

| model | routing | task mix | variant | seeds  | query_item n=402 | ... |
| llm   | mhp     | joint    |         | 2 of 3 | **87.1 ± 0.4**   | ... |
"""

import hashlib
import re
from collections import Counter
from pathlib import Path

import numpy as np

from relevance.records import CellRecord, SweepRecord
from relevance.report.export import cells_csv, provenance_json
from relevance.report.figures import write_heat_map
from relevance.report.matrix import CEILING, FINISHED, Matrix, Row, matrices
from relevance.tasks import TASK_NAMES

NONE = "—"
IDENTITY = ["model", "routing", "task mix", "variant"]
COST = {
    "trainable parameters": "params/trainable",
    "rows/s trained": "train/rows_per_second",
    "seconds": "seconds",
}
SLUG = 80  # characters at most
BOLD_NOTE = "Bold: the highest mean of its column before rounding; rows that tie are all bold."
FLOOR_NOTE = (
    "Floors: `majority` answers the most frequent training label of the task; `lexical` is, per task, "
    "gradient boosting on the cosine of character 3-4-grams, word overlaps and lengths of the two texts."
)
CEILING_NOTE = (
    "Ceiling: the share of test rows whose label is the one before noise; a model that knew every true label "
    "would score this."
)
PARTIAL_NOTE = (
    "Micro and macro are over the tasks a row was tested on; rows not tested on every task of the data show "
    "theirs and stay out of the bold."
)
SEEDS_NOTE = "Where seeds read `2 of 3`, the mean is over the seeds that finished."


def write_report(sweep: SweepRecord, reports: Path) -> Path:
    """Write the report of a sweep; returns its folder. The same runs give the same bytes.

    Raises UserError where a table of pairs or predictions is absent or does not match its run.
    """
    found = matrices(sweep)
    folder = reports / slug(sweep.name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "matrix.md").write_text(markdown(sweep, found), encoding="utf-8", newline="\n")
    (folder / "cells.csv").write_text(cells_csv(sweep, found), encoding="utf-8", newline="\n")
    (folder / "provenance.json").write_text(provenance_json(sweep, found), encoding="utf-8", newline="\n")
    for matrix in found:
        _write_aside(matrix, folder / matrix.aside_name)
    write_heat_map(found, folder / "heatmap.png")
    return folder


def _write_aside(matrix: Matrix, path: Path) -> None:
    path.unlink(missing_ok=True)
    if matrix.aside:
        path.write_bytes(matrix.aside)


def slug(name: str) -> str:
    """A folder name of letters, digits and ._- for `name`: itself where it is one, else marked by a digest.

    The digest keeps two names that differ only in other characters from sharing a folder.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    if plain == name and name.strip(".") and len(name) <= SLUG:
        return name
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{plain.strip('.-')[: SLUG - 9] or 'sweep'}-{mark}"


def escape(text: str) -> str:
    """`text` as one line of markdown that shows it and nothing else."""
    line = " ".join(text.split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`|*\[\]])", r"\\\1", line)


def markdown(sweep: SweepRecord, found: list[Matrix]) -> str:
    """matrix.md: the command, a table per data digest, what did not finish, notes, cost."""
    blocks = [
        f"# Matrix: {escape(sweep.name)}",
        "Test accuracy in percent; mean ± standard deviation over cells equal in all but seed.",
        f"    {' '.join(sweep.command.split())}",
    ]
    for matrix in found:
        blocks += [data_line(matrix), accuracy_table(matrix)]
    blocks += [
        counts(sweep),
        "## Notes",
        _list(_notes(found)),
        "## Cost",
        "Means over seeds that finished.",
        cost_table(found),
    ]
    return "\n\n".join(blocks) + "\n"


def data_line(matrix: Matrix) -> str:
    """Which table of pairs, its size, and how many rows of its file are not in it."""
    sizes = ", ".join(f"{n:,} {split}" for split, n in matrix.sizes.items())
    told = f"Data `{matrix.digest[:12]}`: {sizes} rows."
    if matrix.aside:
        told += f" Set aside: {matrix.set_aside:,} rows of the file, listed in {matrix.aside_name}."
    return told


def accuracy_table(matrix: Matrix) -> str:
    """The matrix as a markdown table: trained rows, then floors and ceiling."""
    n = [f"n={n:,}" for n in matrix.n]
    header = [*IDENTITY, "seeds", *map(" ".join, zip(TASK_NAMES, n, strict=True))]
    header += [f"micro n={matrix.n.sum():,}", "macro"]
    body = [
        [*map(escape, row.labels), _seeds(row), *_values(row, best, matrix.n)]
        for row, best in zip(matrix.rows, matrix.best, strict=True)
    ]
    for labels, scores in matrix.references.items():
        body.append([*labels, "", "", "", *(_percent(value) for value in scores.columns)])
    return _table(header, body, left=len(IDENTITY))


def cost_table(found: list[Matrix]) -> str:
    """What each row of the matrices took: trainable parameters, training speed, seconds of a cell."""
    rows = [row for matrix in found for row in matrix.rows]
    body = [[*map(escape, row.labels), *(_count(row.metric(metric)) for metric in COST.values())] for row in rows]
    return _table([*IDENTITY, *COST], body, left=len(IDENTITY))


def counts(sweep: SweepRecord) -> str:
    """How many cells ended how, and each unfinished one with its reason."""
    finished = sum(cell.status == FINISHED for cell in sweep.cells)
    others = [cell for cell in sweep.cells if cell.status != FINISHED]
    ends = Counter(cell.status.lower() for cell in others)
    words = [f"{finished} finished", *(f"{n} {end}" for end, n in ends.items())]
    total = len(sweep.cells)
    line = f"{total} {'cell' if total == 1 else 'cells'}: {', '.join(words)}."
    return "\n\n".join([line, _list([_unfinished(cell) for cell in others])] if others else [line])


def _unfinished(cell: CellRecord) -> str:
    reason = f": {escape(cell.reason)}" if cell.reason else ""
    return f"{escape(cell.cell)} {cell.status.lower()}{reason}"


def _notes(found: list[Matrix]) -> list[str]:
    rows = [(matrix, row) for matrix in found for row in matrix.rows]
    cells = [cell for _, row in rows for cell in row.cells]
    dirty = sum(cell.dirty for cell in cells)
    alike = {task: None for matrix in found for task in matrix.unlearnable}
    notes = {
        BOLD_NOTE: True,
        FLOOR_NOTE: True,
        f"Lexical is the majority on {', '.join(alike)}: fewer than two labels in training.": alike,
        CEILING_NOTE: any(CEILING in matrix.references for matrix in found),
        PARTIAL_NOTE: any(matrix.partial(row) for matrix, row in rows),
        SEEDS_NOTE: any(0 < row.finished < len(row.cells) for _, row in rows),
        f"{dirty} of {len(cells)} cells ran from a working tree with uncommitted changes.": dirty,
    }
    return [note for note, holds in notes.items() if holds]


def _seeds(row: Row) -> str:
    asked = len(row.cells)
    return str(asked) if row.finished == asked else f"{row.finished} of {asked}"


def _values(row: Row, best: np.ndarray, n: np.ndarray) -> list[str]:
    """The eight values of a row as text: a percentage, "—" for an absent task, or what became of the row."""
    if not row.finished:
        present = [*(n > 0), True, True]
        return [row.unfinished if there else NONE for there in present]
    texts = [_percent(mean, sd) for mean, sd in zip(row.mean, row.sd, strict=True)]
    return [f"**{text}**" if bold else text for text, bold in zip(texts, best, strict=True)]


def _percent(mean: float, sd: float = float("nan")) -> str:
    if np.isnan(mean):
        return NONE
    return f"{100 * mean:.1f}" + ("" if np.isnan(sd) else f" ± {100 * sd:.1f}")


def _count(value: float) -> str:
    return NONE if np.isnan(value) else f"{value:,.0f}"


def _list(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(header: list[str], body: list[list[str]], left: int) -> str:
    """A markdown table that reads as plain text too: `left` columns of text, then numbers."""
    widths = [max(map(len, column)) for column in zip(header, *body, strict=True)]
    rule = ["-" * width if i < left else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    lines = [
        [
            text.ljust(width) if i < left else text.rjust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in [header, rule, *body]
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
