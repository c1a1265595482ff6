"""What a served model takes along, so that it opens where this project is not: our code as it is, and what to install.

model/code/relevance/{*.py, data/, model/, predict/}, and backbones/<name> where an adapter needs an embedded one
"""

import shutil
from importlib.metadata import version
from pathlib import Path

from relevance.cell_id import CellFolder
from relevance.config_io import read_config

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
