"""What differs between transformer architectures: names of parts. The only file that knows such names."""

import torch
from torch import nn
from transformers import PretrainedConfig
from transformers.pytorch_utils import Conv1D

from relevance.config import Pooling
from relevance.errors import UserError

# Linear layers that write an attention's or an MLP's result back onto the residual stream.
OUTPUT_PROJECTIONS = tuple("o_proj out_proj Wo c_proj down_proj fc2 dense_4h_to_h output.dense attention.dense".split())
# Norms behind a sublayer, and those of them that stand behind an MLP.
OUTPUT_NORMS = frozenset(
    "post_attention_layernorm post_feedforward_layernorm post_self_attn_layernorm post_mlp_layernorm".split()
)
MLP_NORMS = frozenset("post_feedforward_layernorm post_mlp_layernorm".split())
# Linear layers of attention, for model.lora.targets=attention.
ATTENTION = frozenset(
    "q_proj k_proj v_proj o_proj qkv_proj query key value query_proj key_proj value_proj query_key_value c_attn Wqkv "
    "Wo".split()
)
# Arguments of a block that hold one entry (alibi: one per head) for each row of the batch, and the dimensions they have
# at least where they do: MPT's position_bias [heads, 1, T] is of no row, MPNet's [B, heads, T, T] is.
PER_ROW = {
    **dict.fromkeys("hidden_states attention_mask position_ids position_embeddings alibi padding_mask".split(), 2),
    "position_bias": 4,
}
# Decoders whose code reads both ways where its config says is_causal=false: tests hold each of them to it.
BIDIRECTIONAL = frozenset(
    "falcon gemma2 gemma3_text gpt2 gpt_neox llama mistral modernbert-decoder olmo2 opt phi3 qwen2 qwen3".split()
)
# Settings of a config under which transformers' own classifier pools so; of no other can a plain folder say it.
POOLINGS: dict[str, dict[Pooling, dict[str, str]]] = {
    **{kind: {Pooling.first: {}} for kind in "bert deberta-v2 distilbert electra mpnet roberta xlm-roberta".split()},
    "eurobert": {Pooling.first: {"classifier_pooling": "bos"}, Pooling.mean: {"classifier_pooling": "mean"}},
    "modernbert": {Pooling.first: {"classifier_pooling": "cls"}, Pooling.mean: {"classifier_pooling": "mean"}},
}
# Lists of a config with one entry per block.
PER_BLOCK = ("layer_types", "mlp_layer_types", "no_rope_layers", "attention_layers")


def blocks(backbone: nn.Module) -> nn.ModuleList:
    """The backbone's transformer blocks: its longest list of modules of one class; UserError where there is none."""
    lists = [
        module
        for module in backbone.modules()
        if isinstance(module, nn.ModuleList) and len(module) and len({type(block) for block in module}) == 1
    ]
    if not lists:
        name = type(backbone).__name__
        raise UserError(f"backbone {name}: no list of equal transformer blocks; choose an encoder or a decoder")
    return max(lists, key=len)


def block_list(backbone: nn.Module) -> nn.ModuleList:
    """The backbone's list of blocks where some of them may be stand-ins."""
    return max((part for part in backbone.modules() if isinstance(part, nn.ModuleList)), key=len)


def linears(module: nn.Module) -> dict[str, nn.Linear | Conv1D]:
    """The layers LoRA can stand beside, by name: nn.Linear and what replaces it (gpt2's Conv1D, 4-bit layers)."""
    return {name: part for name, part in module.named_modules() if isinstance(part, nn.Linear | Conv1D)}


def features(linear: nn.Linear | Conv1D) -> tuple[int, int]:
    if isinstance(linear, nn.Linear):
        return linear.in_features, linear.out_features
    return linear.nx, linear.nf


def silence_outputs(block: nn.Module) -> list[nn.Parameter]:
    """Zero what a block writes onto the residual stream, so that a pre-norm block returns its input, bit for bit.

    Returns the weights that did it: the norms behind its sublayers where there are some, since those would blow a
    projection of almost zero up again; its output projections elsewhere.
    """
    scales = {norm: norm.get_parameter("weight") for norm in output_norms(block).values()}
    for norm, weight in scales.items():
        nn.init.zeros_(weight)
        if norm(torch.ones_like(weight)).any():  # gemma scales by 1 + weight
            nn.init.constant_(weight, -1.0)
    if scales:
        return list(scales.values())
    projections: list[nn.Parameter] = []
    for name, module in block.named_modules():
        if name.endswith(OUTPUT_PROJECTIONS) and module.get_parameter("weight").dim() == 2:
            projections += module.parameters(recurse=False)
    for parameter in projections:
        nn.init.zeros_(parameter)
    return projections


def output_norms(block: nn.Module) -> dict[str, nn.Module]:
    """Norms between a sublayer's output and the residual stream (gemma2, olmo2), by name.

    Blocks without a norm behind their MLP (llama) use one of the names for the norm before it.
    """
    norms = {name: module for name, module in block.named_children() if name in OUTPUT_NORMS}
    return norms if norms.keys() & MLP_NORMS else {}


def adapter_targets(backbone: nn.Module, targets: str | list[str]) -> str | list[str]:
    """model.lora.targets as peft takes it; UserError where a name, or every known one, is not in the backbone."""
    if targets == "all-linear":
        return targets
    last = {name.rsplit(".", 1)[-1] for name in linears(backbone)}
    if targets != "attention":
        if absent := [name for name in targets if name not in last]:
            raise UserError(f"model.lora.targets: no linear layer is called {absent}; there are {sorted(last)}")
        return targets
    if not (attention := sorted(last & ATTENTION)):
        raise UserError(
            f"model.lora.targets=attention: {type(backbone).__name__} names its attention layers in no way "
            f"known here; give a list of {sorted(last)}, or all-linear"
        )
    return attention


def attention_of(config: PretrainedConfig) -> str | None:
    """The attention that computes what the config says: gemma2 caps its scores, which sdpa would leave out."""
    return "eager" if getattr(config.get_text_config(), "attn_logit_softcapping", None) else None
