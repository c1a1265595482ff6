from html.parser import HTMLParser

import pytest

from relevance.pages.blocks import Bold, Code, Figure, Link, Section, Table
from relevance.pages.render import block, html, latex, markdown

RUN = "http://127.0.0.1:5000/#/experiments/1/runs/4f"
BAD = "<script>alert(1)</script> \"q\" 'p' & </td>"
VOID = {"meta", "img", "br"}


class Reader(HTMLParser):
    """Tags with their attributes and the text inside; a tag closed out of turn is an error."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.texts.append("")
        if tag not in VOID:
            self.open.append((tag, len(self.texts) - 1))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for _, i in self.open:
            self.texts[i] += data

    def all(self, tag: str, **wanted: str) -> list[str]:
        """Texts of a kind of tag."""
        found = zip(self.tags, self.texts, strict=True)
        return [text for (name, have), text in found if name == tag and wanted.items() <= have.items()]

    def values(self, *names: str) -> list[str]:
        """Values of attributes."""
        return [value for _, have in self.tags for name, value in have.items() if name in names]


@pytest.fixture
def draw(tmp_path):
    """The page of these sections; a picture "points" stands in its folder."""
    (tmp_path / "points.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>', encoding="utf-8")
    return lambda *sections, title="Report": html(title, list(sections), tmp_path)


def grid(rows: int = 2) -> Table:
    return Table(["model", "routing", "macro n=2,027"], [["llm", f"r{i}", f"{i}"] for i in range(rows)], left=2)


def everything(text: str) -> list[Section]:
    table = Table([text, Bold(text), f"{text} n={text}"], [[text, Bold(text), Link(text, f"https://x/{text}")]], left=1)
    blocks = [text, Code(text), [text, Bold(text)], table, Figure("points", text), Link(text, f"javascript:{text}")]
    return [Section("", blocks), Section(text, blocks), Section(text, blocks, deep=True)]


def test_every_text_is_escaped(draw):
    page = draw(*everything(BAD), title=BAD)
    read = Reader(page)
    assert "<script" not in page
    assert not {name for _, have in read.tags for name in have if name.startswith("on")}
    assert read.all("title") == read.all("h1") == read.all("h2") == read.all("h3") == [BAD]
    assert read.all("td") == [BAD] * 9
    assert read.all("li") == [BAD] * 6
    assert read.all("code") == read.all("figcaption") == read.values("alt") == [BAD] * 3
    assert read.all("p") == [BAD] * 6
    assert {href[:10] for href in read.values("href")} == {"https://x/"}


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", " https://x", "//x", "", "HTTP://x"])
def test_what_is_not_of_the_web_is_no_link(draw, url):
    page = draw(Section("", [Link("run", url)]))
    assert Reader(page).all("a") == []
    assert Reader(page).all("p") == ["run"]
    assert block(Link("run", url)) == "run"


def test_a_link_in_each_form(draw):
    table = Table(["run"], [[Link("a_1", RUN)]], left=1)
    read = Reader(draw(Section("", [table, [Link("b", RUN)], Link("c", RUN)])))
    assert read.all("a", href=RUN, rel="noreferrer") == ["a_1", "b", "c"]
    assert f"| [a_1]({RUN}) |" in markdown("", [Section("", [table])])
    assert block([Link("b", RUN)]) == f"- [b]({RUN})"
    assert r"a\_1 \\" in latex(table, "")
    assert "http" not in latex(table, "")


def test_a_url_cannot_leave_its_place(draw):
    link = Link("run", "https://x/a)b |\"'<i>`\n\\?c=1&d=%20#e(")
    assert link.address == "https://x/a%29b%20%7C%22%27%3Ci%3E%60%0A%5C?c=1&d=%20#e%28"
    assert block(link) == f"[run]({link.address.replace('&', '&amp;')})"
    assert Reader(draw(Section("", [link]))).values("href") == [link.address]


def test_nothing_comes_from_elsewhere(draw):
    page = draw(*everything("plain"))
    read = Reader(page)
    assert {tag for tag, _ in read.tags}.isdisjoint({"script", "link", "iframe", "object", "base", "form"})
    assert all(src.startswith("data:image/svg+xml;base64,") for src in read.values("src"))
    assert {href for href in read.values("href") if href[0] != "#"} == {"https://x/plain"}
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src 'none'" in page


def test_the_same_document_is_the_same_bytes_wherever_it_lies(draw, tmp_path):
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "points.svg").write_bytes((tmp_path / "points.svg").read_bytes())
    assert draw(*everything("x")) == html("Report", everything("x"), other)
    assert str(tmp_path) not in draw(*everything("x"))


def test_the_answer_then_the_contents_then_the_rest(draw):
    opening = Section("", ["First.", Bold("Second."), Code("python"), "Later."])
    page = draw(opening, Section("Cost", ["Dear."]), Section("Speed", []))
    places = ['class="answer"', "First.", "<strong>Second.</strong>", "python", "Later.", "<nav", "Dear."]
    assert [page.index(text) for text in places] == sorted(page.index(text) for text in places)
    assert Reader(page).all("div", **{"class": "answer"})[0].split() == ["First.", "Second."]


def test_contents_lead_to_ids_that_are_unique(draw):
    titles = [("Cost", False), ("Per part", True), ("Cost", False), ("cost 2", True), ("—", False)]
    page = draw(*(Section(title, [], deep) for title, deep in titles))
    ids = ["cost", "per-part", "cost-2", "cost-2-2", "section"]
    assert Reader(page).values("id") == ids
    assert Reader(page).values("href") == ["#cost", "#cost-2", "#section"]  # what is part of one is led to by it


def test_what_is_closed_opens_by_its_heading(draw):
    read = Reader(draw(Section("Cost", ["dear"], closed=True), Section("Part", ["small"], deep=True, closed=True)))
    assert read.all("summary") == ["Cost", "Part"]
    assert ["dear" in text for text in read.all("details")] == [True, False]


@pytest.mark.parametrize("sections", [[], [Section("", [])], [Section("Deep", ["x"], deep=True)]])
def test_a_page_may_say_little(draw, sections):
    page = draw(*sections)
    assert "<nav" not in page  # a single section needs none
    assert Reader(page).all("h1") == ["Report"]


def test_words_stand_left_of_numbers_and_labels_as_above_are_dim(draw):
    page = draw(Section("", [grid()]))
    assert '<td class="word" data-name="model">llm</td><td class="word" data-name="routing">r0</td>' in page
    assert '<td class="word again" data-name="model">llm</td><td class="word" data-name="routing">r1</td>' in page
    assert '<td data-name="macro">1</td>' in page
    assert '<th scope="col">macro <small>n=2,027</small></th>' in page
    assert '<th scope="col" class="word">routing</th>' in page


def test_a_label_is_dim_only_where_all_before_it_are(draw):
    table = Table(["a", "b", "c"], [["x", "y", "1"], ["z", "y", "2"]], left=3)
    assert "again" not in Reader(draw(Section("", [table]))).values("class")


def test_a_long_text_may_break(draw):
    page = draw(Section("", [Table(["why"], [["x" * 28], ["y" * 29]], left=1)]))
    assert f'<td class="word" data-name="why">{"x" * 28}' in page
    assert f'<td class="word long" data-name="why">{"y" * 29}' in page


def test_long_tables_are_folded_and_say_how_long(draw):
    assert Reader(draw(Section("", [grid(40)]))).all("details") == []
    read = Reader(draw(Section("", [grid(41)]), Section("More", [grid(1200)])))
    assert read.all("summary") == ["Table of 41 rows", "Table of 1,200 rows"]
    assert [text.count("llm") for text in read.all("details")] == [41, 1200]


def test_a_picture_that_is_absent_is_an_error(draw):
    with pytest.raises(FileNotFoundError, match=r"absent\.svg"):
        draw(Section("", [Figure("absent", "")]))
