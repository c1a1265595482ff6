"""The package as others install it: what the wheel holds, and, in make test-wheel, what it does in another folder."""

import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BUILT = "RELEVANCE_WHEEL"  # the folder of make wheel
slow = pytest.mark.skipif(BUILT not in os.environ, reason="trains a cell: make test-wheel")

JUDGEMENTS = """query,product_id,esci_label,product_locale
red chair,i1,E,us
red chair,i2,S,us
blue table,i3,E,us
blue table,i1,I,us
"""
ITEMS = "product_id,product_title,product_locale\ni1,Red chair,us\ni2,Oak chair,us\ni3,Blue table,us\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of make wheel, else one built here."""
    folder = Path(os.environ.get(BUILT) or tmp_path_factory.mktemp("dist"))
    if BUILT not in os.environ:
        pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    (path,) = folder.resolve().glob("relevance-*.whl")
    return path


def pip(*words: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *words], check=True)


def listed(folder: Path, pattern: str = "*") -> set[str]:
    """Files below a folder, as they are named from the folder above it; what Python compiles is left out."""
    paths = (path for path in folder.rglob(pattern) if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(folder.parent).as_posix() for path in paths}


def test_the_wheel_holds_the_package_its_files_and_conf_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    conf = {f"relevance/{name}" for name in listed(ROOT / "conf")}
    assert names == listed(ROOT / "relevance") | listed(ROOT / "hydra_plugins") | conf
    for end in (
        "backbones/ce/model.safetensors",
        "lexicon.json",
        "page.html",
        "conf/rates.yaml",
        "conf/source/esci.yaml",
    ):
        assert any(name.endswith(f"/{end}") for name in names), end


def test_the_build_backend_is_the_pinned_one():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]
    assert build["requires"][0] in (ROOT / "constraints.txt").read_text().splitlines()


@pytest.fixture(scope="module")
def office(wheel, tmp_path_factory) -> Path:
    """A user's repository, in it an environment with the wheel; its dependencies are those of this Python."""
    folder = tmp_path_factory.mktemp("ein Büro")
    venv.create(folder / "venv", symlinks=True)
    pip("--python", folder / "venv/bin/python", "install", "--no-deps", "--no-index", wheel)
    # A path alone: .pth files that lie there, as that of an editable install, are not read.
    (packages(folder) / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    me = ("-c", "user.name=A", "-c", "user.email=a@b.c")
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    subprocess.run(["git", *me, "commit", "--quiet", "--allow-empty", "--message=Begin"], cwd=folder, check=True)
    return folder


def packages(folder: Path) -> Path:
    (path,) = (folder / "venv").glob("lib/python3*/site-packages")
    return path


def command(folder: Path, *words: str, program: str = "relevance") -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    ended = subprocess.run(
        [folder / "venv/bin" / program, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@slow
def test_what_runs_is_the_wheel_and_the_commit_of_the_users_repository_is_not_its_own(office):
    code = "import relevance.config as c, relevance.cell_id as p; print(c.__file__, c.conf_folder(), p.git_commit())"
    inside = packages(office) / "relevance"
    commit = {"git_commit": "", "git_dirty": ""}
    assert command(office, "-c", code, program="python") == f"{inside / 'config.py'} {inside / 'conf'} {commit}\n"
    assert "\n  run  " in command(office, "--help")


@slow
def test_pairs_are_made_and_derived_by_a_source_of_conf(office):
    (office / "judged.csv").write_text(JUDGEMENTS)
    (office / "items.csv").write_text(ITEMS)
    command(office, "data", "shop", "output=shop", *"judgements=900 queries=90 items=150 types=100".split())
    command(office, "data", "derive", "source=esci", "judgements=judged.csv", "items=items.csv", "output=pairs.parquet")
    assert (office / "shop/taxonomy.parquet").is_file()
    assert (office / "pairs.parquet").is_file()


@slow
def test_a_sweep_and_its_report_lie_in_the_folder_of_the_command(office):
    installed = listed(packages(office))
    (office / "relevance").mkdir()  # as in a clone of the project: its code is not what was installed
    (office / "relevance/__init__.py").touch()
    command(office, "run", "-m", "routing=mh", *"data.rows=120 trainer.max_steps=1 name=small".split())
    command(office, "report", "figures=false")
    report = office / "multirun_reports/small"
    assert (report / "index.html").is_file()
    (cell,) = json.loads((report / "provenance.json").read_text())["cells"]
    assert cell["status"] == "FINISHED"
    assert {"mlflow.db", "outputs", "multirun_reports"} <= {path.name for path in office.iterdir()}
    assert listed(packages(office)) == installed
