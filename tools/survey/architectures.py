"""Name of an architecture → the folder of a backbone of random weights: twenty-one at small size, two at real size.

small("gemma2", Path("gemma2")) → a folder as the hub would give it: config.json, model.safetensors, tokenizer files
SHAPES["Qwen3-0.6B"] → Shape("qwen3", Family.llm, {"hidden_size": 1024, "num_hidden_layers": 28, ...})
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relevance.config import Family
from relevance.model.backbone import EMBEDDED

SIZE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 130,  # roberta counts its positions from 2
}
GROUPED = {"num_key_value_heads": 2, "head_dim": 8}
DEBERTA = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_biased_input": False}
# What each needs beside SIZE; windows are shorter than a pair, so that they count.
ENCODERS: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {},
    "xlm-roberta": {},
    "deberta-v2": {**DEBERTA, "max_relative_positions": 32, "position_buckets": 16},
    "electra": {"embedding_size": 16},
    "mpnet": {},
    "distilbert": {"hidden_dim": 64},
    "modernbert": {"local_attention": 8, "global_attn_every_n_layers": 2},
}
DECODERS: dict[str, dict[str, Any]] = {
    "qwen2": GROUPED,
    "qwen3": GROUPED,
    "llama": GROUPED,
    "mistral": {**GROUPED, "sliding_window": 8},
    "gemma2": {**GROUPED, "sliding_window": 8, "attn_logit_softcapping": 2.0, "query_pre_attn_scalar": 8},
    "gemma3_text": {
        **GROUPED,
        "sliding_window": 8,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    },
    "phi3": {"num_key_value_heads": 2},
    "olmo2": GROUPED,
    "gpt2": {},
    "gpt_neox": {},
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32},
    "falcon": {"alibi": False},
    "modernbert-decoder": {"local_attention": 8, "global_attn_every_n_layers": 2, "bos_token_id": 1},
}
ARCHITECTURES = {**ENCODERS, **DECODERS}


def small(kind: str, folder: Path, **sizes: Any) -> Path:
    """Make the folder of a small backbone of architecture `kind`, with other `sizes` where given; returns it."""
    return made(kind, {**SIZE, **ARCHITECTURES.get(kind, {}), **sizes}, folder)


def made(kind: str, sizes: dict[str, Any], folder: Path) -> Path:
    """Make the folder of a backbone of architecture `kind` with these settings of its config; returns it."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # of writing a file of some kilobytes
    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED / ("ce" if kind in ENCODERS else "llm"))
    names = ("pad", "bos", "eos", "cls", "sep")
    special = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in names}
    config = AutoConfig.for_model(kind, **{"vocab_size": len(tokenizer), **special, **sizes})
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@dataclass(frozen=True)
class Shape:
    """An architecture and the settings of its config that make it as large as it is, as the config.json of its hub."""

    kind: str
    family: Family
    sizes: dict[str, Any]


WIDE = {"hidden_size": 1024, "num_hidden_layers": 28, "num_attention_heads": 16}
SHAPES = {
    "Qwen3-0.6B": Shape(  # Qwen/Qwen3-0.6B
        "qwen3",
        Family.llm,
        {**WIDE, "intermediate_size": 3072, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151_936},
    ),
    "ModernBERT-large": Shape(  # answerdotai/ModernBERT-large
        "modernbert",
        Family.ce,
        {**WIDE, "intermediate_size": 2624, "local_attention": 128, "vocab_size": 50_368},
    ),
}
