"""Every cell → how to get its number: run, commit, data and packages, and the command that trains it.

| llm-mhp-joint-s0 | FINISHED | 873b2045 (a link to its run) | 110e6161 * | 3f55934ea4b3 | 1b5c917cff1df14c |
"""

from collections import Counter

from relevance.records import CellRecord, SweepRecord
from relevance.report.document import Block, Code, Link, Section, Table
from relevance.report.tables import NONE

INTRODUCTION = (
    "A cell's run in MLflow holds its parameters, metrics, config.yaml, confusion and model; its folder "
    "outputs/cells/<cell> its config.yaml and predictions. These commands give all of it again, and skip what is there:"
)
DIRTY = "* from a working tree with uncommitted changes: {n} of {all} cells."


def origin_section(sweep: SweepRecord, ui: str) -> Section:
    """`ui` is where MLflow's pages are: run ids link there."""
    body = [_line(cell, ui) for cell in sweep.cells]
    header = ["cell", "status", "run", "commit", "data", "folder", "seconds"]
    dirty = sum(cell.dirty for cell in sweep.cells)
    marked = [DIRTY.format(n=dirty, all=len(sweep.cells))] if dirty else []
    blocks: list[Block] = [INTRODUCTION, *(Code(run.command) for run in sweep.runs), Table(header, body, left=6)]
    return Section("How to get these numbers", [*blocks, *marked, "Packages:", _packages(sweep)])


def _line(cell: CellRecord, ui: str) -> list[str]:
    run = Link(cell.run_id[:8], f"{ui}/#/experiments/{cell.experiment}/runs/{cell.run_id}") if cell.run_id else NONE
    commit = (cell.git_sha[:8] or NONE) + (" *" if cell.dirty else "")
    seconds = cell.metrics.get("seconds")
    told = f"{seconds:,.0f}" if seconds is not None else NONE
    return [cell.cell, cell.status, run, commit, cell.data_digest[:12], cell.fingerprint[:16], told]


def _packages(sweep: SweepRecord) -> list[str]:
    """Each set of versions that cells ran with, and how many did."""
    sets = Counter(tuple(sorted(cell.versions.items())) for cell in sweep.cells if cell.versions)
    lines = [f"{n} cells: {', '.join(f'{name} {version}' for name, version in found)}" for found, n in sets.items()]
    return lines or [NONE]
