"""Trunk, private layers and heads as one network: a batch of mixed tasks → logits [B, 3].

input_ids [B, T], attention_mask [B, T], rows grouped by task, slices [(task, start, stop), …]
"""

from pathlib import Path

import torch
from torch import nn

from relevance.config import Config, Family, LoraConfig
from relevance.model import backbone
from relevance.model.architectures import attention_targets, blocks
from relevance.model.heads import detach
from relevance.model.private import PrivateLayers, Slices, starts_at_identity
from relevance.tasks import TASK_NAMES


class Network(nn.Module):
    """One shared trunk; each row meets the head, and the private layers, of its own task."""

    def __init__(self, trunk: nn.Module, heads: nn.ModuleList, private: PrivateLayers | None, decoder: bool):
        super().__init__()
        self.trunk, self.heads, self.private, self.decoder = trunk, heads, private, decoder

    def forward(self, inputs: dict[str, torch.Tensor], slices: Slices, branches: Slices | None = None) -> torch.Tensor:
        """Logits [B, 3] in float32. `branches` sends rows through other tasks' private layers (a probe)."""
        mask, extra = inputs["attention_mask"], {}
        if self.private is not None:
            self.private.slices = branches or slices
        if self.decoder:
            # from the mask, so that the side of the padding changes nothing
            extra = {"position_ids": (mask.cumsum(-1) - 1).clamp(min=0), "use_cache": False}
        hidden = self.trunk(**inputs, **extra).last_hidden_state
        if len(self.heads) == 1:
            return self.heads[0](hidden, mask)
        return torch.cat([self.heads[task](hidden[a:b], mask[a:b]) for task, a, b in slices])

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """Every parameter by part: trunk, adapters, private, gates, heads."""
        found: dict[str, list[nn.Parameter]] = {
            "trunk": [],
            "adapters": [],
            "private": [],
            "gates": [],
            "heads": [],
        }
        for name, parameter in self.named_parameters():
            found[_part(name)].append(parameter)
        return found


def build(config: Config, tokenizer_folder: Path | None = None) -> tuple[Network, object]:
    """The network a cell trains and its tokenizer, from the backbone's pretrained weights."""
    model = config.model
    path = backbone.folder(model.backbone)
    tokenizer = backbone.tokenizer(tokenizer_folder or path, model)
    classifier = backbone.classifier(path, model, tokenizer.pad_token_id)
    trunk, heads = detach(classifier, len(TASK_NAMES) if config.routing.heads else 1)
    private = _private(trunk, config.routing.private.layers)
    if model.lora.r:
        trunk = _with_lora(trunk, model.lora)
    network = Network(trunk, heads, private, decoder=model.family is Family.llm)
    return network.train(), tokenizer  # from_pretrained leaves dropout off


def _private(trunk: nn.Module, layers: int) -> PrivateLayers | None:
    if not layers:
        return None
    last = blocks(trunk)[-1]
    ids = torch.arange(1, 5)[None] % trunk.config.get_text_config().vocab_size
    return PrivateLayers(last, len(TASK_NAMES), layers, gated=not starts_at_identity(last, trunk, ids))


def _with_lora(trunk: nn.Module, lora: LoraConfig) -> nn.Module:
    from peft import LoraConfig as PeftLora
    from peft import get_peft_model

    targets = attention_targets(trunk) if lora.targets == "attention" else lora.targets
    settings = PeftLora(r=lora.r, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=targets)
    return get_peft_model(trunk, settings)


def _part(name: str) -> str:
    if name.startswith("private."):
        return "gates" if name.endswith(".gate") else "private"
    if name.startswith("heads."):
        return "heads"
    return "adapters" if "lora_" in name else "trunk"
