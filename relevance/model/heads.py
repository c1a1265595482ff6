"""Heads and pooling exactly as AutoModelForSequenceClassification does them for the architecture.

hidden states [B, T, H], attention mask [B, T] → logits [B, 3]
"""

import copy

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndCrossAttentions, SequenceClassifierOutput


class Given(nn.Module):
    """Stands where the backbone stood: hands on hidden states that were computed before."""

    def __init__(self, pooler: nn.Module | None):
        super().__init__()
        self.pooler = pooler  # BERT keeps the first layer of its head inside the backbone

    def forward(
        self, input_ids=None, attention_mask=None, inputs_embeds=None, **_unused
    ) -> BaseModelOutputWithPoolingAndCrossAttentions:
        pooled = None if self.pooler is None else self.pooler(inputs_embeds)
        return BaseModelOutputWithPoolingAndCrossAttentions(last_hidden_state=inputs_embeds, pooler_output=pooled)


class Plain(nn.Module):
    """A classifier for architectures transformers has none for: one linear layer on a decoder's last real token, or
    on an encoder's first."""

    base_model_prefix = "backbone"

    def __init__(self, backbone: PreTrainedModel, last: bool):
        super().__init__()
        self.backbone, self.config, self.last = backbone, backbone.config, last
        self.score = nn.Linear(backbone.config.get_text_config().hidden_size, 3, bias=False)
        nn.init.normal_(self.score.weight, std=0.02)

    def forward(self, input_ids, attention_mask, inputs_embeds) -> SequenceClassifierOutput:
        hidden = self.backbone(inputs_embeds=inputs_embeds).last_hidden_state
        places = torch.arange(hidden.shape[1], device=hidden.device)
        at = (attention_mask * places).argmax(-1) if self.last else torch.zeros_like(attention_mask[:, 0])
        return SequenceClassifierOutput(logits=self.score(hidden[torch.arange(len(hidden), device=hidden.device), at]))


class Head(nn.Module):
    """A sequence classifier without its backbone."""

    def __init__(self, classifier: PreTrainedModel):
        super().__init__()
        self.classifier = classifier
        self.pad = classifier.config.get_text_config().pad_token_id

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """[B, T, H], [B, T] → [B, 3] in float32.

        Decoders find the last real token by comparing ids with the pad id. They are shown marks made from the
        mask instead of the ids, so that a text that ends in the pad token (gpt2: pad is eos) is pooled right.
        """
        marks = torch.where(mask.bool(), self.pad + 1, self.pad)
        return self.classifier(input_ids=marks, attention_mask=mask, inputs_embeds=hidden).logits.float()


def detach(classifier: PreTrainedModel, copies: int) -> tuple[nn.Module, nn.ModuleList]:
    """A classifier taken apart: its backbone, and `copies` equal heads with weights of their own."""
    name = classifier.base_model_prefix
    backbone = getattr(classifier, name)
    setattr(classifier, name, Given(getattr(backbone, "pooler", None)))
    if getattr(backbone, "pooler", None) is not None:
        backbone.pooler = None
    return backbone, nn.ModuleList(Head(copy.deepcopy(classifier)) for _ in range(copies))
