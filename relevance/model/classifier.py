"""A backbone's folder → a sequence classifier of three labels: its own trunk, a new head.

relevance/backbones/ce → EuroBertForSequenceClassification, its trunk's weights the folder's, its head's random
"""

from pathlib import Path

import torch
from transformers import AutoModel, AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel
from transformers.utils import logging

from relevance.config import Family, ModelConfig
from relevance.errors import UserError, first_line
from relevance.model import quantized
from relevance.model.architectures import attention_of
from relevance.model.heads import Plain
from relevance.model.pretrained import CLASSIFIERS, offered, settings


def classifier_of(path: Path, model: ModelConfig, pad: int, weights: bool = True):
    """A sequence classifier of three labels in float32 (its trunk in 4 bits where asked), head new.

    Its weights are the folder's, or random where `weights` is False and others are loaded into it. Raises UserError
    where the family does not fit, or where the folder lacks weights of the backbone itself.
    """
    config = settings(path, model)
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
    how |= quantized.arguments(model)
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
        for held in (*part.modules(), *part.parameters()):
            held._is_hf_initialized = False  # transformers passes by what is marked
        part.apply(classifier._init_weights)
