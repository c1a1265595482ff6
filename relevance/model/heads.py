"""A backbone's folder → its trunk and new heads, which score just as AutoModelForSequenceClassification does.

relevance/backbones/ce → EuroBertForSequenceClassification of three labels, its head's weights random → trunk, [Head, …]
hidden states [B, T, H], attention mask [B, T] → logits [B, 3]
"""

import copy
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModel, AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndCrossAttentions, SequenceClassifierOutput
from transformers.utils import logging

from relevance.config import Family, ModelConfig
from relevance.errors import UserError, first_line
from relevance.model.architectures import attention_of
from relevance.model.pretrained import CLASSIFIERS, load_config, offered, quantized_arguments


def classifier_of(path: Path, model: ModelConfig, pad: int, weights: bool = True):
    """A sequence classifier of three labels in float32 (its trunk in 4 bits where asked), head new.

    Its weights are the folder's, or random where `weights` is False and others are loaded into it. Raises UserError
    where the family does not fit, or where the folder lacks weights of the backbone itself.
    """
    config = load_config(path, model)
    config.num_labels, config.get_text_config().pad_token_id = 3, pad
    config.get_text_config().use_cache = False
    logging.set_verbosity_error()  # that the head is new is no news here; what else is missing is checked below
    logging.disable_progress_bar()
    known = _has_classifier(config)
    maker = AutoModelForSequenceClassification if known else AutoModel
    attention = model.attn_implementation or attention_of(config)
    code = {"trust_remote_code": model.trust_remote_code, "attn_implementation": attention}
    if weights:
        network = _loaded(maker, path, model, config, code)
    else:
        network = maker.from_config(config, dtype=torch.float32, **code)
    return network if known else Plain(network, last=model.family is Family.llm)


def _has_classifier(config: PretrainedConfig) -> bool:
    """Whether there is a sequence classifier of the architecture, in transformers or in the backbone's own code."""
    own = offered(config)
    return AutoModelForSequenceClassification.__name__ in own if own else config.model_type in CLASSIFIERS


def _loaded(maker, path: Path, model: ModelConfig, config: PretrainedConfig, code: dict):
    how = {"dtype": "float32", "use_safetensors": True, "ignore_mismatched_sizes": True, **code}
    how |= quantized_arguments(model)
    try:
        network, loading = maker.from_pretrained(path, config=config, output_loading_info=True, **how)
    except OSError as error:
        raise UserError(
            f"model.backbone={model.backbone}: no weights that can be read ({first_line(error)}); its folder needs "
            "model.safetensors, or its parts and their index"
        ) from error
    body = network.base_model_prefix + "." if maker is not AutoModel else ""
    unfit = {name for name, *_ in loading["mismatched_keys"]}  # a head of other labels than ours, too
    missing = sorted(k for k in {*loading["missing_keys"], *unfit} if k.startswith(body) and "pooler." not in k)
    if missing:
        raise UserError(f"model.backbone={model.backbone}: its weights lack {missing[:5]} ({len(missing)} in all)")
    if maker is not AutoModel:
        _with_new_head(network, {*loading["missing_keys"], *unfit})
    return network


def _with_new_head(classifier: PreTrainedModel, new: set[str]) -> None:
    """Draw the whole head anew where the folder held one, or a part of one: its labels were not ours.

    `new` are the names of weights that are random already.
    """
    trunk = classifier.base_model_prefix
    if all(name in new or name.startswith(f"{trunk}.") for name, _ in classifier.named_parameters()):
        return
    for part in (part for name, part in classifier.named_children() if name != trunk):
        marked: list[Any] = [*part.modules(), *part.parameters()]
        for held in marked:
            held._is_hf_initialized = False  # transformers passes by what is marked
        part.apply(classifier._init_weights)


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


def detach(classifier: PreTrainedModel, copies: int) -> tuple[PreTrainedModel, nn.ModuleList]:
    """A classifier taken apart: its backbone, and `copies` equal heads with weights of their own."""
    name = classifier.base_model_prefix
    backbone = getattr(classifier, name)
    setattr(classifier, name, Given(getattr(backbone, "pooler", None)))
    if getattr(backbone, "pooler", None) is not None:
        backbone.pooler = None
    return backbone, nn.ModuleList(Head(copy.deepcopy(classifier)) for _ in range(copies))


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
