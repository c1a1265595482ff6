"""Taught cells beside the vote of their teachers and beside the same cells without one."""

import pytest
from page import evidence, text

from relevance import seal
from relevance.config_io import ConfigFile, read_config
from relevance.report.archive import opened, write_archive
from relevance.report.matrix import matrices
from relevance.report.sections.taught import TITLE, taught_section

THREE = ("llm-mhp-joint-s0", "llm_b-mhp-joint-s0", "ce_b-mhp-joint-s0")


def school(study, seeds: int = 3, plain: bool = True):
    """Three teachers that are wrong on different rows, cells that they teach and, beside them, plain ones."""
    teachers = [study.cell(name, 4, start=4 * at).folder.name for at, name in enumerate(THREE)]
    shown = f"train.teacher={[name[:8] for name in teachers]}".replace(" ", "")
    for seed in range(seeds):
        if plain:
            study.cell(f"ce-mhp-joint-s{seed}", 6, start=seed)
            study.log({"test/rows_per_second": 450.0})
        cell = study.cell(f"ce-mhp-joint-s{seed}", 2, start=seed, variant=shown)
        study.log({"test/rows_per_second": 500.0, "teacher/rows_per_second": 90.0})
        config = read_config(cell.files.config)
        config.train.teacher = teachers
        cell.files.config.write_text(ConfigFile(config).text())
        seal.place(cell.folder).unlink(missing_ok=True)
    return study


def lines(study) -> dict[str, list[str]]:
    (section,) = taught_section(evidence(study))
    assert section.closed
    return {line[1]: line[2:] for line in section.blocks[1].body}


def test_student_vote_and_plain_cells_stand_side_by_side(study):
    told = lines(school(study))
    assert list(told) == ["taught", "plain", "vote of 3 teachers"]
    assert told["taught"][0] == told["plain"][0] == "3"
    assert told["taught"][1].startswith("90.0 [")
    assert told["plain"][1].startswith("70.0 [")
    assert told["vote of 3 teachers"][:2] == ["—", "100.0 [100.0 to 100.0]"]
    assert told["taught"][2].startswith("+20.0 [")
    assert told["taught"][3].startswith("-10.0 [")
    assert told["vote of 3 teachers"][2].startswith("+30.0 [")
    assert [line[-1] for line in told.values()] == ["500", "450", "90"]


def test_one_seed_decides_nothing_and_what_is_not_there_is_a_dash(study):
    told = lines(school(study, seeds=1, plain=False))
    assert list(told) == ["taught", "vote of 3 teachers"]
    assert told["taught"][2] == "—"
    assert told["taught"][3].startswith("-10.0 [")
    assert type(told["taught"][3]) is str  # not bold


def test_a_teacher_that_is_gone_is_said_and_no_section_is_without_a_taught_cell(study):
    school(study).cells[0].files.test.unlink()
    study.cells = study.cells[3:]
    (section,) = taught_section(evidence(study))
    assert [line[1] for line in section.blocks[1].body] == ["taught", "plain"]
    assert "no such file" in section.blocks[-1][0]
    study.cells = study.cells[:1]
    assert TITLE not in text(study)


@pytest.mark.parametrize("others", [0, 3])
def test_an_archive_holds_the_vote_of_teachers_of_another_sweep(study, tmp_path, others):
    school(study)
    study.cells = study.cells[others:]
    sweep = study.sweep()
    tables = matrices(sweep)
    write_archive(sweep, tables, tmp_path / "runs.zip")
    ours = taught_section(evidence(study))
    with opened(tmp_path / "runs.zip") as packed:
        study.outputs, study.cells = packed.outputs, list(packed.cells)
        assert taught_section(evidence(study)) == ours
        write_archive(packed, matrices(packed), tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "runs.zip").read_bytes()
