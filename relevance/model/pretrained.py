"""A backbone's folder → its config, tokenizer and sequence classifier, or the reason why it cannot serve.

Family is read from the config: {"model_type": "qwen3"} is a decoder, {"model_type": "modernbert"} an encoder.
"""

from pathlib import Path

import torch
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer, PretrainedConfig
from transformers.models.auto import modeling_auto
from transformers.utils import logging

from relevance.config import Family, ModelConfig
from relevance.errors import UserError, first_line
from relevance.model import quantized
from relevance.model.architectures import attention_of, blocks
from relevance.model.heads import Plain

CAUSAL = modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
MASKED = modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
CLASSIFIERS = modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES
CAUSAL_LM, MASKED_LM = "AutoModelForCausalLM", "AutoModelForMaskedLM"
REMEDY = "choose an encoder (model=ce) or a decoder (model=llm)"


def admit(path: Path, model: ModelConfig) -> None:
    """Refuse, before anything trains, a backbone that cannot serve: UserError with the reason and the remedy.

    The model is laid out without memory for its weights, so that its size does not matter.
    """
    config = settings(path, model)
    tokenizer(path, model)
    quantized.admit(model)
    try:
        with torch.device("meta"):
            laid_out = AutoModel.from_config(config, trust_remote_code=model.trust_remote_code)
    except Exception as error:  # whatever an architecture's own code raises
        raise UserError(
            f"model.backbone={model.backbone}: {config.model_type} cannot be built ({first_line(error)}); "
            "choose an encoder or a decoder that AutoModel loads"
        ) from error
    blocks(laid_out)


def settings(path: Path, model: ModelConfig) -> PretrainedConfig:
    """The backbone's own config; UserError where transformers does not know it or the family is another."""
    try:
        config = AutoConfig.from_pretrained(path, trust_remote_code=model.trust_remote_code)
    except (OSError, ValueError) as error:
        raise UserError(
            f"model.backbone={model.backbone}: no config that transformers reads ({first_line(error)}); choose "
            "another, or model.trust_remote_code=true where its code is its own and you trust it"
        ) from error
    check_family(config, model)
    return config


def check_family(config: PretrainedConfig, model: ModelConfig) -> None:
    """Compare the family asked for with what the backbone's own config says it is."""
    kind, given, own = config.model_type, f"model.backbone={model.backbone}", _offered(config)
    if config.is_encoder_decoder:
        raise UserError(f"{given}: {kind} is an encoder-decoder and cannot serve; {REMEDY}")
    if not own and kind not in {*CAUSAL, *MASKED, *CLASSIFIERS}:
        raise UserError(f"{given}: {kind} is no model of text; {REMEDY}")
    causal, masked = kind in CAUSAL or CAUSAL_LM in own, kind in MASKED or MASKED_LM in own
    is_decoder = getattr(config, "is_decoder", False) if causal and masked else causal
    found = Family.llm if is_decoder else Family.ce
    if found is not model.family:
        fitting = "llm or llm_b" if found is Family.llm else "ce or ce_b"
        raise UserError(
            f"model={model.name} {given}: {kind} is {'a decoder' if is_decoder else 'an encoder'}; use model={fitting}"
        )


def tokenizer(path: Path, model: ModelConfig):
    """The backbone's tokenizer, with a pad token; UserError where it has none and none can be found."""
    found = AutoTokenizer.from_pretrained(path, trust_remote_code=model.trust_remote_code)
    if found.pad_token_id is None:
        if found.eos_token_id is None:
            raise UserError(
                f"model.backbone={model.backbone}: its tokenizer has neither a pad nor an eos token to pad with; "
                "set pad_token in its tokenizer_config.json"
            )
        found.pad_token = found.eos_token
    return found


def classifier(path: Path, model: ModelConfig, pad: int, weights: bool = True):
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
    own = _offered(config)
    return AutoModelForSequenceClassification.__name__ in own if own else config.model_type in CLASSIFIERS


def _offered(config: PretrainedConfig) -> dict[str, str]:
    """What the backbone's own code offers, by the auto classes of transformers; {} where its code is transformers'."""
    return config.auto_map if type(config).__module__.startswith("transformers_modules") else {}


def _loaded(maker, path: Path, model: ModelConfig, config: PretrainedConfig, code: dict):
    how = {"dtype": "float32", "use_safetensors": True, **quantized.arguments(model), **code}
    try:
        network, loading = maker.from_pretrained(path, config=config, output_loading_info=True, **how)
    except OSError as error:
        raise UserError(
            f"model.backbone={model.backbone}: no weights that can be read ({first_line(error)}); its folder needs "
            "model.safetensors, or its parts and their index"
        ) from error
    body = network.base_model_prefix + "." if maker is not AutoModel else ""
    missing = sorted(k for k in loading["missing_keys"] if k.startswith(body) and "pooler." not in k)
    if missing:
        raise UserError(f"model.backbone={model.backbone}: its weights lack {missing[:5]} ({len(missing)} in all)")
    return network
