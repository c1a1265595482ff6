"""Name → what is pretrained under it: the architecture, the objective and the kind of tokenizer.

ARCHITECTURES["llm_b"] → Architecture(encoder=False, vocabulary=3072, digits=True, config=...)
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    LlamaConfig,
    ModernBertConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

from relevance.pretrain.vocabulary import MAX_POSITIONS

_BODY = {
    "hidden_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 320,
    "max_position_embeddings": MAX_POSITIONS,
    "tie_word_embeddings": True,
}


@dataclass(frozen=True)
class Architecture:
    """An encoder learns to fill in masked tokens, a decoder to go on with a text."""

    encoder: bool
    vocabulary: int
    digits: bool  # whether each digit is a token of its own
    config: Callable[[PreTrainedTokenizerFast], PreTrainedConfig]
    logits: Callable[[PreTrainedModel, torch.Tensor], torch.Tensor]  # last states [N, H] → [N, V]

    def build(self, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
        """The model with fresh weights in float32."""
        auto = AutoModelForMaskedLM if self.encoder else AutoModelForCausalLM
        return auto.from_config(self.config(tokenizer), attn_implementation="sdpa")


def _modernbert(tokenizer: PreTrainedTokenizerFast) -> PreTrainedConfig:
    return ModernBertConfig(
        **_BODY,
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        cls_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        global_attn_every_n_layers=1,
        classifier_pooling="cls",
    )


def _decoder(kind: type[PreTrainedConfig], **own: int) -> Callable[[PreTrainedTokenizerFast], PreTrainedConfig]:
    def config(tokenizer: PreTrainedTokenizerFast) -> PreTrainedConfig:
        return kind(
            **_BODY,
            **own,
            vocab_size=len(tokenizer),
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            use_cache=False,
        )

    return config


def _encoder_logits(model: PreTrainedModel, states: torch.Tensor) -> torch.Tensor:
    return model.decoder(model.head(states))


def _decoder_logits(model: PreTrainedModel, states: torch.Tensor) -> torch.Tensor:
    return model.lm_head(states)


ARCHITECTURES = {
    "llm": Architecture(False, 4096, False, _decoder(Qwen3Config, num_key_value_heads=2, head_dim=32), _decoder_logits),
    "llm_b": Architecture(False, 3072, True, _decoder(LlamaConfig, num_key_value_heads=4), _decoder_logits),
    "ce": Architecture(True, 4096, False, _modernbert, _encoder_logits),
}
