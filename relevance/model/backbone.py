"""Where a backbone lies: embedded:<name>, packaged:<name>, a folder, a GGUF file, a hub id → its folder and digest."""

import hashlib
import json
from pathlib import Path

from relevance.config import Config
from relevance.errors import UserError, first_line
from relevance.model import gguf, packaged

EMBEDDED = Path(__file__).resolve().parent.parent / "backbones"
WEIGHTS = (  # what a backbone's numbers depend on; code is run with model.trust_remote_code alone
    "*.safetensors",
    "*.safetensors.index.json",  # of large ones, which come in parts
    "config.json",
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "*.model",  # sentencepiece, under several names
    "special_tokens_map.json",
    "added_tokens.json",
    "*.py",
)


def of(config: Config) -> Path:
    """The local folder of a cell's backbone; UserError where there is none."""
    return folder(config.model.backbone, config.model.revision, Path(config.outputs))


def folder(backbone: str, revision: str | None = None, outputs: Path = Path("outputs")) -> Path:
    """The local folder of `embedded:<name>`, `packaged:<name>`, a path, or a hub id (fetched); UserError where none is.

    `revision` is a branch, tag or commit of a hub id; what has to be converted is kept below `outputs`.
    """
    if backbone.startswith("embedded:"):
        return _embedded(backbone.removeprefix("embedded:"))
    if backbone.startswith("packaged:"):
        return packaged.folder(backbone.removeprefix("packaged:"), outputs)
    path = Path(backbone).expanduser()
    if file := gguf.file_of(path):
        return gguf.folder(file, outputs)
    if path.is_dir():
        return path
    if backbone.startswith((".", "/", "~")):
        raise UserError(f"model.backbone={backbone}: no such folder")
    return _from_hub(backbone)


def digest(path: Path) -> str:
    """sha256 (hex) of what a backbone's folder says: config, tokenizer, weights; of the GGUF file it was made from."""
    if source := gguf.digest_of(path):
        return source
    found = sorted({file for pattern in WEIGHTS for file in path.glob(pattern)})
    if not any(file.suffix == ".safetensors" for file in found):
        raise UserError(f"backbone {path.name}: no .safetensors weights; convert it (pickled weights are not read)")
    total = hashlib.sha256()
    for file in found:
        with file.open("rb") as stream:
            total.update(file.name.encode() + hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


def body_parameters(path: Path) -> int:
    """How many weights a row's tokens are multiplied with (embeddings left out), from the safetensors headers."""
    total = 0
    for file in path.glob("*.safetensors"):
        with file.open("rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        shapes = [entry["shape"] for name, entry in header.items() if name != "__metadata__" and "embed" not in name]
        total += sum(shape[0] * shape[1] for shape in shapes if len(shape) == 2)
    return total


def _embedded(name: str) -> Path:
    path = EMBEDDED / name
    if not (path / "config.json").is_file():
        has = ", ".join(sorted(p.parent.name for p in EMBEDDED.glob("*/config.json"))) or "none"
        raise UserError(f"model.backbone=embedded:{name}: no such embedded backbone (there are: {has}); make backbones")
    return path


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(WEIGHTS)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(
            f"model.backbone={name}: neither a local folder nor to be had from the hub ({type(error).__name__}: "
            f"{first_line(error)}); give a local folder, or backbones=embedded"
        ) from error
