"""QLoRA (arXiv 2305.14314): the frozen trunk in 4 bits, adapters, private adapters and heads in float32.

Needs CUDA and the optional extra: pip install "relevance[qlora]"
"""

from importlib.util import find_spec
from typing import Any

import torch

from relevance.config import ModelConfig
from relevance.errors import UserError


def admit(model: ModelConfig) -> None:
    """UserError where 4 bits are asked for and cannot be had here."""
    if not model.load_in_4bit:
        return
    lacking = ["the package bitsandbytes (pip install 'relevance[qlora]')"] if find_spec("bitsandbytes") is None else []
    if not torch.cuda.is_available():
        lacking.append("a CUDA device")
    if lacking:
        raise UserError(
            f"model.load_in_4bit=true: needs {' and '.join(lacking)}; leave it out to train in full precision"
        )


def arguments(model: ModelConfig) -> dict[str, Any]:
    """Further arguments of from_pretrained: NF4 with double quantization, as in the paper's section 3."""
    if not model.load_in_4bit:
        return {}
    from transformers import BitsAndBytesConfig

    settings = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    return {"quantization_config": settings, "device_map": {"": torch.cuda.current_device()}}
