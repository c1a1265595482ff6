"""Known holes stay shut: floors of versions, nothing unpickled, the pages of MLflow on this machine alone."""

import ast
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PICKLED = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
SOURCES = sorted((ROOT / "relevance").rglob("*.py"))


@pytest.mark.parametrize(
    ("package", "refused", "admitted"),
    [("mlflow", ["3.10.9"], "3.17.2"), ("torch", ["2.9.1"], "2.13.0"), ("lightning", ["2.6.2", "2.6.3"], "2.6.6")],
)
def test_versions_with_known_holes_are_refused(package, refused, admitted):
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (floor,) = (one.specifier for one in map(Requirement, told) if one.name == package)
    assert not [version for version in refused if version in floor]
    assert admitted in floor
    assert f"{package}=={admitted}" in (ROOT / "constraints.txt").read_text().splitlines()


def unpickling(source: str) -> list[str]:
    """What in a module would read a pickle."""
    return [told for node in ast.walk(ast.parse(source)) for told in _of(node)]


def _of(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [one.name for one in node.names if one.name.split(".")[0] in PICKLED]
    if isinstance(node, ast.ImportFrom):
        reads = any(not one.name.endswith("Error") for one in node.names)
        return [node.module] if reads and (node.module or "").split(".")[0] in PICKLED else []
    if not isinstance(node, ast.Call):
        return []
    called, given = ast.unparse(node.func), {one.arg: ast.unparse(one.value) for one in node.keywords}
    loads = called.endswith(("torch.load", "read_pickle", "load_from_checkpoint")) or "ckpt_path" in given
    safe = given.get("weights_only", "False" if loads else "True") == "True" or "save" in called
    return [] if safe and given.get("allow_pickle", "False") == "False" else [called]


def test_nothing_of_ours_reads_a_pickle():
    assert len(SOURCES) > 100
    assert {str(path): found for path in SOURCES if (found := unpickling(path.read_text(encoding="utf-8")))} == {}


def test_what_reads_a_pickle_would_be_found():
    lines = (
        "import pickle",
        "from joblib import load",
        "from pickle import UnpicklingError, loads",
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "torch.load(f, weights_only=safe)",
        "np.load(f, allow_pickle=True)",
        "pd.read_pickle(f)",
        "M.load_from_checkpoint(f)",
        "trainer.fit(m, ckpt_path=f)",
        "load(f, weights_only=False)",
    )
    assert [line for line in lines if not unpickling(line)] == []
    safe = (
        "torch.load(f, weights_only=True)",
        "np.load(f)",
        "json.load(f)",
        "from pickle import UnpicklingError",
        "t.save(f, weights_only=False)",
    )
    assert [line for line in safe if unpickling(line)] == []


def test_the_pages_are_served_to_this_machine_alone_and_load_no_pickle():
    words = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "--always-make", "ui"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()[-1]
    assert "--host 127.0.0.1 " in words
    assert words.startswith("MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false ")
