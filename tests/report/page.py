"""A study as matrix.md, and what stands in its tables."""

from relevance.pages.render import markdown
from relevance.report.evidence import Evidence
from relevance.report.matrix import matrices
from relevance.report.page import PLAIN, Form, findings_of, sections


def text(study, form: Form = PLAIN) -> str:
    sweep = study.sweep()
    return markdown("Matrix", sections(sweep, findings_of(matrices(sweep), form), {}, form))


def evidence(study, **form) -> Evidence:
    (matrix,) = matrices(study.sweep())
    return Evidence(matrix, **form)


def line(page: str, *words: str) -> list[str]:
    """The cells of the first table row that starts with these words."""
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in page.splitlines() if row[:1] == "|"]
    return next(row for row in rows if row[: len(words)] == list(words))
