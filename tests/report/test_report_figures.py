"""Two drawings: the same numbers give the same bytes, texts are drawn as they are, what is not there is not drawn."""

from dataclasses import replace
from itertools import product
from xml.etree import ElementTree

import numpy as np
import pytest

from relevance.report.figures import COLOURS, MARKERS, STROKES, Curve, Line, wrap, write_curves, write_intervals
from relevance.report.files import write_report

ODD = "_a$b_{c}<script>"
LINE = Line(ODD, "llm", 0.031, 0.012, 0.049, decided=True)
CURVE = Curve(ODD, "item_item", np.array([0.5, 0.9]), np.array([0.4, 0.9]), np.array([30, 9]))
COUNTS = replace(CURVE, x=np.array([200.0, 1200.0]), bars=np.array([[0.3, 0.8], [0.5, 1.0]]))
DRAWINGS = {
    "intervals": lambda folder, value: write_intervals(
        [replace(LINE, value=value)], folder, "intervals", f"What mhp adds {ODD}", "points"
    ),
    "reliability": lambda folder, value: write_curves(
        [replace(CURVE, y=np.array([0.4, value]))], folder, "reliability", "Sure", ("x", "y"), diagonal=True
    ),
    "volume": lambda folder, value: write_curves(
        [replace(COUNTS, y=np.array([0.4, value]))], folder, "volume", "Shared", ("rows", "points")
    ),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_same_numbers_same_bytes_and_another_number_others(name, tmp_path):
    drawn = []
    for turn, value in enumerate((0.2, 0.2, 0.3)):
        folder = tmp_path / str(turn)
        folder.mkdir()
        assert DRAWINGS[name](folder, value) == 1
        drawn.append([(folder / f"{name}.{form}").read_bytes() for form in ("png", "svg")])
    first, again, other = drawn
    assert first == again
    assert all(a != b for a, b in zip(first, other, strict=True))
    assert first[0].startswith(b"\x89PNG\r\n\x1a\n")
    assert b"Software" not in first[0]
    assert not any(word in first[1] for word in (b"dc:date", b"dc:creator"))


@pytest.mark.parametrize("name", DRAWINGS)
def test_names_from_data_are_drawn_as_they_are(name, tmp_path):
    DRAWINGS[name](tmp_path, 0.2)
    svg = (tmp_path / f"{name}.svg").read_text()
    assert "<script" not in svg
    assert "_a$b_{c}&lt;script&gt;" in svg
    texts = [element.text or "" for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert any(ODD in text for text in texts)
    assert not any("mathdefault" in text for text in texts)


def test_without_anything_to_draw_nothing_is_written(tmp_path):
    assert write_intervals([replace(LINE, value=np.nan)], tmp_path, "a", "", "") == 0
    assert write_curves([replace(CURVE, weight=np.zeros(2))], tmp_path, "b", "", ("", "")) == 0
    assert not list(tmp_path.iterdir())


def test_forty_lines_are_drawn_under_their_groups_once(tmp_path):
    lines = [replace(LINE, label=f"line {i}", group=f"group {i % 2}") for i in range(43)]
    assert write_intervals(lines, tmp_path, "many", "title", "points") == 40
    svg = (tmp_path / "many.svg").read_text()
    assert "line 39" in svg
    assert "line 40" not in svg
    assert svg.count(">group 0<") == svg.count(">group 1<") == 1
    assert "+3.1 [+1.2, +4.9]" in svg


def test_a_value_without_an_interval_stands_alone(tmp_path):
    write_intervals([replace(LINE, low=np.nan, high=np.nan)], tmp_path, "lone", "title", "points")
    assert ">+3.1<" in (tmp_path / "lone.svg").read_text()


def test_models_of_which_the_same_is_seen_are_named_together(study):
    for seed in range(3):
        for model, routing in product(("ce", "llm"), ("prefix", "mh")):
            study.cell(f"{model}-{routing}-joint-s{seed}", 5)
    svg = (write_report(study.sweep(), study.reports) / "differences.svg").read_text()
    assert "ce and llm: no difference to the prefix shown" in svg


def test_the_first_figure_says_what_is_seen(study):
    for seed in range(3):
        for routing, wrong in (("prefix", 5), ("mh", 5), ("mhp", 0)):
            study.cell(f"ce-{routing}-joint-s{seed}", wrong)
    svg = (write_report(study.sweep(), study.reports) / "differences.svg").read_text()
    assert "ce: mhp above the prefix" in svg


def test_series_are_told_apart_without_colour():
    assert len({(MARKERS[i % len(MARKERS)], STROKES[i % len(STROKES)]) for i in range(8)}) == 8
    assert len(MARKERS) == len(COLOURS)


def test_words_fit():
    assert wrap("llm · mhp · data=pairs@f67,match=steps", 20) == "llm · mhp\ndata=pairs@f67,\nmatch=steps"
    assert wrap("abcdef", 3) == "abc\ndef"
