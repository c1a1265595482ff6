"""A cell's model logged for MLflow to serve, with what it takes along to open anywhere: our code, and what to install.

model/code/relevance/{*.py, data/, model/, predict/}, and backbones/<name> where an adapter needs an embedded one
"""

import logging
import os
import shutil
import sys
import warnings
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlflow.models import Model, ModelSignature
from mlflow.types.schema import ColSpec, Schema

from relevance.cell_id import CellFolder
from relevance.config_io import anchored_uri, read_config
from relevance.predictions import PROBABILITIES
from relevance.tracking.store import Run, Store

PACKAGE = Path(__file__).parents[1]
SERVED = PACKAGE / "predict" / "served.py"
PARTS = ("data", "model", "predict")  # of the package: what SERVED imports from, beside the files at its root
INSTALLED = (
    "mlflow torch transformers peft lightning omegaconf pandas pyarrow psutil filelock tqdm safetensors gguf".split()
)
LIMITS = {  # of a request; MLFLOW_PYFUNC_INFERENCE_CONFIG='{"max_rows": 100}' sets others where a model is served
    "max_rows": 1_000,
    "max_characters": 20_000,  # of a text
    "max_total_characters": 2_000_000,  # of all texts
}


EXAMPLE = {"left": "usb c cable", "right": "Volt USB-C cable 2 m"}


def log_model(run: Run, folder: str, task: str) -> None:
    """Log a folder as a pyfunc model, no pickle; MLflow scores a pair of `task`, which it was trained on."""
    example = {"task": task, **EXAMPLE}
    inputs = Schema([ColSpec("string", name) for name in example])
    labelled = Schema([ColSpec("long", "label"), *(ColSpec("double", name) for name in (*PROBABILITIES, "score"))])
    with TemporaryDirectory() as scratch, ExitStack() as stack:
        stack.callback(setattr, sys, "path", sys.path)  # mlflow puts the model's own code there, for the example
        Model.log(
            artifact_path=None,
            name="model",
            flavor=_pyfunc(run.store),
            run_id=run.run_id,
            python_model=str(SERVED),
            code_paths=[str(copy_code(Path(folder), Path(scratch)))],
            artifacts={"model": folder},
            model_config=LIMITS,
            signature=ModelSignature(inputs, labelled),
            input_example={name: [value] for name, value in example.items()},
            pip_requirements=pins(),
        )


def _pyfunc(store: Store) -> Any:
    """MLflow's flavour of python functions, told where models go: it knows of a store only what is set globally."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*Any type hint is inferred", UserWarning)  # mlflow's, of its own classes
        import mlflow.pyfunc
    os.environ["MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING"] = "false"
    logging.getLogger("mlflow.pyfunc").setLevel(logging.WARNING)  # that it validates its example
    mlflow.set_tracking_uri(anchored_uri(store.uri))
    mlflow.set_experiment(experiment_id=store.experiment_id)
    return mlflow.pyfunc


def pins() -> list[str]:
    """A requirement of each package that serving imports; an index knows none of a build like 2.13.0+cpu."""
    return [f"{package}=={version(package).partition('+')[0]}" for package in INSTALLED]


def copy_code(model: Path, folder: Path) -> Path:
    """The package in `folder` as far as the model in `model` needs it."""
    config = read_config(CellFolder(model).config).model
    copied = shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=_left_out)
    kind, _, name = config.backbone.partition(":")
    if config.lora.r and kind == "embedded":  # of other models every weight is in their own folder
        shutil.copytree(PACKAGE / "backbones" / name, copied / "backbones" / name)
    return copied


def _left_out(folder: str, names: list[str]) -> list[str]:
    if Path(folder) != PACKAGE:
        return [name for name in names if name == "__pycache__"]
    return [name for name in names if name not in PARTS and not name.endswith(".py")]
