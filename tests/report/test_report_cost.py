import pytest
from page import line, text


@pytest.fixture
def costly(study):
    study.cell("ce-mh-joint-s0")
    study.cell("ce-mhp-joint-s0")
    study.log({"test/rows_per_second": 2000.0, "params/trainable": 30.0, "params/total": 1234567.0})
    study.log({"params/trunk/trainable": 0.0, "params/trunk/total": 1234537.0})
    study.log({"params/adapters/trainable": 0.0, "params/adapters/total": 0.0})
    study.log({"params/private/trainable": 20.0, "params/private/total": 24.0})
    study.log({"params/gates/trainable": 2.0, "params/gates/total": 2.0})
    study.cell("llm-mh-joint-s0", None, metrics={"params/total": 5.0, "seconds": 5.0})
    return study


def test_cost_shows_means_and_dashes(costly):
    costly.cell("ce-mhp-joint-s1")
    costly.log({"seconds": 81.4, "test/rows_per_second": 3000.0, "params/trainable": 30.0})
    cost = text(costly).split("## Cost")[1]
    titles = ["trained weights", "rows/s trained", "rows/s scored", "seconds"]
    assert line(cost, "model")[4:] == titles
    assert line(cost, "ce", "mh")[4:] == ["12,345", "987", "—", "61"]
    assert line(cost, "ce", "mhp")[4:] == ["30", "987", "2,500", "71"]
    assert not [row for row in cost.split("## ")[0].splitlines() if row.startswith("| llm")]  # none finished


def test_peak_memory_has_a_column_where_any_cell_logged_it(costly):
    costly.cell("ce-prefix-joint-s0")
    costly.log({"peak_memory_bytes": 1_234_567_890.0})
    cost = text(costly).split("## Cost")[1]
    assert line(cost, "model")[-1] == "peak memory, GB"
    assert line(cost, "ce", "prefix")[-1] == "1.23"
    assert line(cost, "ce", "mh")[-1] == "—"


def test_parameters_by_part_with_the_gates_among_the_private_layers(costly):
    parameters = text(costly).split("Weights, trainable / total")[1]
    assert line(parameters, "model")[4:] == ["trunk", "adapters", "private", "heads", "all"]
    assert line(parameters, "ce", "mhp")[4:] == ["0 / 1,234,537", "—", "22 / 26", "—", "30 / 1,234,567"]


def test_runs_that_logged_no_parts_show_dashes(costly):
    parameters = text(costly).split("Weights, trainable / total")[1]
    assert line(parameters, "ce", "mh")[4:] == ["—"] * 5
    assert line(parameters, "llm", "mh")[4:] == ["—"] * 5
