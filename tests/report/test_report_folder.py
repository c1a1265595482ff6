"""Where a report is written: in one folder below the reports, whatever its names are, and whole."""

import os
from pathlib import Path

import pytest

from relevance.data.floors import ensure_floors
from relevance.errors import UserError
from relevance.report.compare import write_comparison
from relevance.report.files import write_report
from relevance.report.matrix import matrices
from relevance.report.page import Form

SCRIPT = "<script>alert(1)</script>"
NAMES = ["../../x", "a\nb", "x" * 300, SCRIPT, "", ".", "CON", "größe", "{}/absolute"]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def named(study):
    """A sweep of one cell of data whose file is called as a script is."""
    study.cell("ce-mh-joint-s0", 2, variant=f"data={SCRIPT}/../../y@d1d1d1d1")
    ensure_floors(next(study.outputs.rglob("rows.parquet")))
    matrices(study.sweep("sealed"))  # as a sweep leaves its cells; a report seals older ones
    return study


@pytest.mark.parametrize("name", NAMES)
def test_names_write_one_folder_and_nothing_outside(named, tmp_path, name):
    name = name.format(tmp_path)
    (tmp_path / "reports").mkdir()
    before = files(tmp_path)
    folders = [
        write_report(named.sweep(name), named.reports, Form(figures=name == SCRIPT)),
        write_comparison(named.sweep(name), named.sweep("other"), named.reports),
    ]
    after = files(tmp_path)
    assert {path: after[path] for path in before} == before
    assert {Path(path).parent for path in {*after} - {*before}} == {*folders}
    assert {path.name for path in named.reports.iterdir()} == {folder.name for folder in folders}
    assert all(folder.parent == named.reports and ".." not in folder.name for folder in folders)
    for folder in folders:
        page = (folder / "index.html").read_text()
        assert SCRIPT not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in (folders[0] / "index.html").read_text()


def test_a_report_on_a_full_disk_keeps_every_file_of_the_one_before(study, disk):
    study.cell("ce-mh-joint-s0", 2)
    folder = write_report(study.sweep(), disk, Form(figures=False))
    before = files(folder)
    for seed in range(1, 9):
        study.cell(f"ce-mh-joint-s{seed}", seed)
    free = os.statvfs(disk)
    (disk / "filling").write_bytes(bytes(free.f_bavail * free.f_frsize - 4096))
    said = rf"{folder}/[a-z]+\.\w+: No space left on device; what stood there is whole; free space there"
    with pytest.raises(UserError, match=said):
        write_report(study.sweep(), disk, Form(figures=False))
    assert files(folder).keys() == before.keys()
    assert (folder / "index.html").read_bytes() == before[str(folder / "index.html")]
    assert not list(disk.rglob("*.part"))
    with pytest.raises(UserError, match=rf"{folder}/\w+\.png: No space left on device; nothing was written"):
        write_report(study.sweep(), disk)
    assert files(folder).keys() == before.keys()
