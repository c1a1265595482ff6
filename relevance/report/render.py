"""A sweep's record → <reports>/<sweep>/{matrix.md, cells.csv, heatmap.png, provenance.json}.

sweep "nightly" → multirun_reports/nightly/; "a b" → multirun_reports/a-b-c8687a08/
"""

import hashlib
import re
from pathlib import Path

from relevance.records import SweepRecord
from relevance.report.export import cells_csv, provenance_json
from relevance.report.figures import write_heat_map
from relevance.report.findings import Findings
from relevance.report.form.markdown import markdown
from relevance.report.matrix import Matrix, matrices
from relevance.report.outline import sections

SLUG = 80  # characters at most


def write_report(sweep: SweepRecord, reports: Path) -> Path:
    """Write the report of a sweep; returns its folder. The same runs give the same bytes.

    Raises UserError where a table of pairs or predictions is absent or does not match its run.
    """
    found = [Findings(matrix) for matrix in matrices(sweep)]
    folder = reports / slug(sweep.name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "matrix.md").write_text(
        markdown(f"Report: {sweep.name}", sections(sweep, found)), encoding="utf-8", newline="\n"
    )
    (folder / "cells.csv").write_text(cells_csv(sweep, [one.matrix for one in found]), encoding="utf-8", newline="\n")
    (folder / "provenance.json").write_text(
        provenance_json(sweep, [one.matrix for one in found]), encoding="utf-8", newline="\n"
    )
    for one in found:
        _write_aside(one.matrix, folder / one.matrix.aside_name)
    write_heat_map([one.matrix for one in found], folder / "heatmap.png")
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
