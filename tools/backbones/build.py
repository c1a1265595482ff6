"""Options → backbone folders with their provenance.

provenance.json: {"command": "python -m tools.backbones names=[ce] seed=1000 ...", "steps": 2391, "loss": 1.62, ...}
"""

import json
import os
import platform
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from relevance.atomic_io import atomic_folder
from relevance.config import DataConfig
from relevance.errors import UserError
from relevance.shop.catalogue import world_index
from relevance.shop.entities import build_entities
from tools.backbones import corpus, train, vocabulary
from tools.backbones.architectures import ARCHITECTURES
from tools.backbones.compare import UNKNOWN, is_name
from tools.backbones.options import Options

LIMIT = 8 * 2**20  # bytes of a backbone's folder
HELD_OUT = 2048  # documents
PACKAGES = ("torch", "transformers", "tokenizers", "numpy")


def build(options: Options) -> None:
    """Train the named backbones on one corpus, as many at once as there are cores, and write their folders.

    Raises UserError where the corpus holds an entity of the default data.
    """
    whole = corpus.corpus(options.seed, options.shops, options.rows)
    if len(whole.documents) <= HELD_OUT:  # training would wait for ever for a document to read
        raise UserError(f"rows={options.rows}: {len(whole.documents)} documents, {HELD_OUT} held out; give more rows")
    texts = whole.entities | {text for document in whole.documents for text in document}
    shared = sorted(texts & _default_texts())
    if shared:
        raise UserError(f"corpus: holds {len(shared)} entities of the default data, such as {shared[0]!r}")
    about = {
        "corpus": {
            "sha256": corpus.digest(whole),
            "documents": len(whole.documents),
            "characters": sum(len(text) for document in whole.documents for text in document),
            "entities": len(whole.entities),
            "entities_of_default_data": len(shared),
        },
        "packages": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }
    if len(options.names) == 1:
        _build_one(options.names[0], whole, about, options)
        return
    side_by_side = max(1, (os.cpu_count() or 1) // options.threads)
    with ProcessPoolExecutor(side_by_side, mp_context=get_context("spawn")) as pool:
        # list: an error in one is raised here
        list(pool.map(_build_one, options.names, repeat(whole), repeat(about), repeat(options)))


def _build_one(name: str, whole: corpus.Corpus, about: dict, options: Options) -> None:
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    kind = ARCHITECTURES[name]
    texts = (text for document in whole.documents for text in document)
    tokenizer = vocabulary.train(texts, kind.vocabulary, digits=kind.digits)
    rows = train.encode(whole, tokenizer)
    read = rows.take(np.arange(HELD_OUT, len(rows.facts)))
    trained = train.Pretrainer(kind.build(tokenizer), kind, tokenizer)
    steps = train.train(trained, read, train.Plan(options.seed, options.tokens))
    provenance = {
        "name": name,
        "command": _command(name, options),
        "seed": options.seed,
        "threads": options.threads,
        "objective": f"{'masked tokens' if kind.encoder else 'next tokens'}, and facts of pairs",
        "parameters": trained.model.num_parameters(),
        "tokens_in_corpus": int(rows.ids.lengths.sum()),
        "tokens_read": options.tokens,
        "steps": steps,
        "held_out": {name: train.held_out(trained, rows.take(part)) for name, part in _parts(whole).items()},
        "unigram_loss": round(train.unigram(rows), 4),
        **about,
    }
    _write(Path(options.output) / name, trained.model, tokenizer, provenance)


def _parts(whole: corpus.Corpus) -> dict[str, np.ndarray]:
    """Places of documents that are not read: of all, of pairs without a name in front and of pairs with one."""
    pair = whole.facts[:HELD_OUT, 0] != UNKNOWN
    named = np.array([is_name(document[0]) for document in whole.documents[:HELD_OUT]])
    parts = {"all": pair | True, "pairs": pair & ~named, "named_pairs": pair & named}
    return {name: np.flatnonzero(part) for name, part in parts.items()}


def _write(folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, provenance: dict) -> None:
    with atomic_folder(folder) as part:
        model.save_pretrained(part)
        tokenizer.save_pretrained(part)
        (part / "provenance.json").write_text(json.dumps(provenance, indent=2) + "\n", encoding="utf-8")
    size = sum(file.stat().st_size for file in folder.iterdir())
    if size > LIMIT:
        remedy = "make it smaller, tools/backbones/architectures.py"
        raise UserError(f"backbone {folder.name}: {size} bytes; at most {LIMIT}: {remedy}")
    print(f"{folder}: {size / 2**20:.1f} MiB, {provenance['steps']} steps, held out: {provenance['held_out']}")


def _command(name: str, options: Options) -> str:
    settings = {key: getattr(options, key) for key in ("seed", "shops", "rows", "tokens", "threads")}
    return " ".join(["python -m tools.backbones", f"names=[{name}]", *(f"{k}={v}" for k, v in settings.items())])


def _default_texts() -> set[str]:
    """Every entity that the default data can hold."""
    default = DataConfig()
    shop = build_entities(default.rows, default.seed, world_index("shop"))
    return {text for entities in shop.values() for text in entities.text}
