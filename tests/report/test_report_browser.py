"""The page in a real browser: it fits wide and narrow windows, and prints whole."""

import re
import shutil
import subprocess
from html import escape, unescape

import pytest

from relevance.pages.blocks import Bold, Code, Figure, Link, Section, Table
from relevance.pages.render import html

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking".split()
WIDE = '<svg xmlns="http://www.w3.org/2000/svg" width="1800" height="300"><rect width="1800" height="300"/></svg>'
WIDTHS = (1400, 400, 320)
MEASURE = """<script>onload = () => {
  for (const frame of document.querySelectorAll("iframe")) {
    const {contentDocument: page, contentWindow: view} = frame, root = page.documentElement
    const box = page.querySelector(".scroll"), cell = box.querySelector("td"), before = cell.getBoundingClientRect().x
    box.scrollLeft = 60
    frame.dataset.found = [
      view.innerWidth, root.scrollWidth, box.scrollWidth - box.clientWidth, cell.getBoundingClientRect().x - before,
      page.querySelector("img").naturalWidth, page.querySelector("details table").checkVisibility(),
    ].join(" ")
  }
}</script>"""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="chromium not installed")


def document(word: str) -> list[Section]:
    numbers = [f"{task} n=2,027" for task in ("query_item", "query_query", "item_type", "micro")] * 4
    header = ["model", "routing", "task mix", *numbers]
    lines = [[word, word, f"single {i}", *[Bold("88.6 ± 0.4")] * len(numbers)] for i in range(3)]
    tall = Table(["row", "why"], [[f"row-{i}", word * 3] for i in range(60)], left=2)
    link = Link(word, f"http://127.0.0.1:5000/#/{word}")
    blocks = [Code(word * 5), [word, link], Table(header, lines, left=3), Figure("wide", word), tall]
    return [Section("", [word, link]), Section(word, blocks), Section(word, [word], deep=True)]


@pytest.fixture
def browse(tmp_path):
    """What the browser prints, given its last arguments."""

    def run(*arguments: str) -> str:
        command = [BROWSER, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *arguments]
        return subprocess.run(command, capture_output=True, timeout=120, check=True, encoding="utf-8").stdout

    return run


@pytest.mark.parametrize("word", ["llm", "a_long_name_" * 12, "many words " * 9], ids=["short", "unbroken", "long"])
def test_only_a_table_scrolls_sideways(browse, tmp_path, word):
    """A window cannot be narrower than about 500 px, but a frame in it can."""
    (tmp_path / "wide.svg").write_text(WIDE, encoding="utf-8")
    page = escape(html(word, document(word), tmp_path))
    sizes = [f"border: 0; width: {width}px; height: 900px" for width in WIDTHS]
    frames = "".join(f'<iframe style="{size}" srcdoc="{page}"></iframe>' for size in sizes)
    (tmp_path / "frames.html").write_text(f"<!doctype html>{MEASURE}{frames}", encoding="utf-8")
    dumped = browse("--window-size=1600,1000", "--dump-dom", (tmp_path / "frames.html").as_uri())
    found = re.findall(r'data-found="([^"]*)"', dumped)
    assert len(found) == len(WIDTHS), dumped[-500:]
    for width, measured in zip(WIDTHS, found, strict=True):
        inner, whole, hidden, moved, picture, shown = unescape(measured).split()
        assert int(inner) == width
        assert int(whole) <= width
        assert int(hidden) > 60, width  # the table is wider than its box, which scrolls
        assert abs(float(moved)) <= 1, width  # its first column stays
        assert int(picture) == 1800, width  # under the policy of the page too
        assert shown == "false", width


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext not installed")
def test_paper_shows_what_the_screen_folds(browse, tmp_path):
    (tmp_path / "wide.svg").write_text(WIDE, encoding="utf-8")
    (tmp_path / "index.html").write_text(html("Report", document("llm"), tmp_path), encoding="utf-8")
    browse("--no-pdf-header-footer", f"--print-to-pdf={tmp_path / 'page.pdf'}", (tmp_path / "index.html").as_uri())
    command = ["pdftotext", "-layout", tmp_path / "page.pdf", "-"]
    text = subprocess.run(command, capture_output=True, check=True, encoding="utf-8").stdout
    assert all(f"row-{i} " in text for i in range(60))
    assert "127.0.0.1" not in text
