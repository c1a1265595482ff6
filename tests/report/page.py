"""A study as matrix.md, and what stands in its tables."""

from relevance.pages.render import markdown
from relevance.report.matrix import matrices
from relevance.report.outline import Findings, sections


def text(study) -> str:
    sweep = study.sweep()
    return markdown("Matrix", sections(sweep, [Findings(matrix) for matrix in matrices(sweep)], {}))


def line(page: str, *words: str) -> list[str]:
    """The cells of the first table row that starts with these words."""
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in page.splitlines() if row[:1] == "|"]
    return next(row for row in rows if row[: len(words)] == list(words))
