"""Backbones of real size: what their hub's config.json says of their shape; their weights here are random.

SHAPES["Qwen3-0.6B"] → Shape("qwen3", Family.llm, {"hidden_size": 1024, "num_hidden_layers": 28, ...})
"""

from dataclasses import dataclass
from typing import Any

from relevance.config import Family


@dataclass(frozen=True)
class Shape:
    """An architecture and the settings of its config that make it as large as it is."""

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
