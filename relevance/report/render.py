"""A sweep's record → <reports>/<sweep>/: index.html, matrix.md, matrix.tex, tables as csv, figures, provenance.json.

sweep "nightly" → multirun_reports/nightly/; "a b" → multirun_reports/a-b-c8687a08/
"""

import re
from pathlib import Path

from relevance.atomic_io import atomic_file, write_text
from relevance.cell_id import slug
from relevance.pages.html import html
from relevance.pages.text import latex, markdown
from relevance.report.archive import NAME, write_archive
from relevance.report.files import cells_csv, comparisons_csv, provenance_json, textless
from relevance.report.findings import Findings
from relevance.report.matrix import matrices
from relevance.report.outline import FOLDED, PLAIN, Form, sections, write_figures
from relevance.report.sections.accuracy import accuracy_table
from relevance.report.sections.comparisons import near
from relevance.tracking.records import SweepRecord

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
