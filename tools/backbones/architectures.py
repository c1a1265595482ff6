"""Name → what is pretrained under it: the architecture, the objective and the kind of tokenizer.

ARCHITECTURES["llm_b"] → Architecture(encoder=False, vocabulary=3072, digits=True, config=...)

llm and ce are a pair: blocks, sizes, tokenizer and fresh weights are the same, attention and objective are not.
EuroBERT is a Llama that is seen in both directions. Each pools one state: ce that of [CLS], llm that of the last [SEP].
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    EuroBertConfig,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

from tools.backbones.vocabulary import MAX_POSITIONS

BODY: dict[str, Any] = {
    "hidden_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 320,
    "max_position_embeddings": MAX_POSITIONS,
    "tie_word_embeddings": True,
    "rms_norm_eps": 1e-6,
}
STD = 0.06  # of fresh weights; width 128 learns nothing for long from the usual 0.02
SHARPER = 1.5  # of keys: a token's own score is then about 5 above another's
OUTPUTS = ("o_proj.weight", "down_proj.weight")


@dataclass(frozen=True)
class Architecture:
    """An encoder learns to fill in masked tokens, a decoder to go on with a text."""

    encoder: bool
    vocabulary: int
    digits: bool  # whether each digit is a token of its own
    config: Callable[[PreTrainedTokenizerFast], PreTrainedConfig]

    def build(self, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
        """The model with fresh weights in float32, its attention drawn to equal tokens from the start."""
        auto = AutoModelForMaskedLM if self.encoder else AutoModelForCausalLM
        model = auto.from_config(self.config(tokenizer), attn_implementation="sdpa")
        for name, weight in model.named_parameters():
            if weight.ndim == 2:
                torch.nn.init.normal_(weight, std=STD / 2 if name.endswith(OUTPUTS) else STD)
        for module in model.modules():
            _tie_queries_to_keys(module)
        return model


@torch.no_grad()
def _tie_queries_to_keys(module: Any) -> None:
    """Start an attention with equal queries and keys: a token then looks at itself in the other text.

    After the mimetic initialisation of Trockman and Kolter (arXiv 2305.09828); training unties them.
    """
    parts: dict[str, Any] = dict(module.named_children())
    if "q_proj" in parts:
        query, key = parts["q_proj"].weight, parts["k_proj"].weight
        if "q_norm" not in parts:  # where there is one, it sets the size
            key.mul_(SHARPER)
        heads = key.view(-1, module.head_dim, key.shape[1])
        query.copy_(heads.repeat_interleave(query.shape[0] // key.shape[0], 0).view_as(query))


def _config(kind: Callable[..., PreTrainedConfig], **own: Any) -> Callable[[PreTrainedTokenizerFast], PreTrainedConfig]:
    def config(tokenizer: PreTrainedTokenizerFast) -> PreTrainedConfig:
        return kind(
            **BODY,
            **own,
            vocab_size=len(tokenizer),
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.cls_token_id,
            eos_token_id=tokenizer.eos_token_id,
            mask_token_id=tokenizer.mask_token_id,
            use_cache=False,
        )

    return config


ARCHITECTURES = {
    "llm": Architecture(False, 4096, False, _config(LlamaConfig)),
    "llm_b": Architecture(False, 3072, True, _config(Qwen3Config, num_key_value_heads=2, head_dim=32)),
    "ce": Architecture(True, 4096, False, _config(EuroBertConfig, classifier_pooling="bos")),
}
