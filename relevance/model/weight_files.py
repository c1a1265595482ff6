"""The files of a backbone that its numbers depend on, out of all that lie in a repository or a folder.

README.md config.json consolidated.safetensors model.safetensors onnx/model.onnx tokenizer.json train.py
→ config.json tokenizer.json model.safetensors
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch
from math import prod
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from relevance.errors import UserError, first_line

CONFIG = "config.json"
# Those of a tokenizer; sentencepiece and tiktoken have *.model, under several names.
TOKENIZER = (
    "tokenizer* vocab* merges.txt bpe.codes tekken.json *.model special_tokens_map.json added_tokens.json".split()
)
CODE = "*.py"  # run with model.trust_remote_code alone
SAFE, PICKLED = "model.safetensors", "pytorch_model.bin"
INDEX = ".index.json"  # of weights that come in parts
OTHERS = ("*.h5", "*.msgpack", "*.ot", "*.onnx", "*.safetensors", "*.bin", "*.pt", "*.pth")
ADAPTER, MODULES = "adapter_config.json", "modules.json"
FEW = r"(layers?|heads?|experts|groups)$"  # settings of config.json that count parts
LABELED = r"labels$"
FREE = r"theta|position|ctx|token|_id$|length|window|seq|max_|version|base|factor"  # and those that count no weights
HUGE = 1 << 25
POINTER = b"version https://git-lfs"  # how a file begins that Git LFS did not fetch


def needed_files(names: Iterable[str], code: bool, read: Callable[[str], Path], here: str = "FOLDER") -> list[str]:
    """The files at the root that a backbone is read from, weights last; the `code` of its own where it may run.

    `read` gives a file to look into, `here` is what a person calls the folder. Raises UserError, which says what is
    there instead, where there is no backbone.
    """
    root = sorted(name for name in names if "/" not in name)
    if CONFIG not in root:
        raise UserError(_instead(root, read, here))
    tokenizer = [name for name in root if any(fnmatch(name, pattern) for pattern in TOKENIZER)]
    runnable = [name for name in root if fnmatch(name, CODE)] if code else []
    described = [name for name in tokenizer if not fnmatch(name, CODE)]
    return [CONFIG, *described, *runnable, *_weights(root, read)]


def check_complete(folder: Path, names: Iterable[str]) -> None:
    """UserError for weights that are cut short; their headers alone are read."""
    for name in names:
        if not name.endswith((".safetensors", ".bin")):
            continue
        with (folder / name).open("rb") as file:
            if file.read(len(POINTER)) == POINTER:
                raise UserError(f"{name} is a pointer of Git LFS, not the file; git lfs pull in its folder")
        try:
            if name.endswith(".safetensors"):
                safe_open(folder / name, "pt")
        except SafetensorError as error:
            raise UserError(f"{name} is no whole safetensors file ({first_line(error)}); fetch it again") from error


def shapes_of(file: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor in a safetensors file, from its header; UserError where it is none."""
    try:
        with safe_open(file, "pt") as weights:
            return {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(f"{file}: no weights that can be read ({first_line(error)}); fetch it again") from error


def weight_count(folder: Path) -> int:
    """How many numbers the safetensors files of a folder hold."""
    return sum(prod(shape) for file in folder.glob("*.safetensors") for shape in shapes_of(file).values())


def check_numbers(folder: Path) -> None:
    """UserError where config.json counts more than the weights beside it can be; their headers alone are read."""
    total = weight_count(folder) or HUGE
    for key, value in _numbers(_json(folder / CONFIG)):
        most = next(
            most
            for names, most in ((FEW, 1000), (LABELED, 100_000), (FREE, HUGE), ("", total))
            if re.search(names, key)
        )
        if abs(value) > most:
            raise UserError(f"{CONFIG}: {key} is {value:,}, which its weights cannot hold; fetch it again")


def _numbers(node: Any, key: str = "") -> Iterator[tuple[str, int]]:
    """The whole numbers of nested settings, with their keys."""
    if isinstance(node, dict):
        for name, inner in node.items():
            yield from _numbers(inner, name)
    elif isinstance(node, list):
        for inner in node:
            yield from _numbers(inner, key)
    elif isinstance(node, int):
        yield key, node


def _weights(root: list[str], read: Callable[[str], Path]) -> list[str]:
    """In the order transformers looks: one file, or an index and the parts it names."""
    for name in (SAFE, PICKLED):
        if name in root:
            return [name]
        if f"{name}{INDEX}" in root:
            return [f"{name}{INDEX}", *_parts(f"{name}{INDEX}", root, read)]
    others = [name for name in root if any(fnmatch(name, pattern) for pattern in OTHERS)]
    there = f" (there are: {', '.join(others)})" if others else ""
    raise UserError(f"no weights that can be read{there}; it needs {SAFE} or {PICKLED}, or their parts and index")


def _parts(index: str, root: list[str], read: Callable[[str], Path]) -> list[str]:
    parts = sorted(set(_json(read(index))["weight_map"].values()))
    missing = [name for name in parts if name not in root]
    if missing:
        raise UserError(f"{index} names {', '.join(missing)}: not there; fetch the whole of it again")
    return parts


def _instead(root: list[str], read: Callable[[str], Path], here: str) -> str:
    """Why there is no config.json, as far as other files tell."""
    if ADAPTER in root:
        base = _json(read(ADAPTER))["base_model_name_or_path"]
        return f"is an adapter of {base} and no backbone; give model.backbone={base}"
    if quantized := [name for name in root if fnmatch(name, "*.gguf")]:
        return f"holds GGUF files alone; fetch one and give model.backbone=FILE, as {quantized[0]}"
    inner = _json(read(MODULES))[0]["path"].strip("/") if MODULES in root else ""
    if inner:
        return f"is of sentence-transformers, which keeps the backbone in {inner}; give model.backbone={here}/{inner}"
    return f"holds no {CONFIG}; give the folder or the hub id of a model of transformers"


def _json(file: Path):
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{file.name} is no JSON ({first_line(error)}); fetch it again") from error
