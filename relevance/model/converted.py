"""A backbone that transformers does not read as it lies → a folder that it does, made once for each digest.

SmolLM2-135M.Q4_1.gguf → outputs/backbones/b179c9523d0e6a0f: config.json, model.safetensors (bfloat16), tokenizer.json
electra: pytorch_model.bin → outputs/backbones/4f0c81d2aa93be57/model.safetensors; what a pickle would run is not run
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from filelock import FileLock

from relevance import seal
from relevance.atomic_io import atomic_folder
from relevance.cli import echo
from relevance.errors import UserError, first_line

MARK = "source.txt"  # in a converted folder: the digest of what it was made from
MARKS = (MARK, "gguf.sha256")  # the second in folders that GGUF files were converted to before 2026-11-28
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")  # a folder that holds these is a backbone as it is
# `tokenizer.ggml.pre` of vocabularies that read every digit by itself, as llama.cpp splits them; and those of GPT-2
DIGITS = frozenset({"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"})
AS_GPT2 = frozenset({None, "default", "gpt-2", "phi-2", "olmo", "mpt", "jais", "roberta-bpe"})

ORIGIN = "give the folder or hub id that the file was made from"


def gguf_file(path: Path) -> Path | None:
    """The GGUF file a path names, or a folder without other weights holds; UserError where it holds several."""
    if path.suffix == ".gguf" and not path.is_dir():
        if not path.is_file():
            raise UserError(f"model.backbone={path}: no such file")
        return path
    files = sorted(path.glob("*.gguf")) if path.is_dir() else []
    if not files or any(next(path.glob(pattern), None) for pattern in WEIGHTS):
        return None
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise UserError(f"model.backbone={path}: holds {len(files)} GGUF files ({names}); give one of them")
    return files[0]


def converted_folder(file: Path, outputs: Path) -> Path:
    """The folder that the GGUF `file` was converted to; UserError where it cannot be read as a decoder."""
    return _converted(seal.digest(file), outputs, partial(_convert_gguf, file))


def unpickled_folder(source: Path, names: list[str], digest: str, outputs: Path) -> Path:
    """The files `names` of `source`, weights as safetensors; UserError for torn ones, or more than tensors."""
    return _converted(digest, outputs, partial(_convert_pickled, source, names))


def _converted(digest: str, outputs: Path, convert: Callable[[Path, Path], None]) -> Path:
    """The folder (absolute) for `digest`; on the first call one process calls `convert` with it and its part."""
    place = converted_place(digest, outputs)
    with conversion(place) as first:
        if first:
            with atomic_folder(place) as part:
                convert(place, part)
                (part / MARK).write_text(digest)
    return place


@contextmanager
def conversion(place: Path, lock: str = "lock") -> Iterator[bool]:
    """Whether `place` is still to be made, under a lock; one that exists needs no permission to write."""
    if place.is_dir():
        yield False
        return
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        locked = FileLock(f"{place}.{lock}").acquire()
    except OSError as error:
        raise UserError(
            f"{place.parent}: a backbone is to be converted there ({error.strerror}); let it be written to, or give "
            "outputs=FOLDER"
        ) from error
    with locked:
        yield not place.is_dir()


def converted_place(digest: str, outputs: Path) -> Path:
    """Where what has this digest is converted to: an adapter on it names it from anywhere."""
    return outputs.absolute() / "backbones" / digest[:16]


def source_digest(path: Path) -> str | None:
    """The digest of what `path` was converted from, by any version; None where it is no such folder, or a copy."""
    digests = [(path / name).read_text() for name in MARKS if (path / name).is_file()]
    return next((digest for digest in digests if path.name == digest[:16]), None)


def _convert_gguf(file: Path, place: Path, part: Path) -> None:
    """Write model and tokenizer as transformers reads them from `file` alone, whatever lies beside it."""
    started = time.monotonic()
    if find_spec("gguf") is None:
        raise UserError(f"model.backbone={file}: GGUF files are read with the package gguf; pip install gguf")
    source = part / "source"
    source.mkdir()
    (source / "model.gguf").symlink_to(file.absolute())
    try:
        model, tokenizer = _model(source, file), _tokenizer(source, file)
    except UserError:
        raise
    except Exception as error:  # whatever a strange file makes its readers raise
        raise UserError(f"model.backbone={file}: {_reason(file, error)}") from error
    model.save_pretrained(part)
    tokenizer.save_pretrained(part)
    shutil.rmtree(source)  # the link, not the file
    echo(f"model.backbone={file.name}: converted to {place}, {time.monotonic() - started:.0f} s")


def _model(source: Path, file: Path):
    """A decoder in bfloat16; UserError where the file holds a part of its weights only."""
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    how = {"quantization_config": GgufConfig(dequantize=True), "dtype": torch.bfloat16, "output_loading_info": True}
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        source, gguf_file="model.gguf", ignore_mismatched_sizes=True, **how
    )
    model, loading = loaded
    if unfit := sorted(name for name, *_ in loading["mismatched_keys"]):
        raise UserError(
            f"model.backbone={file}: transformers takes {unfit[:3]} ({len(unfit)} in all) for other shapes than they "
            f"have; {ORIGIN}"
        )
    if missing := sorted(loading["missing_keys"]):
        raise UserError(
            f"model.backbone={file}: its weights lack {missing[:3]} ({len(missing)} in all); a file in parts is joined "
            "with llama-gguf-split --merge"
        )
    return model


def _tokenizer(source: Path, file: Path):
    """Splits text as llama.cpp does; says so where transformers does not know how."""
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer
    from transformers.integrations.gguf import get_gguf_tokenizer
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file="model.gguf")
    settings = get_gguf_tokenizer(str(source / "model.gguf"))[1]
    split = settings.get("pre_tokenizer_type")
    if split in DIGITS:
        plain = pre_tokenizers.ByteLevel(add_prefix_space=False)
        digits = pre_tokenizers.Digits(individual_digits=True)
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, plain])
    elif settings["tokenizer_type"] == "gpt2" and split not in {*AS_GPT2, *GGUF_PRE_TOKENIZER_SPLITS}:
        echo(
            f"model.backbone={file.name}: its tokenizer splits text by {split!r}, which transformers does not know; "
            "it is split as GPT-2's is, and some ids may differ from those the model was trained on"
        )
    return tokenizer


def _reason(file: Path, error: Exception) -> str:
    """Why a file could not be read: torn, or of an architecture that transformers does not read from GGUF."""
    from gguf import GGUFReader

    try:
        kind = GGUFReader(file).fields["general.architecture"].contents()
    except Exception as torn:  # as above
        return f"is no whole GGUF file ({first_line(torn)}); fetch it again"
    return f"transformers reads no {kind} as a decoder from GGUF ({first_line(error)}); {ORIGIN}"


def _convert_pickled(source: Path, names: list[str], place: Path, part: Path) -> None:
    from safetensors.torch import save_file

    for name in names:
        safe = part / _safe_name(name)
        if name.endswith(".bin"):
            save_file(_tensors(source / name), safe, {"format": "pt"})
        elif name.endswith(".bin.index.json"):
            index = json.loads((source / name).read_text(encoding="utf-8"))
            parts = {key: _safe_name(part) for key, part in index["weight_map"].items()}
            safe.write_text(json.dumps({**index, "weight_map": parts}))
        else:
            shutil.copyfile(source / name, part / name)


def _safe_name(name: str) -> str:
    """pytorch_model-00001-of-00002.bin → model-00001-of-00002.safetensors"""
    return name.replace("pytorch_model", "model").replace(".bin", ".safetensors")


def _tensors(file: Path) -> dict[str, Any]:
    """Each with memory of its own: safetensors takes none that share it, as tied embeddings do."""
    import torch

    try:
        tensors = torch.load(file, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise UserError(
            f"{file.name} holds more than tensors and is not read, for it could run anything; where you trust it, "
            "convert it to safetensors yourself"
        ) from error
    except (RuntimeError, EOFError, OSError) as error:
        raise UserError(f"{file.name} is no whole file of weights ({first_line(error)}); fetch it again") from error
    return {name: value.contiguous().clone() for name, value in tensors.items() if torch.is_tensor(value)}
