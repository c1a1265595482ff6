"""Two sweeps side by side."""

import csv
from dataclasses import replace

import pytest
from page import line

from relevance.errors import UserError
from relevance.report.compare import write_comparison


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
    assert line(page, "ce", "mh", "joint")[3:5] == ["90.0", "40.0"]
    assert line(page, "ce", "mh", "joint")[5].startswith("**-50.0 [")
    assert line(page, "ce", "mh", "joint")[6] == "3 : 3"
    assert "Only in A&lt;b&gt;: ce mhp joint." in page
    assert "Only in B: llm mh joint." in page
    assert "Both are measured on the same 120 test rows." in page
    html = (folder / "index.html").read_text()
    assert "A&lt;b&gt;" in html
    assert "<b>" not in html
    found = read(folder)
    assert float(found["macro"]["estimate"]) == pytest.approx(-0.5)
    assert (float(found["macro"]["a"]), float(found["macro"]["b"])) == pytest.approx((0.9, 0.4))
    assert float(found["macro"]["seeds"]) == 3


def read(folder) -> dict[str, dict[str, str]]:
    with (folder / "compare.csv").open() as file:
        return {row["scope"]: row for row in csv.DictReader(file)}


def test_rows_are_paired_whatever_setting_differs_and_it_stands_in_the_heads(study):
    for seed in range(3):
        study.cell(f"ce-mh-joint-s{seed}", 6, variant="lora.r=8")
    for seed in range(3):
        study.cell(f"ce-mh-joint-s{seed}", 2, variant="lora.r=16")
    folder = write_comparison(part(study, "A", slice(3)), part(study, "B", slice(3, None)), study.reports)
    page = (folder / "compare.md").read_text()
    assert line(page, "model")[3:6] == ["A, macro % model.lora.r=8", "B, macro % model.lora.r=16", "B minus A"]
    assert line(page, "ce", "mh")[5].strip("*").startswith("+20.0 [")


def test_rows_on_two_tables_are_measured_on_the_test_rows_they_share(study, pairs):
    study.cell("ce-mh-joint-s0", 2)
    study.table(pairs(("query_item",)).query("split != 'test' or row % 2 == 0").reset_index(drop=True), "e2" * 32)
    study.cell("ce-mh-joint-s0", 4, data_digest="e2" * 32)
    folder = write_comparison(part(study, "A", slice(1)), part(study, "B", slice(1, 2)), study.reports)
    assert "A has 120, B has 10; both are measured on the 10 that they share." in (folder / "compare.md").read_text()
    right = 9 / 10  # of A's first two rows, which are wrong, one is there
    assert float(read(folder)["query_item"]["a"]) == pytest.approx(right)
    assert float(read(folder)["query_item"]["estimate"]) == pytest.approx(6 / 10 - right)


def test_tables_that_share_no_row_are_refused(study, pairs):
    study.cell("ce-mh-joint-s0", 2)
    table = pairs(("query_item",))
    study.table(table.assign(left=table["left"] + " other"), "e2" * 32)
    study.cell("ce-mh-joint-s0", 4, data_digest="e2" * 32)
    with pytest.raises(UserError, match="share no test row"):
        write_comparison(part(study, "A", slice(1)), part(study, "B", slice(1, 2)), study.reports)


def test_nothing_in_common_is_refused(study):
    study.cell("ce-mh-joint-s0")
    study.cell("llm-mh-joint-s0")
    with pytest.raises(UserError, match=r"compare=\[A,B\]: no row in common"):
        write_comparison(part(study, "A", slice(1)), part(study, "B", slice(1, 2)), study.reports)


def test_a_tuning_that_both_have_is_compared_with_itself_alone(study):
    for wrong, side in ((6, "A"), (2, "B")):
        for variant in ("", "tuning=full"):
            study.cell("llm-mh-joint-s0", wrong, variant=",".join(filter(None, [f"data.rows={wrong}", variant])))
        if side == "A":
            study.cell("ce-mh-joint-s0", wrong, variant="tuning=lora")
    study.cell("ce-mh-joint-s0", 2)
    folder = write_comparison(part(study, "A", slice(3)), part(study, "B", slice(3, None)), study.reports)
    page = (folder / "compare.md").read_text()
    assert len(line(page, "llm", "mh")) == len(line(page, "llm tuning=full", "mh"))
    assert line(page, "ce", "mh")[5].startswith("+20.0")  # of each sweep its only one
    assert "Only in" not in page
    folder = write_comparison(part(study, "C", slice(2)), part(study, "D", slice(3, 4)), study.reports)
    page = (folder / "compare.md").read_text()
    assert "Only in C: llm tuning=full mh joint." in page
    assert sum("| llm" in row for row in page.splitlines()) == 2  # a pair in each of the two tables


def test_rows_of_the_same_cells_are_named_and_not_compared(study):
    for name, wrong in (("ce-mh", 2), ("ce-mhp", 3)):
        for seed in range(3):
            study.cell(f"{name}-joint-s{seed}", wrong)
    for seed in range(3):
        study.cell(f"ce-mhp-joint-s{seed}", 9)
    first, cells = part(study, "A", slice(6)), study.cells
    other = replace(study.sweep("B"), cells=tuple(cells[:3] + cells[6:]))
    page = (write_comparison(first, other, study.reports) / "compare.md").read_text()
    assert "The same cells stand in both, and nothing is to be compared: ce mh joint." in page
    assert line(page, "ce", "mhp", "joint")[5].startswith("**-30.0 [")
    assert not any(row.startswith("| ce") and "| mh " in row for row in page.partition("By task")[2].splitlines())
    page = (
        write_comparison(part(study, "C", slice(3)), part(study, "D", slice(3)), study.reports) / "compare.md"
    ).read_text()
    assert line(page, "ce", "mh", "joint")[5].startswith("+0.0 [")


def test_a_gap_at_tuned_rates_stands_beside_the_usual_ones_and_what_turned_is_named(study):
    for routing, wrong in (("prefix", 2), ("mh", 9), ("mhp", 3)):
        for seed in range(3):
            study.cell(f"llm-{routing}-joint-s{seed}", wrong + seed % 2)
    for routing, wrong in (("prefix", 2), ("mh", 2), ("mhp", 3)):
        for seed in range(3):
            study.cell(f"llm-{routing}-joint-s{seed}", wrong + seed % 2, variant="tuned=tune")
    folder = write_comparison(part(study, "A", slice(9)), part(study, "B", slice(9, None)), study.reports)
    page = (folder / "compare.md").read_text().partition("Which verdicts turned")[2]
    gap = line(page, "llm: mh - prefix")
    assert gap[1].startswith("**-35.0 [")
    assert gap[2].lstrip("+").startswith("0.0 [")
    assert gap[3] == "+35.0"
    assert gap[5].strip("*") == "lower → no difference shown"
    assert line(page, "llm: mhp - prefix")[5] == "—"
    assert line(page, "b1 llm: prefix - mh")[3] == "-35.0"
    assert "turned." in page
