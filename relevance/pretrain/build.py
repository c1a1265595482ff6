"""Options → backbone folders with their provenance.

provenance.json: {"command": "python -m relevance.pretrain names=[ce] seed=1000 ...", "steps": 2391, "loss": 1.62, ...}
"""

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from relevance.config import DataConfig
from relevance.data import entities
from relevance.data.lexicon import world_index
from relevance.errors import UserError
from relevance.pretrain import corpus, train, vocabulary
from relevance.pretrain.architectures import ARCHITECTURES

if TYPE_CHECKING:
    from relevance.pretrain.__main__ import Options

LIMIT = 8 * 2**20  # bytes of a backbone's folder
_HELD_OUT = 256  # documents
_PACKAGES = ("torch", "transformers", "tokenizers", "numpy")


def build(options: "Options") -> None:
    """Train the named backbones on one corpus and write their folders; UserError where the corpus is not clean."""
    torch.set_num_threads(options.threads)
    written, known = corpus.documents(options.seed, options.shops, options.rows)
    texts = known | {text for document in written for text in document}
    shared = sorted(texts & _default_texts())
    if shared:
        raise UserError(f"corpus: holds {len(shared)} entities of the default data, such as {shared[0]!r}")
    about = {
        "corpus": {
            "sha256": corpus.digest(written),
            "documents": len(written),
            "characters": sum(len(text) for document in written for text in document),
            "entities": len(known),
            "entities_of_default_data": len(shared),
        },
        "packages": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
    }
    for name in options.names:
        _build_one(name, written, about, options)


def _build_one(name: str, written: corpus.Documents, about: dict, options: "Options") -> None:
    torch.manual_seed(options.seed)
    kind = ARCHITECTURES[name]
    texts = (text for document in written for text in document)
    tokenizer = vocabulary.train(texts, kind.vocabulary, encoder=kind.encoder, digits=kind.digits)
    rows = train.encode(written, tokenizer)
    model = kind.build(tokenizer)
    read, unread = rows[:-_HELD_OUT], rows[-_HELD_OUT:]
    steps, loss = train.train(model, kind, read, tokenizer, train.Plan(options.seed, options.tokens))
    held_out, unigram = train.held_out(model, kind, unread, tokenizer)
    folder = Path(options.output) / name
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    provenance = {
        "name": name,
        "command": _command(name, options),
        "seed": options.seed,
        "threads": options.threads,
        "objective": "masked tokens" if kind.encoder else "next token",
        "parameters": model.num_parameters(),
        "tokens_in_corpus": sum(len(row.ids) for row in rows),
        "tokens_read": options.tokens,
        "steps": steps,
        "loss": round(loss, 4),
        "held_out_loss": round(held_out, 4),
        "unigram_loss": round(unigram, 4),
        **about,
    }
    (folder / "provenance.json").write_text(json.dumps(provenance, indent=2) + "\n", encoding="utf-8")
    size = sum(file.stat().st_size for file in folder.iterdir())
    if size > LIMIT:
        raise UserError(f"backbone {name}: {size} bytes; at most {LIMIT}: make it smaller in pretrain/architectures.py")
    print(f"{folder}: {size / 2**20:.1f} MiB, {steps} steps, held-out loss {held_out:.3f} (unigram {unigram:.3f})")


def _command(name: str, options: "Options") -> str:
    settings = {key: getattr(options, key) for key in ("seed", "shops", "rows", "tokens", "threads")}
    return " ".join(["python -m relevance.pretrain", f"names=[{name}]", *(f"{k}={v}" for k, v in settings.items())])


def _default_texts() -> set[str]:
    """Every entity that the default data can hold."""
    default = DataConfig()
    shop = entities.build(default.rows, default.seed, world_index("shop"))
    return {text for one in shop.values() for text in one.text}
