from matplotlib.figure import Figure

from relevance.report.figures import _panel, write_heat_map
from relevance.report.matrix import matrices


def drawn(study, path) -> bytes:
    write_heat_map(matrices(study.sweep()), path)
    return path.read_bytes()


def test_the_heat_map_shows_a_change_of_one_cell(study, tmp_path):
    study.cell("ce-mh-joint-s0", 4)
    study.cell("ce-mhp-joint-s0", 5)
    before = drawn(study, tmp_path / "before.png")
    study.cells.pop()
    study.cell("ce-mhp-joint-s0", None)
    failed = drawn(study, tmp_path / "failed.png")
    assert before[:8] == b"\x89PNG\r\n\x1a\n"
    assert before != failed
    assert b"Software" not in before


def test_nothing_finished_several_tables_and_odd_names_still_draw(study, pairs, tmp_path):
    study.table(pairs(("query_item",)), "e2" * 32)
    study.cell("ce-mh-joint-s0", None, variant="$x^{$")
    study.cell("ce-mh-joint-s0", None, data_digest="e2" * 32)
    assert drawn(study, tmp_path / "map.png")


def test_a_tile_is_marked_where_a_seed_collapsed(study):
    study.cell("ce-mh-joint-s0", 9)
    study.cell("ce-mhp-joint-s0", 2)
    (matrix,) = matrices(study.sweep())
    axes = Figure().subplots()
    _panel(axes, matrix, (50.0, 100.0))
    tiles = [tile.get_text() for tile in axes.texts]
    assert tiles[:14] == [*["55.0 †"] * 6, "55.0", *["90.0"] * 7]
    assert not any("†" in tile for tile in tiles[14:])
    assert axes.get_xlabel().endswith("2 of 2 cells finished; † collapsed")
