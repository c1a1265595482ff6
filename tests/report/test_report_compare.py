"""Two sweeps side by side."""

import csv
from dataclasses import replace

import pytest
from page import line

from relevance.errors import UserError
from relevance.report.files import write_comparison


def part(study, name: str, cells: slice):
    """A sweep of some of the study's cells."""
    return replace(study.sweep(name), cells=tuple(study.cells[cells]))


def test_rows_of_both_are_paired_and_the_others_named(study):
    for seed in range(3):
        study.cell(f"ce-mh-joint-s{seed}", 2)
        study.cell(f"ce-mhp-joint-s{seed}", 3)
    for seed in range(3):
        study.cell(f"ce-mh-joint-s{seed}", 12)
    study.cell("llm-mh-joint-s0", 3)
    folder = write_comparison(part(study, "A<b>", slice(6)), part(study, "B", slice(6, None)), study.reports)
    page = (folder / "compare.md").read_text()
    assert line(page, "ce", "mh", "joint")[4].startswith("**+50.0 [")
    assert "Only in A&lt;b&gt;: ce mhp joint." in page
    assert "Only in B: llm mh joint." in page
    assert line(page, "ce", "mh", "joint", "", "B")[6] == "40.0 ± 0.0"
    html = (folder / "index.html").read_text()
    assert "A&lt;b&gt;" in html
    assert "<b>" not in html
    with (folder / "compare.csv").open() as file:
        found = {row["column"]: row for row in csv.DictReader(file)}
    assert float(found["macro"]["difference"]) == pytest.approx(0.5)
    assert found["macro"]["seeds"] == "3"


def test_other_data_stands_beside_and_is_not_tested(study, pairs):
    study.cell("ce-mh-joint-s0", 2)
    study.table(pairs(("query_item",)), "e2" * 32)
    study.cell("ce-mh-joint-s0", 4, data_digest="e2" * 32)
    folder = write_comparison(part(study, "A", slice(1)), part(study, "B", slice(1, 2)), study.reports)
    page = (folder / "compare.md").read_text()
    assert "share no table of pairs" in page
    assert line(page, "ce", "mh", "joint", "", "A")[6] == "90.0"


def test_nothing_in_common_is_refused(study):
    study.cell("ce-mh-joint-s0")
    study.cell("llm-mh-joint-s0")
    with pytest.raises(UserError, match=r"compare=\[A,B\]: no row in common"):
        write_comparison(part(study, "A", slice(1)), part(study, "B", slice(1, 2)), study.reports)
