"""The model a cell's run carries: served over HTTP by MLflow's own command, bad rows answered, nothing pickled."""

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pyarrow.parquet as pq
import pytest
from mlflow.exceptions import MlflowException
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from small_sweep import record

from relevance import predictions, seal
from relevance.tracking.serving import INSTALLED, LIMITS, copy_code
from tools.benchmarks.serve import served


@pytest.fixture(scope="module")
def cell(trained_cell) -> dict:
    """A trained mhp cell of a decoder: its record and the rows it was tested on."""
    config = trained_cell("llm", "mhp")
    outputs = Path(config.outputs)
    return {"record": record(config).cells[0], "outputs": outputs, "rows": next(outputs.glob("data/*/rows.parquet"))}


@pytest.fixture(scope="module")
def folder(cell) -> Path:
    """Where MLflow keeps the model."""
    return next(cell["outputs"].glob("artifacts/models/*/artifacts"))


@pytest.fixture(scope="module")
def url(folder) -> Iterator[str]:
    with served(folder) as (address, _):
        yield address


def post(url: str, body: bytes) -> tuple[int, dict]:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def records(*rows: dict) -> bytes:
    return json.dumps({"dataframe_records": rows}).encode()


def test_posted_pairs_get_the_probabilities_of_the_cells_own_test(cell, url):
    tested = predictions.read(cell["record"].folder / "test.parquet")
    rows = pq.read_table(cell["rows"], columns=["task", "left", "right"]).take(tested["row"]).to_pylist()
    status, answer = post(url, records(*rows))
    assert status == 200
    for name in predictions.PROBABILITIES:
        assert [row[name] for row in answer["predictions"]] == pytest.approx(tested[name].to_pylist(), abs=1e-5)
    assert [row["label"] for row in answer["predictions"]] == tested["predicted"].to_pylist()


GOOD = {"task": "query_item", "left": "lamp", "right": "red lamp"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (records(GOOD, {**GOOD, "task": "query_itm"}), "row 1 ('query_itm'): unknown task; available: query_item"),
        (records({**GOOD, "right": " "}), "row 0 (' '): right is no text or empty"),
        (records(GOOD, {**GOOD, "task": "x" * 10_000_000}), "xx…): unknown task; available: query_item"),
        (
            records(GOOD, {**GOOD, "left": "usb " * 2_500_000}),
            "left has up to 10,000,000 characters, and max_characters=20,000; cut it",
        ),
        (records(*[GOOD] * 1_001), "1,001 rows, and max_rows=1,000; send fewer at a time"),
        (
            records(*[{**GOOD, "left": "usb " * 4_000}] * 200),
            "3,201,600 characters in all, and max_total_characters=2,000,000; send fewer rows at a time",
        ),
        (records({**GOOD, "left": ["usb"] * 1_000_000}), "left is no text or empty"),
        (records({**GOOD, "left": None}), "left is no text or empty"),
        (records({**GOOD, "left": 5}), "left is no text or empty"),
        (
            b'{"dataframe_records": [{"task": "query_item", "left": "\\ud83d", "right": "lamp"}]}',
            "surrogates not allowed",
        ),
        (records({"task": "query_item", "left": "lamp"}), "missing inputs ['right']"),
        (b'{"dataframe_records": [', "valid JSON"),
    ],
)
def test_what_cannot_be_scored_is_answered_with_400_and_the_server_goes_on(url, body, said):
    status, answer = post(url, body)
    assert status == 400
    assert said in answer["message"]
    assert len(answer["message"]) < 2_000
    assert "stack_trace" not in answer
    assert post(url, records(GOOD))[0] == 200


def test_the_model_is_code_and_safetensors_with_pinned_requirements_and_a_signature(folder):
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert {"served.py", "heads.safetensors", "private.safetensors", "requirements.txt"} <= names
    assert not [name for name in names if name.endswith((".pkl", ".pt", ".bin", ".pickle"))]
    pins = (folder / "requirements.txt").read_text().split()
    assert {pin.split("==")[0] for pin in pins} >= {"mlflow", "torch", "transformers", "peft"}
    assert not [pin for pin in pins if pin.startswith("relevance")]  # no index has it: the model brings its code
    assert all("==" in pin and "+" not in pin for pin in pins)
    code = folder / "code" / "relevance"
    assert {path.name for path in code.iterdir() if path.is_dir()} == {"data", "model", "predict"}
    assert "cloudpickle" not in " ".join(pins)
    signature = (folder / "MLmodel").read_text().split("signature:")[1]
    assert all(word in signature for word in ("task", "left", "right", "label", *predictions.PROBABILITIES))


def test_rows_for_a_head_that_was_never_trained_are_bad_rows(cell, tmp_path):
    from relevance.predict.served import ServedCell  # mlflow.pyfunc warns where it is imported first

    model = shutil.copytree(cell["record"].folder / "model", tmp_path / "model")
    told = json.loads((model / "template.json").read_text())
    (model / "template.json").write_text(json.dumps({**told, "tasks": ["query_item"]}))
    seal.write(model, "model")
    served = ServedCell()
    served.load_context(SimpleNamespace(artifacts={"model": str(model)}, model_config=LIMITS))
    assert len(served.predict(None, pd.DataFrame([GOOD]))) == 1
    with pytest.raises(MlflowException, match=r"row 1 .'type_type'.: unknown task; available: query_item$"):
        served.predict(None, pd.DataFrame([GOOD, {**GOOD, "task": "type_type"}]))


ELSEWHERE = """
import sys, pandas, mlflow.pyfunc
model = mlflow.pyfunc.load_model(sys.argv[1])
rows = pandas.DataFrame([{"task": "query_item", "left": "lamp", "right": "red lamp"}] * 2)
print(model.predict(rows.head(1))["label"].tolist())
import relevance.predict.scorer as ours
from importlib.metadata import packages_distributions
known = packages_distributions()
print(ours.__file__, *sorted({name for module in list(sys.modules) for name in known.get(module.split(".")[0], [])}))
try:
    model.predict(rows)
except mlflow.exceptions.MlflowException as error:
    print(error.message)
"""


def test_a_model_opens_where_the_project_is_not(folder, tmp_path):
    """From a copy of its folder, by another Python path, with what its requirements install and their own needs."""
    copy = shutil.copytree(folder, tmp_path / "elsewhere")
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env["MLFLOW_PYFUNC_INFERENCE_CONFIG"] = '{"max_rows": 1}'
    done = subprocess.run(
        [sys.executable, "-P", "-c", ELSEWHERE, str(copy)], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    label, imported, refused = done.stdout.splitlines()
    ours, *packages = imported.split()
    assert label in ("[0]", "[1]", "[2]")
    assert Path(ours).is_relative_to(copy / "code")
    optional = {"relevance", "dill", "sentencepiece"}  # imported by others where they are there
    assert set(map(canonicalize_name, packages)) - optional <= needs(INSTALLED)
    assert "2 rows, and max_rows=1; send fewer at a time" in refused


def test_an_adapter_takes_its_embedded_backbone_along(trained_cell, tmp_path):
    config = trained_cell("llm", "mhp")
    model = shutil.copytree(record(config).cells[0].folder / "model", tmp_path / "model")
    text = (model / "config.yaml").read_text()
    assert config.model.backbone in text
    (model / "config.yaml").write_text(text.replace(config.model.backbone, "embedded:llm"))
    code = copy_code(model, tmp_path)
    assert (code / "backbones" / "llm" / "model.safetensors").is_file()
    assert not (code / "backbones" / "ce").exists()


def needs(packages) -> set[str]:
    """The packages and all that installing them installs."""
    todo, done = [*packages], set[str]()
    while todo:
        name = todo.pop()
        if canonicalize_name(name) in done:
            continue
        done.add(canonicalize_name(name))
        with suppress(PackageNotFoundError):
            wanted = map(Requirement, metadata.requires(name) or [])
            todo += [one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    return done
