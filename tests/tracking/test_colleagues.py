"""A colleague who may read a project but not write to it, as a process of the system."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_sweep import record

from relevance.errors import UserError
from relevance.tracking.history import store_at

ROOT = Path(__file__).parents[2]
WITHOUT_LEAVE = "--bounding-set=-dac_override,-dac_read_search,-fowner"  # what lets root write everywhere
PROGRAM = """
import sys
from pathlib import Path
from relevance.cli import run_command
from relevance.predict.__main__ import predict
from relevance.report.__main__ import report
from relevance.status.__main__ import status
from relevance.tracking import Store

uri, outputs, run_id = sys.argv[1:]
places = [f"tracking_uri={uri}", f"outputs={outputs}"]

def call(command, *words):
    sys.argv = ["command", *places, *words]
    run_command(command)

call(status)
call(report, "figures=false")
Path("pairs.csv").write_text("task,left,right\\nquery_item,usb cable,red cable\\n")
call(predict, f"cells={run_id}", "input=pairs.csv", "output=scored.csv")
run_command(lambda: Store(uri, "relevance", Path(outputs)).client)
"""


def as_reader(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The program in `folder`, by somebody who has no leave to write where the system says so."""
    drop = ["setpriv", WITHOUT_LEAVE] if os.geteuid() == 0 else []
    command = [*drop, sys.executable, "-c", PROGRAM, *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)


def let_write(folder: Path, leave: bool) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200 if leave else path.stat().st_mode & ~0o222)


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root needs setpriv")
def test_status_report_and_predict_write_nothing_in_the_project_they_read(trained_cell, tmp_path):
    trained = trained_cell("ce", "mh")
    theirs, mine = tmp_path / "theirs", tmp_path / "mine"
    shutil.copytree(Path(trained.outputs).parent, theirs)
    mine.mkdir()
    let_write(theirs, False)
    before = {path: path.stat().st_mtime_ns for path in theirs.rglob("*")}
    try:
        run_id = record(trained).cells[0].run_id
        done = as_reader(mine, f"sqlite:///{theirs}/mlflow.db", str(theirs / "outputs"), run_id)
        assert {path: path.stat().st_mtime_ns for path in theirs.rglob("*")} == before
    finally:
        let_write(theirs, True)
    assert done.returncode == 2, done.stderr
    assert "1 cell: 1 finished" in done.stdout
    assert (mine / "multirun_reports" / "test" / "index.html").is_file()
    assert "is not kept with its sweep in MLflow" in done.stderr
    assert "p_relevant" in (mine / "scored.csv").read_text()
    assert done.stderr.count("error:") == 1  # of the store that was opened to write, the last
    assert f"error: tracking_uri=sqlite:///{theirs}/mlflow.db: {theirs}/mlflow.db is read-only here" in done.stderr


def test_what_a_cell_leaves_may_be_read_by_whoever_may_read_its_folder(trained_cell):
    files = [path for path in Path(trained_cell("ce", "mh").outputs).rglob("*") if path.is_file()]
    assert [path for path in files if path.stat().st_mode & 0o044 != 0o044 and path.suffix != ".lock"] == []


@pytest.mark.parametrize("content", [b"", b"no database at all, but a text"])
def test_a_reader_makes_no_store_of_a_file_that_is_none(tmp_path, content):
    file = tmp_path / "mlflow.db"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"mlflow\.db: (no MLflow store|file is not a database); .*tracking_uri=URI"):
        _ = store_at(f"sqlite:///{file}", "relevance", tmp_path).client
    assert file.read_bytes() == content


def test_a_database_may_be_opened_with_settings_of_its_uri(trained_cell, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where MLflow makes a folder of a part of the URI
    trained = trained_cell("ce", "mh")
    file = trained.tracking_uri.removeprefix("sqlite:///")
    for uri in (f"sqlite:///{file}?timeout=5", f"sqlite:///file:{file}?mode=ro&uri=true"):
        store = store_at(uri, trained.experiment, Path(trained.outputs))
        assert [run.info.status for run in store.runs("tags.kind = 'cell'")] == ["FINISHED"]
