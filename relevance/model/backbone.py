"""Where a backbone lies: embedded:<name>, a local folder or a hub id → its folder and the digest of what it holds."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from relevance.config import Config, ModelConfig
from relevance.errors import UserError
from relevance.model import files, gguf, packaged

EMBEDDED = Path(__file__).resolve().parent.parent / "backbones"
SOURCE = "source.txt"  # in a converted folder: the digest of what it was made of


def of(config: Config) -> Path:
    """The local folder of a cell's backbone; UserError where there is none."""
    model = config.model
    return folder(model.backbone, model.revision, Path(config.outputs), model.trust_remote_code)


def digest_of(config: Config) -> str:
    """The digest of a cell's backbone."""
    return digest(of(config), config.model.trust_remote_code)


def pinned(model: ModelConfig, commit: Callable[[str, str | None], str]) -> ModelConfig:
    """The model whose hub id names its commit in `revision`, as `commit` (hub.commit) has it; any other as it is.

    Raises UserError where there is no such commit, or `revision` is given of what has none.
    """
    name, revision = parted(model)
    if not _on_hub(name, revision):
        return model
    try:
        return replace(model, backbone=name, revision=commit(name, revision))
    except UserError as error:
        raise UserError(f"model.backbone={name}: {error}") from error


def parted(model: ModelConfig) -> tuple[str, str | None]:
    """Backbone and revision of `model.backbone=org/name@revision` or `model.revision=`; UserError for two of them."""
    name, revision = _parts(model.backbone, model.revision)
    given = f"model.backbone={model.backbone} model.revision={model.revision}"
    if model.revision and name != model.backbone:
        raise UserError(f"{given}: names two revisions; leave one out")
    if model.revision and not _on_hub(name, revision):
        raise UserError(f"{given}: only a hub id has revisions; leave model.revision out")
    return name, revision


def folder(backbone: str, revision: str | None = None, outputs: Path = Path("outputs"), code: bool = False) -> Path:
    """The local folder of `embedded:<name>`, `packaged:<name>`, a path or a hub id (fetched); UserError where none is.

    `revision` is a branch, tag or commit of a hub id; `code`: that of its own is needed too. GGUF files and pickled
    weights are converted, and kept below `outputs`.
    """
    if backbone.startswith("embedded:"):
        return _embedded(backbone.removeprefix("embedded:"))
    if backbone.startswith("packaged:"):
        return packaged.folder(backbone.removeprefix("packaged:"), outputs)
    if revision is None and (file := gguf.file_of(Path(backbone).expanduser())):
        return gguf.folder(file, outputs)
    name, revision = _parts(backbone, revision)
    try:
        path = _fetched(name, revision, code) if _on_hub(name, revision) else _local(name)
        return _readable(path, outputs, code)
    except UserError as error:
        raise UserError(f"model.backbone={name}: {error}") from error


def digest(path: Path, code: bool = False) -> str:
    """sha256 (hex) of what a backbone's folder says: config, tokenizer and weights, and `code` of its own that runs.

    Wherever these files lie it is the same; of a converted folder it is that of what was converted.
    """
    if source := gguf.digest_of(path):
        return source
    if (path / SOURCE).is_file():
        return (path / SOURCE).read_text()
    total = hashlib.sha256()
    for name in sorted(_needed(path, code)):
        total.update(name.encode() + bytes.fromhex(gguf.sha256((path / name).resolve())))
    return total.hexdigest()


def body_parameters(path: Path) -> int:
    """How many weights a row's tokens are multiplied with (embeddings left out), from the safetensors headers."""
    total = 0
    for name in _needed(path, code=False):
        if not name.endswith(".safetensors"):
            continue
        with (path / name).open("rb") as stream:
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


def _parts(backbone: str, revision: str | None) -> tuple[str, str | None]:
    """org/name@revision in two; a revision given beside it goes first."""
    if not _on_hub(backbone, revision):
        return backbone, revision
    name, _, at = backbone.partition("@")
    return name, revision or at or None


def _on_hub(name: str, revision: str | None) -> bool:
    """Whether it is a hub id: a folder or file of the same name is meant where no revision is given."""
    if name.startswith(("embedded:", "packaged:", ".", "/", "~")):
        return False
    return revision is not None or not Path(name).exists()


def _fetched(name: str, revision: str | None, code: bool) -> Path:
    from relevance.model import hub  # takes its library along

    return hub.fetched(name, hub.commit(name, revision), code)


def _local(name: str) -> Path:
    path = Path(name).expanduser()
    if not path.is_dir():
        raise UserError("no such folder")
    return path


def _readable(path: Path, outputs: Path, code: bool) -> Path:
    """The folder itself, or what its pickled weights were converted to; UserError where weights are torn."""
    names = _needed(path, code)
    files.check(path, names)
    if not files.pickled(names):
        return path
    from relevance.model.pickled import converted  # takes torch along

    return converted(path, names, digest(path, code), outputs)


def _needed(path: Path, code: bool) -> list[str]:
    return files.needed((file.name for file in path.iterdir()), code, path.joinpath, str(path))
