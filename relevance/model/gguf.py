"""A GGUF file → a folder as transformers keeps a backbone, made once for each file.

SmolLM2-135M.Q4_1.gguf → outputs/backbones/b179c9523d0e6a0f: config.json, model.safetensors (bfloat16), tokenizer.json
"""

import hashlib
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filelock import FileLock

from relevance.atomic_io import atomic_folder
from relevance.cli import echo
from relevance.errors import UserError, first_line

DIGEST = "gguf.sha256"  # in a converted folder: of the file it was made from
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
    """The folder (absolute) that `file` was converted to; converted on the first call, by one process.

    Raises UserError where the file cannot be read as a decoder.
    """
    digest = file_sha256(file)
    place = converted_place(digest, outputs)
    with only_gguf(place) as first:
        if first:
            started = time.monotonic()
            with atomic_folder(place) as part:
                _convert(file, part)
                (part / DIGEST).write_text(digest)
            echo(f"model.backbone={file.name}: converted to {place}, {time.monotonic() - started:.0f} s")
    return place


@contextmanager
def only_gguf(place: Path, lock: str = "lock") -> Iterator[bool]:
    """Whether `place` is still to be made, by nobody else meanwhile; what is there needs no right to write."""
    if place.is_dir():
        yield False
        return
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        held = FileLock(f"{place}.{lock}").acquire()
    except OSError as error:
        raise UserError(
            f"{place.parent}: a backbone is to be converted there ({error.strerror}); let it be written to, or give "
            "outputs=FOLDER"
        ) from error
    with held:
        yield not place.is_dir()


def converted_place(digest: str, outputs: Path) -> Path:
    """Where the GGUF file of a sha256 is converted to."""
    return outputs.absolute() / "backbones" / digest[:16]


def file_sha256(file: Path) -> str:
    """Of a file (hex), read once in a process."""
    state = file.stat()
    return _sha256(file.absolute(), state.st_size, state.st_mtime_ns)


@cache
def _sha256(file: Path, size: int, modified: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def source_digest(path: Path) -> str | None:
    """sha256 of the GGUF file that `path` was converted from; None where it is no such folder, or a copy of one.

    Whatever version of transformers converted it: it writes its own number into config.json.
    """
    file = path / DIGEST
    digest = file.read_text() if file.is_file() else ""
    return digest if digest and path.name == digest[:16] else None


def _convert(file: Path, part: Path) -> None:
    """Write model and tokenizer as transformers reads them from `file` alone, whatever lies beside it."""
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
