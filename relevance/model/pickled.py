"""A backbone whose weights are pickled → the same as safetensors, made once; what a pickle would run is not run.

google/electra-base-discriminator: pytorch_model.bin → outputs/backbones/4f0c81d2aa93be57/model.safetensors
"""

import json
import shutil
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors.torch import save_file

from relevance.atomic_io import atomic_folder
from relevance.errors import UserError, first_line
from relevance.model.backbone import SOURCE
from relevance.model.gguf import only_gguf


def unpickled_folder(source: Path, names: list[str], digest: str, outputs: Path) -> Path:
    """The folder below `outputs` with the files `names` of `source`, their weights as safetensors.

    `digest` is that of `source`. Of two processes one makes it. Raises UserError for weights that are torn, or that
    hold more than tensors.
    """
    folder = (outputs / "backbones" / digest[:16]).absolute()  # an adapter on it names it from anywhere
    with only_gguf(folder) as first:
        if first:
            _convert(source, names, digest, folder)
    return folder


def _convert(source: Path, names: list[str], digest: str, folder: Path) -> None:
    with atomic_folder(folder) as part:
        for name in names:
            safe = part / name.replace("pytorch_model", "model").replace(".bin", ".safetensors")
            if name.endswith(".bin"):
                save_file(_tensors(source / name), safe, {"format": "pt"})
            elif name.endswith(".bin.index.json"):
                safe.write_text(_renamed(json.loads((source / name).read_text(encoding="utf-8"))))
            else:
                shutil.copyfile(source / name, part / name)
        (part / SOURCE).write_text(digest)


def _tensors(file: Path) -> dict[str, torch.Tensor]:
    """Each with memory of its own: safetensors takes none that share it, as tied embeddings do."""
    try:
        held = torch.load(file, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise UserError(
            f"{file.name} holds more than tensors and is not read, for it could run anything; where you trust it, "
            "convert it to safetensors yourself"
        ) from error
    except (RuntimeError, EOFError, OSError) as error:
        raise UserError(f"{file.name} is no whole file of weights ({first_line(error)}); fetch it again") from error
    return {name: value.contiguous().clone() for name, value in held.items() if torch.is_tensor(value)}


def _renamed(index: dict) -> str:
    parts = {
        key: name.replace("pytorch_model", "model").replace(".bin", ".safetensors")
        for key, name in index["weight_map"].items()
    }
    return json.dumps({**index, "weight_map": parts})
