"""The page in a real browser: nothing scrolls sideways, the first screen answers, what is closed prints closed."""

import os
import re
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path

import pytest

from relevance.pages.blocks import Bold, Code, Figure, Link, Section, Table
from relevance.pages.render import html
from relevance.report.files import write_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking".split()
WIDE = '<svg xmlns="http://www.w3.org/2000/svg" width="1800" height="300"><rect width="1800" height="300"/></svg>'
WIDTHS = (1400, 1200, 1000, 700, 560, 400, 320)
MEASURE = """<script>onload = () => {
  for (const frame of document.querySelectorAll("iframe")) {
    const {contentDocument: page, contentWindow: view} = frame, root = page.documentElement
    const bottom = (name) => page.querySelector(name)?.getBoundingClientRect().bottom ?? 0
    const closed = [...page.querySelectorAll("details table")].filter((table) => table.checkVisibility()).length
    page.querySelectorAll("details").forEach((details) => details.open = true)
    const wide = [...page.body.querySelectorAll("*")].filter((e) => e.getBoundingClientRect().right > view.innerWidth)
    const inside = [...page.body.querySelectorAll("*")].filter((e) => e.scrollWidth > e.clientWidth + 1
      && view.getComputedStyle(e).overflowX !== "visible")
    frame.dataset.found = [
      view.innerWidth, root.scrollWidth, wide.length, inside.length, closed, bottom(".answer"), bottom("table"),
      bottom("figure"), page.querySelector("img")?.naturalWidth,
    ].join(" ")
  }
}</script>"""

slow = pytest.mark.skipif("RELEVANCE_SERVICES" not in os.environ, reason="takes seconds; make test-services")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="chromium not installed")


def document(word: str) -> list[Section]:
    numbers = [
        f"{task} n=2,027" for task in ("query_item", "query_query", "item_type", "micro")
    ] * 2  # as many as the matrix has
    header = ["model", "routing", "task mix", *numbers]
    lines = [[word, word, f"single {i}", *[Bold("88.6 ± 0.4")] * len(numbers)] for i in range(3)]
    tall = Table(["row", "why"], [[f"row-{i}", word * 3] for i in range(60)], left=2)
    link = Link(word, f"http://127.0.0.1:5000/#/{word}")
    blocks = [Code(word * 5), [word, link], Table(header, lines, left=3), Figure("wide", word), tall]
    return [Section("", [word, link]), Section(word, blocks), Section(word, ["secret"], deep=True, closed=True)]


@pytest.fixture
def browse(tmp_path):
    """What the browser prints, given its last arguments."""

    def run(*arguments: str) -> str:
        command = [BROWSER, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *arguments]
        return subprocess.run(command, capture_output=True, timeout=120, check=True, encoding="utf-8").stdout

    return run


@pytest.fixture
def measured(browse, tmp_path):
    """By width what MEASURE says of a page in a window of it; a window is never below 500 px, but a frame in it can."""

    def of(page: str) -> dict[int, list[float]]:
        sizes = [f"border: 0; width: {width}px; height: 900px" for width in WIDTHS]
        frames = "".join(f'<iframe style="{size}" srcdoc="{escape(page)}"></iframe>' for size in sizes)
        (tmp_path / "frames.html").write_text(f"<!doctype html>{MEASURE}{frames}", encoding="utf-8")
        dumped = browse("--window-size=1600,1000", "--dump-dom", (tmp_path / "frames.html").as_uri())
        found = [[float(n) for n in unescape(of).split()] for of in re.findall(r'data-found="([^"]*)"', dumped)]
        assert [int(numbers[0]) for numbers in found] == [*WIDTHS], dumped[-500:]
        return dict(zip(WIDTHS, found, strict=True))

    return of


@pytest.mark.parametrize("word", ["llm", "a_long_name_" * 12, "many words " * 9], ids=["short", "unbroken", "long"])
def test_nothing_scrolls_sideways(measured, tmp_path, word):
    (tmp_path / "wide.svg").write_text(WIDE, encoding="utf-8")
    for width, numbers in measured(html(word, document(word), tmp_path)).items():
        _, root, wide, inside, closed, *_, picture = numbers
        assert (root <= width, wide, inside, closed) == (True, 0, 0, 0), width
        assert picture == 1800, width  # under the policy of the page too


@pytest.mark.parametrize("name", ["real", "generated"])
def test_no_report_of_record_scrolls_sideways(measured, name):
    page = Path(__file__).parents[2] / "multirun_reports" / name / "index.html"
    found = measured(page.read_text(encoding="utf-8"))
    assert {width: numbers[1] for width, numbers in found.items() if numbers[1] > width} == {}


@pytest.mark.parametrize("families", [pytest.param(1, marks=slow), pytest.param(2, marks=slow), 3])
def test_the_first_screen_holds_verdict_table_and_figure(measured, study, families):
    for family in ("ce", "llm", "rnn")[:families]:
        for routing, wrong in (("prefix", 5), ("mh", 4), ("mhp", 1), ("none", 6)):
            for seed in range(3):
                study.cell(f"{family}-{routing}-joint-s{seed}", wrong + seed % 2, start=seed, family=family)
    found = measured((write_report(study.sweep(), study.reports) / "index.html").read_text())
    for width, numbers in found.items():
        assert (numbers[1] <= width, numbers[2], numbers[3]) == (True, 0, 0), width
    *_, answer, table, figure, _ = found[1400]
    assert 0 < answer < 900
    assert 0 < table < 900
    assert 0 < figure < 900
    assert found[400][6] > 0
    assert found[400][7] == 0  # its numbers stand in the table


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext not installed")
def test_paper_shows_what_is_open_alone(browse, tmp_path):
    (tmp_path / "wide.svg").write_text(WIDE, encoding="utf-8")
    (tmp_path / "index.html").write_text(html("Report", document("llm"), tmp_path), encoding="utf-8")
    browse("--no-pdf-header-footer", f"--print-to-pdf={tmp_path / 'page.pdf'}", (tmp_path / "index.html").as_uri())
    command = ["pdftotext", "-layout", tmp_path / "page.pdf", "-"]
    text = subprocess.run(command, capture_output=True, check=True, encoding="utf-8").stdout
    assert "single 2" in text
    assert "Table of 60 rows" in text
    assert "row-1 " not in text
    assert "secret" not in text
    assert "127.0.0.1" not in text
