import re
from dataclasses import replace

import pytest
from page import line, text

from relevance.errors import UserError
from relevance.pages.blocks import Code, Link, Section, Table
from relevance.pages.render import escape_markdown, latex, markdown
from relevance.report.files import write_report
from relevance.report.matrix import matrices
from relevance.report.page import Form, findings_of, sections


@pytest.fixture
def grid(study):
    study.cell("ce-prefix-joint-s0", 6)
    study.cell("ce-prefix-joint-s1", 8)
    study.cell("ce-mh-joint-s0", None)
    study.cell("llm-mhp-joint-s0", 2)
    study.cell("llm-mhp-joint-s1", None, status="MISSING", run_id="", reason="")
    study.cell("llm-mh-joint-s0", None, status="RUNNING", reason="")
    study.cell("llm-mh-single_item_item-s0", 1, dirty=True)
    return study


def every(study) -> str:
    """The tables of all rows."""
    return text(study).split("## All rows and parameters")[1]


def test_mean_deviation_bold_and_seeds(grid):
    assert line(every(grid), "ce", "prefix")[4:6] == ["2", "65.0 ± 7.1†¹"]
    assert line(every(grid), "llm", "mhp")[4:8] == ["1 of 2", "**90.0**", "**90.0**", "90.0¹"]
    assert line(every(grid), "llm", "mh", "single_item_item")[5:] == ["—", "—", "**95.0**", *"———", "95.0", "95.0"]


def test_unfinished_cells_are_shown_and_counted(grid):
    page = every(grid)
    assert line(page, "ce", "mh")[4:] == ["0 of 1", *["failed"] * 8]
    assert line(page, "llm", "mh", "joint")[4:] == ["0 of 1", *["running"] * 8]
    page = text(grid)
    assert "7 cells: 4 finished (1 collapsed on some task, 1 learnt nothing), 1 failed, 1 missing, 1 running." in page
    assert "- ce-mh-joint-s0 failed: RuntimeError: boom" in page
    assert "- llm-mhp-joint-s1 missing\n" in page


def test_notes_say_only_what_holds(grid, study):
    page = text(grid)
    assert "Rows of other task mixes and variants stand in the closed table." in page
    assert "uncommitted changes: 1 of 7 cells" in page
    study.cells = study.cells[:1]
    page = text(study)
    assert "stand in the closed table" not in page
    assert "uncommitted" not in page


def test_the_matrix_is_sorted_within_families_with_the_floors_on_top(study):
    for name, wrong in (("ce-prefix", 4), ("ce-mh", 1), ("llm-prefix", 2), ("llm-mhp", 3), ("ce-mhp", 2)):
        study.cell(f"{name}-joint-s0", wrong)
    page = text(study).split("## Matrix")[1].split("## ")[0]
    rows = [tuple(cell.strip() for cell in row.split("|")[1:3]) for row in page.splitlines() if row[:1] == "|"][2:]
    assert rows == [
        ("floor", "majority"), ("floor", "lexical"), ("ceiling", "label noise"),
        ("ce", "mh"), ("ce", "mhp"), ("ce", "prefix"), ("llm", "prefix"), ("llm", "mhp"),
    ]  # fmt: skip


def test_header_states_data_and_n(grid):
    page = text(grid)
    assert "Data d1d1d1d1d1d1: 240 train, 24 validation, 120 test rows." in page
    assert "    python -m relevance.run -m routing=prefix,mh,mhp model=llm,ce\n" in page
    assert line(every(grid), "model")[4:7] == ["seeds", "query_item n=20", "query_query n=20"]
    assert line(page, "ceiling")[5:] == ["95.0"] * 8


def test_run_ids_are_text_and_links_where_the_pages_are(study):
    study.cell("ce-mh-joint-s0", 2)
    assert "](http" not in text(study)
    assert "[run0](http://host:5000/#/experiments/1/runs/run0)" in text(study, Form(ui="http://host:5000"))


def test_an_absent_task_is_a_dash_even_for_a_failed_cell(bare, pairs):
    bare.table(pairs(("query_item", "type_type")))
    bare.cell("ce-mh-joint-s0", 4)
    bare.cell("ce-mhp-joint-s0", None)
    page = every(bare)
    assert line(page, "ce", "mh")[5:] == ["**80.0**", *"————", *["**80.0**"] * 3]
    assert line(page, "ce", "mhp")[5:] == ["failed", *"————", *["failed"] * 3]


def test_the_floor_that_could_not_learn_is_named(bare, pairs):
    table = pairs()
    table.loc[(table["task"] == "item_type") & (table["split"] == "train"), "label"] = 1
    bare.table(table.astype({"label": "int8"}))
    bare.cell("ce-mh-joint-s0", 4)
    assert "Lexical is the majority on item_type: fewer than two labels in training." in text(bare)


def test_a_collapse_is_marked_explained_and_counted(grid):
    grid.cell("llm-mh-joint-s1", 4)
    grid.cell("llm-mh-joint-s2", 13)
    grid.cell("llm-mh-single_item_type-s0", 10)
    page = every(grid)
    assert line(page, "llm", "mh", "joint")[5:] == [
        *["57.5 ± 31.8†¹"] * 6,
        "57.5 ± 31.8¹",
        "57.5 ± 31.8¹ learnt nothing: 1 of 2",
    ]
    assert line(page, "llm", "mh", "single_item_type")[9:] == ["50.0†¹", "—", "50.0", "50.0 learnt nothing"]
    page = text(grid)
    assert line(page, "floor", "majority")[5:] == ["35.0"] * 8
    assert "10 cells: 7 finished (3 collapsed on some task, 3 learnt nothing), 1 failed, 1 missing, 1 running." in page
    assert "is not above zero. 3 of 7 finished cells." in page


def test_the_best_of_a_column_may_be_collapsed(study):
    study.cell("ce-mh-joint-s0", 3)
    study.cell("ce-mh-joint-s1", 9)
    shown = ["**70.0 ± 21.2**", "**70.0 ± 21.2 learnt nothing: 1 of 2**"]
    assert line(text(study), "ce", "mh", "joint", "", "2")[5:] == [*["**70.0 ± 21.2†**"] * 6, *shown]


def test_no_mark_and_no_word_of_it_without_a_collapse(study):
    study.cell("ce-mh-joint-s0", 2)
    assert "†" not in text(study)
    assert "collapsed" not in text(study)


def test_text_from_outside_is_escaped(study):
    study.cell("ce-mh-joint-s0", None, variant="a|b`<i>", reason="KeyError: '|'\n<script>")
    page = text(study)
    assert r"a\|b\`&lt;i&gt;" in page
    assert "<script>" not in page
    widths = {
        len(re.split(r"(?<!\\)\|", row))
        for row in page.split("## Matrix")[1].split("## ")[0].splitlines()
        if row[:1] == "|"
    }
    assert len(widths) == 1


def test_escape():
    assert [escape_markdown(text) for text in ("# x", "- x", "1. x", "---", "-1.5", "_x_ a_b")] == [
        r"\# x", r"\- x", r"1\. x", r"\---", "-1.5", r"\_x\_ a_b"
    ]  # fmt: skip
    assert escape_markdown("a\n b\\c [x](y) *z* & <b>") == r"a b\\c [x\](y) \*z\* &amp; &lt;b&gt;"


def test_the_same_runs_give_the_same_bytes(grid, tmp_path):
    first, second = (write_report(grid.sweep(), tmp_path / name) for name in ("one", "two"))
    names = sorted(path.name for path in first.iterdir())
    files = "cells.csv comparisons.csv index.html matrix.md matrix.tex provenance.json reliability.png reliability.svg"
    assert {*files.split()} <= {*names}
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_the_order_of_the_cells_does_not_change_the_table(grid):
    sweep = grid.sweep()
    turned = replace(sweep, cells=sweep.cells[::-1])
    tables = [markdown("", sections(s, findings_of(matrices(s)), {})).split(" cells: ")[0] for s in (sweep, turned)]
    assert tables[0] == tables[1]


def test_rows_set_aside_stand_beside_the_report_and_are_counted(grid):
    aside = grid.outputs / "data" / next(iter(grid.tables))[:16] / "quarantine.csv"
    aside.write_text("file,row,problem\na.csv,3,left is empty\na.csv,3,unknown task\na.csv,9,left is empty\n")
    folder = write_report(grid.sweep(), grid.reports, Form(figures=False))
    (copy,) = folder.glob("quarantine-*.csv")
    assert copy.read_bytes() == aside.read_bytes()
    assert f"Set aside: 2 rows of the file, listed in {copy.name}." in (folder / "matrix.md").read_text()
    aside.unlink()
    write_report(grid.sweep(), grid.reports, Form(figures=False))
    assert not copy.exists()
    assert "Set aside" not in (folder / "matrix.md").read_text()


@pytest.mark.parametrize("name", ["index.html", "matrix.md"])
def test_a_page_of_somebody_else_stays(grid, name):
    folder = grid.reports / grid.sweep().name
    folder.mkdir(parents=True)
    (folder / name).write_text("# Mine")
    with pytest.raises(UserError, match=f"{folder}.*is no report's|none of ours"):
        write_report(grid.sweep(), grid.reports)
    assert [path.name for path in folder.iterdir()] == [name]


def test_files_of_an_earlier_report_go(grid):
    folder = write_report(grid.sweep(), grid.reports)
    (folder / "mine.txt").write_text("kept")
    assert (folder / "reliability.png").is_file()
    write_report(grid.sweep(), grid.reports, Form(figures=False))
    assert not list(folder.glob("*.png")) + list(folder.glob("*.svg"))
    assert (folder / "mine.txt").is_file()


def test_a_text_moves_no_cursor_and_is_no_link():
    odd = "\x1b[31mred\x07 \x9b2J \u202ex https://evil.example/a www.evil.example Ftp://b a@evil.example a: b"
    shown = markdown("T", [Section("S", [odd, Code(odd), [odd], Table(["x"], [[odd]], left=1)])])
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown)
    prose = "\n".join(line for line in shown.splitlines() if not line.startswith("    "))
    assert not re.search(r"\w://|www\.|\w@\w", prose)
    assert r"https\://evil.example/a www\.evil.example Ftp\://b a\@evil.example a: b" in prose
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e�]", latex(Table(["x"], [[odd]], left=1), odd))


def test_the_address_of_a_link_stays():
    table = Table(["x"], [[Link("run", "http://127.0.0.1:5000/#/x")]], left=1)
    assert "[run](http://127.0.0.1:5000/#/x)" in markdown("T", [Section("S", [table])])
