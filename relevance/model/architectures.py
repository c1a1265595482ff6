"""What differs between transformer architectures: names of parts. The only file that knows such names."""

from torch import nn

from relevance.errors import UserError

# Linear layers that write an attention's or an MLP's result back onto the residual stream.
OUTPUT_PROJECTIONS = tuple("o_proj out_proj Wo c_proj down_proj fc2 dense_4h_to_h output.dense attention.dense".split())
# Linear layers of attention, for model.lora.targets=attention.
ATTENTION = frozenset("q_proj k_proj v_proj o_proj qkv_proj query key value query_key_value c_attn Wqkv Wo".split())
# Arguments of a block that hold one entry per row of the batch, where their first dimension says so.
PER_ROW = frozenset(
    "hidden_states attention_mask position_ids position_embeddings position_bias alibi padding_mask".split()
)


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


def silence_outputs(block: nn.Module) -> None:
    """Set a block's output projections to zero: a pre-norm block then returns its input, bit for bit."""
    for name, module in block.named_modules():
        if name.endswith(OUTPUT_PROJECTIONS) and module.get_parameter("weight").dim() == 2:
            nn.init.zeros_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def attention_targets(backbone: nn.Module) -> list[str]:
    """Names of the attention's linear layers, for LoRA; UserError where none has a known name."""
    found = sorted({name.rsplit(".", 1)[-1] for name, _ in backbone.named_modules()} & ATTENTION)
    if not found:
        raise UserError(
            f"model.lora.targets=attention: {type(backbone).__name__} names its attention layers in no way "
            "known here; give a list of module names or all-linear"
        )
    return found
