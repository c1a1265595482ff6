"""Two real sweeps read as one report: votes, implied pairs, artifacts; a cell asked for twice counts once."""

from dataclasses import replace
from pathlib import Path

import pytest
from small_sweep import small_cell, sweep

from relevance.errors import UserError
from relevance.report.files import write_report
from relevance.tracking.history import keep, sweep_record


@pytest.fixture
def place(tmp_path, backbones):
    def made(model: str, routing: str, name: str):
        return small_cell(tmp_path, backbones, model, routing, name=name, probes=False)

    return made


def test_sweeps_are_read_as_one_and_their_runs_keep_the_report(place, tmp_path):
    one = [place("ce", "mhp", "one"), place("llm", "mhp", "one")]
    two = [place("llm", "mhp", "two"), place("gpt2", "mhp", "two")]
    assert sweep(*one) == sweep(*two) == 0
    where = one[0].tracking_uri, one[0].experiment, Path(one[0].outputs)
    record = sweep_record(*where, ["one", "two"], "both")
    assert [cell.model for cell in record.cells] == ["ce", "llm", "gpt2"]
    assert [run.name for run in record.runs] == ["one", "two"]
    assert {cell.family for cell in record.cells} == {"ce", "llm"}
    folder = write_report(record, tmp_path / "reports")
    assert folder.name == "both"
    page = (folder / "matrix.md").read_text()
    assert "| mhp " in page.split("## Ensembles")[1]
    assert "## Consistency across tasks" in page
    keep(*where, record, folder)
    for run in record.runs:
        (kept,) = where[2].glob(f"artifacts/{run.run_id}/artifacts/report/index.html")
        assert kept.read_bytes() == (folder / "index.html").read_bytes()
    assert sweep_record(*where, []).name == "two"  # the one touched last
    with pytest.raises(UserError, match=r"sweep=three: no such sweep in .* \(known: two, one\)"):
        sweep_record(*where, ["one", "three"])


def test_the_same_report_twice_from_the_same_runs(place, tmp_path):
    config = replace(place("ce", "mh", "one"))
    assert sweep(config) == 0
    where = config.tracking_uri, config.experiment, Path(config.outputs)
    first, second = (write_report(sweep_record(*where, []), tmp_path / name) for name in ("a", "b"))
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()
