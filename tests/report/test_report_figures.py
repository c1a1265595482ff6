from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from relevance.report.figures import COLOURS, counted, look, points, short, spread, tiles, wrap
from relevance.report.figures.lines import Line, write_forest, write_slope, write_volume
from relevance.report.figures.tiles import Curve, write_heat_map, write_reliability
from relevance.report.matrix import matrices
from relevance.report.stats import Effect

ODD = "_a$b_{c}<script>"
FORMS = ("png", "svg")
EFFECT = Effect(0.031, 0.012, 0.049, (0.028, 0.041, 0.024), 1212, ("llm mhp joint",))


def only(study):
    (matrix,) = matrices(study.sweep())
    return matrix


def bins(rows: int) -> Curve:
    count = np.array([rows, 0, 9])
    return Curve(ODD, "item_item", np.array([0.5, np.nan, 0.9]), np.array([0.4, np.nan, 0.9]), count)


@pytest.fixture
def routed(study):
    """Makes the matrix of an oddly named model under three routings, `wrong` answers a task by the last."""

    def make(wrong: int):
        study.cells.clear()
        for routing, many in (("prefix", 8), ("mh", 5), ("mhp", wrong)):
            for seed in range(2):
                study.cell(f"llm-{routing}-joint-s{seed}", many + seed, model=ODD)
        return only(study)

    return make


def draw(figure: str, routed, value: int, folder) -> str:
    """The figure of that name with one number of it given."""
    effect = replace(EFFECT, value=value / 100)
    match figure:
        case "heatmap":
            return write_heat_map([routed(value)], folder)
        case "slope":
            return write_slope(routed(value), folder)
        case "forest":
            return write_forest([Line(ODD, "llm", effect)], folder, "What mhp adds")
        case "volume":
            return write_volume([Line(ODD, "item_item", effect, 1200)], folder)
        case "reliability":
            return write_reliability([bins(value)], folder)


FIGURES = ("heatmap", "slope", "forest", "volume", "reliability")


@pytest.mark.parametrize("figure", FIGURES)
def test_same_numbers_same_bytes_and_another_number_others(figure, routed, tmp_path):
    drawn = []
    for turn, value in enumerate((2, 2, 3)):
        folder = tmp_path / str(turn)
        folder.mkdir()
        assert " n = " in draw(figure, routed, value, folder)
        drawn.append([(folder / f"{figure}.{form}").read_bytes() for form in FORMS])
    first, again, other = drawn
    assert first == again
    assert all(a != b for a, b in zip(first, other, strict=True))
    assert first[0].startswith(b"\x89PNG\r\n\x1a\n")
    assert b"Software" not in first[0]
    assert not any(word in first[1] for word in (b"dc:date", b"dc:creator"))


@pytest.mark.parametrize("figure", FIGURES)
def test_names_from_data_are_drawn_as_they_are(figure, routed, tmp_path):
    draw(figure, routed, 2, tmp_path)
    svg = (tmp_path / f"{figure}.svg").read_text()
    assert "<script" not in svg
    assert "_a$b_{c}&lt;script&gt;" in svg
    texts = [element.text or "" for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert any(ODD in text for text in texts)
    assert not any("mathdefault" in text for text in texts)


@pytest.mark.parametrize("figure", FIGURES)
def test_without_anything_to_draw_an_earlier_picture_goes(figure, study, routed, tmp_path):
    draw(figure, routed, 2, tmp_path)
    study.cells.clear()
    study.cell("llm-mhp-joint-s0", None)
    nothing = replace(EFFECT, value=np.nan)
    empty = {
        "heatmap": lambda: write_heat_map([], tmp_path),
        "slope": lambda: write_slope(only(study), tmp_path),
        "forest": lambda: write_forest([Line("a", "b", nothing)], tmp_path, "title"),
        "volume": lambda: write_volume([Line("llm", "item_item", nothing, 5)], tmp_path),
        "reliability": lambda: write_reliability([replace(bins(1), count=np.zeros(3, int))], tmp_path),
    }
    assert len(list(tmp_path.glob(f"{figure}.*"))) == 2
    assert empty[figure]() == ""
    assert not list(tmp_path.glob(f"{figure}.*"))


def test_a_heat_map_with_nothing_finished_and_several_tables_still_draws(study, pairs, tmp_path):
    study.table(pairs(("query_item",)), "e2" * 32)
    study.cell("ce-mh-joint-s0", None, variant="$x^{$")
    study.cell("ce-mh-joint-s0", None, data_digest="e2" * 32)
    assert "0 of 1 cells finished" in write_heat_map(matrices(study.sweep()), tmp_path)
    assert (tmp_path / "heatmap.png").stat().st_size


def test_a_tile_is_marked_where_a_seed_collapsed(study, tmp_path):
    study.cell("ce-mh-joint-s0", 9)
    study.cell("ce-mhp-joint-s0", 2)
    axes = Figure().subplots()
    tiles._heat_map_panel(axes, only(study), (50.0, 100.0))
    texts = [tile.get_text() for tile in axes.texts]
    assert texts[:14] == [*["55.0 †"] * 6, "55.0", *["90.0"] * 7]
    assert not any("†" in tile for tile in texts[14:])
    assert write_heat_map([only(study)], tmp_path).endswith("2 of 2 cells finished; † collapsed.")


def test_of_many_rows_the_heat_map_draws_the_best_in_the_order_of_the_table(study, tmp_path, monkeypatch):
    monkeypatch.setattr(tiles, "MOST_ROWS", 2)
    for routing, wrong in (("prefix", 3), ("mh", 8), ("mhp", 1)):
        study.cell(f"ce-{routing}-joint-s0", wrong)
    study.cell("ce-none-single_item_item-s0", 0)
    study.cell("ce-prefix_mh-joint-s0", None)
    assert [row.labels[1] for row in tiles._highest(only(study))] == ["prefix", "mhp"]
    assert write_heat_map([only(study)], tmp_path).endswith("; 2 of 5 rows, highest macro first.")


def test_a_forest_draws_forty_lines_and_counts_the_rest(tmp_path):
    lines = [Line(f"line {i}", f"group {i % 2}", EFFECT) for i in range(43)]
    assert write_forest(lines, tmp_path, "many").endswith("40 of 43 differences are drawn.")
    svg = (tmp_path / "forest.svg").read_text()
    assert "line 39" in svg
    assert "line 40" not in svg
    assert svg.count("group 0") == svg.count("group 1")


def test_a_slope_is_of_one_variant_and_needs_two_routings(study, tmp_path):
    study.cell("llm-mh-joint-s0", 5)
    study.cell("llm-mhp-joint-s0", 5, variant="lora.r=8")
    study.cell("ce-mhp-single_item_item-s0", 5)
    assert write_slope(only(study), tmp_path) == ""
    study.cell("llm-prefix-joint-s0", 5, variant="lora.r=8")
    assert "of variant lora.r=8;" in write_slope(only(study), tmp_path)


def test_reliability_counts_the_models_beyond_eight(tmp_path):
    curves = [replace(bins(3), label=f"llm {i}") for i in range(9)]
    assert write_reliability(curves, tmp_path).endswith("8 of 9 models are drawn.")


def test_series_are_told_apart_without_colour():
    looks = [look(index) for index in range(24)]
    assert len(set(looks)) == 24
    assert len({(one.marker, one.line) for one in looks}) == 24
    assert len({one.marker for one in looks[:8]}) == len(COLOURS)
    assert len({one.line for one in looks[:6]}) == len({one.fill for one in looks[:6]}) == 6


def test_words_fit():
    assert wrap("llm · mhp · data=pairs@f67,match=steps", 20) == "llm · mhp\ndata=pairs@f67,\nmatch=steps"
    assert wrap("abcdef", 3) == "abc\ndef"
    assert [short(n) for n in (0.5, 200, 2000, 50_000, 2e6, 1e9)] == ["0.5", "200", "2,000", "50k", "2M", "1B"]
    assert [points(n) for n in (0.031, -0.031, -0.0001)] == ["+3.1", "\N{MINUS SIGN}3.1", "+0.0"]
    assert [counted(n, "seed") for n in ([1], [3, 3], [3, 1])] == ["1 seed", "3 seeds", "1 to 3 seeds"]
    assert spread([1, 5, 1.2], 1) == pytest.approx([0.6, 5, 1.6])
    assert spread([1, 5, 1.2], 1, low=1, high=4) == pytest.approx([1, 4, 2])
