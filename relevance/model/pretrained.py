"""A backbone's folder → its config, its tokenizer and a classifier; or the reason why it is not supported.

Family is read from the config: {"model_type": "qwen3"} is a decoder, {"model_type": "modernbert"} an encoder.

model.load_in_4bit is QLoRA (arXiv 2305.14314): the frozen trunk in 4 bits, adapters, private adapters and heads in
float32. It needs CUDA and an extra: pip install "relevance[qlora]"
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto import modeling_auto
from transformers.utils import logging

from relevance.config import Attention, Family, ModelConfig
from relevance.errors import UserError, first_line
from relevance.model.architectures import BIDIRECTIONAL, attention_of, blocks
from relevance.model.network import Plain
from relevance.model.weight_files import SAFE, check_numbers, shapes_of, weight_count

CAUSAL = modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
MASKED = modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
CLASSIFIERS = modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES
CAUSAL_LM, MASKED_LM = "AutoModelForCausalLM", "AutoModelForMaskedLM"
WORDS = "red blue lamp table usb cable women shoes case for phone 10 20".split()  # a shop's; every tokenizer has some
SPARE = 16  # times the numbers in its files that a backbone's weights may be: they may be packed
REMEDY = "choose an encoder (model=ce) or a decoder (model=llm)"


def check_backbone(path: Path, model: ModelConfig) -> None:
    """UserError, before anything trains, for an unsupported backbone; it takes no memory for weights."""
    config, tokenizer = load_config(path, model), load_tokenizer(path, model)
    check_quantized(model)
    remedy = "choose an encoder or a decoder that AutoModel loads"
    with _explained(model, f"{config.model_type} cannot be built", remedy), torch.device("meta"):
        laid_out = AutoModel.from_config(config, trust_remote_code=model.trust_remote_code)
    blocks(laid_out)
    counted = sum(weight.numel() for weight in laid_out.parameters())
    if counted > SPARE * weight_count(path):
        raise UserError(
            f"model.backbone={model.backbone}: its config lays out {counted:,} weights, its files hold "
            f"{weight_count(path):,}; fetch both again"
        )
    check_vocabulary(laid_out, tokenizer, model)
    _check_words(tokenizer, model)


@contextmanager
def _explained(model: ModelConfig, problem: str, remedy: str) -> Iterator[None]:
    """Whatever code of a backbone or its files raise within becomes a UserError that names the backbone."""
    try:
        yield
    except Exception as error:
        raise UserError(f"model.backbone={model.backbone}: {problem} ({first_line(error)}); {remedy}") from error


def check_vocabulary(trunk: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, model: ModelConfig) -> None:
    """UserError where the tokenizer gives ids that the trunk has no embedding of.

    Special tokens count where our text forms use them: Gemma 3's of images lies beyond its text models' table.
    """
    used = {getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos", "cls", "sep")}
    marks = {at for at, token in tokenizer.added_tokens_decoder.items() if token.special} - used
    embeddings: Any = trunk.get_input_embeddings()
    size = embeddings.weight.shape[0]
    most = max(at for at in tokenizer.get_vocab().values() if at not in marks)
    if most >= size:
        raise UserError(
            f"model.backbone={model.backbone}: its tokenizer gives ids up to {most:,}, its embeddings end at "
            f"{size - 1:,}; put the tokenizer it was trained with into its folder"
        )


def _check_words(tokenizer: PreTrainedTokenizerBase, model: ModelConfig) -> None:
    """transformers makes an empty tokenizer for a folder without one: every word is unknown, or gives no token."""
    read = tokenizer(WORDS, add_special_tokens=False)["input_ids"]
    known = sum(any(at != tokenizer.unk_token_id for at in ids) for ids in read)
    if known < len(WORDS) / 4:
        raise UserError(
            f"model.backbone={model.backbone}: its tokenizer knows {known} of {len(WORDS)} common words; put the files "
            "of the tokenizer it was trained with into its folder (tokenizer.json, vocab.txt or a .model file)"
        )


def load_config(path: Path, model: ModelConfig) -> PretrainedConfig:
    """The backbone's own config; UserError where transformers does not know it or the family is another."""
    remedy = "choose another, or model.trust_remote_code=true where its code is its own and you trust it"
    with _explained(model, "no config that transformers reads", remedy):
        check_numbers(path)
        config = AutoConfig.from_pretrained(path, trust_remote_code=model.trust_remote_code)
    check_family(config, model)
    _check_attention(config, model)
    return config


def check_family(config: PretrainedConfig, model: ModelConfig) -> None:
    """UserError where the backbone's own config says that it is of another family than the model's."""
    kind, setting, code = config.model_type, f"model.backbone={model.backbone}", offered(config)
    if config.is_encoder_decoder:
        raise UserError(f"{setting}: {kind} is an encoder-decoder, which is not supported; {REMEDY}")
    if not code and kind not in {*CAUSAL, *MASKED, *CLASSIFIERS}:
        raise UserError(f"{setting}: {kind} is no model of text; {REMEDY}")
    causal, masked = kind in CAUSAL or CAUSAL_LM in code, kind in MASKED or MASKED_LM in code
    is_decoder = getattr(config, "is_decoder", False) if causal and masked else causal
    if is_decoder != (model.family is Family.llm):
        fitting = "a decoder; use model=llm or llm_b" if is_decoder else "an encoder; use model=ce or ce_b"
        raise UserError(f"model={model.name} {setting}: {kind} is {fitting}")


def _check_attention(config: PretrainedConfig, model: ModelConfig) -> None:
    """UserError for a decoder that is not known to read both ways, or that does and is not asked to."""
    kind, setting = config.model_type, f"model.backbone={model.backbone}"
    if model.family is not Family.llm:
        return
    if model.attention is not Attention.bidirectional:
        if not getattr(config, "is_causal", True):
            raise UserError(f"{setting}: its config says is_causal=false; give model.attention=bidirectional")
    elif kind not in BIDIRECTIONAL or offered(config):
        holds = ", ".join(sorted(BIDIRECTIONAL))
        raise UserError(
            f"model.attention=bidirectional {setting}: {kind} is not known to compute it; these are: {holds}"
        )


def offered(config: PretrainedConfig) -> dict[str, str]:
    """What the backbone's own code offers, by the auto classes of transformers; {} where its code is transformers'."""
    return config.auto_map if type(config).__module__.startswith("transformers_modules") else {}


def load_tokenizer(path: Path, model: ModelConfig) -> PreTrainedTokenizerBase:
    """The backbone's tokenizer, with a pad token; UserError where it has none and none can be found."""
    remedy = "put the files of the one it was trained with into its folder"
    with _explained(model, "no tokenizer that transformers reads", remedy):
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=model.trust_remote_code)
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token_id is None:
            raise UserError(
                f"model.backbone={model.backbone}: its tokenizer has neither a pad nor an eos token to pad with; "
                "set pad_token in its tokenizer_config.json"
            )
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def check_quantized(model: ModelConfig) -> None:
    """UserError where 4 bits are set but not available here."""
    if not model.load_in_4bit:
        return
    lacking = ["the package bitsandbytes (pip install 'relevance[qlora]')"] if find_spec("bitsandbytes") is None else []
    if not torch.cuda.is_available():
        lacking.append("a CUDA device")
    if lacking:
        raise UserError(
            f"model.load_in_4bit=true: needs {' and '.join(lacking)}; leave it out to train in full precision"
        )


def quantized_arguments(model: ModelConfig) -> dict[str, Any]:
    """Further arguments of from_pretrained: NF4 with double quantization, as in the paper's section 3."""
    if not model.load_in_4bit:
        return {}
    from transformers import BitsAndBytesConfig

    nf4 = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True, "bnb_4bit_compute_dtype": torch.bfloat16}
    settings = BitsAndBytesConfig(load_in_4bit=True, **nf4)
    return {"quantization_config": settings, "device_map": {"": torch.cuda.current_device()}}


def classifier_of(path: Path, model: ModelConfig, pad: int, weights: bool = True):
    """A sequence classifier of three labels in float32 (its trunk in 4 bits where the model says so), its head new.

    Its weights are the folder's, or random where `weights` is False and others are loaded into it. Raises UserError
    where the family does not fit, or where the folder lacks weights of the backbone itself.
    """
    config = load_config(path, model)
    config.num_labels, config.get_text_config().pad_token_id = 3, pad
    config.get_text_config().use_cache = False
    if model.family is Family.llm and model.attention is Attention.bidirectional:
        config.is_causal = False  # transformers then makes its masks so, and tells its attention
    logging.set_verbosity_error()  # that the head is new is no news here; what else is missing is checked below
    logging.disable_progress_bar()
    offers = offered(config)
    known = AutoModelForSequenceClassification.__name__ in offers if offers else config.model_type in CLASSIFIERS
    maker = AutoModelForSequenceClassification if known else AutoModel
    attention = model.attn_implementation or attention_of(config)
    code = {"trust_remote_code": model.trust_remote_code, "attn_implementation": attention}
    if weights:
        network = _loaded(maker, path, model, config, code)
    else:
        _check_shapes(maker, path, model, config, code)
        network = maker.from_config(config, dtype=torch.float32, **code)
    return network if known else Plain(network, last=model.family is Family.llm)


def _check_shapes(maker, path: Path, model: ModelConfig, config: PretrainedConfig, code: dict) -> None:
    """UserError where the folder's weights are not of the shapes that its config lays out: without memory for them."""
    shapes = shapes_of(path / SAFE)
    with _explained(model, f"{config.model_type} cannot be built", "put its config.json back"), torch.device("meta"):
        laid_out = maker.from_config(config, dtype=torch.float32, **code)
    body = laid_out if maker is AutoModel else getattr(laid_out, laid_out.base_model_prefix)
    for name, tensor in body.state_dict().items():
        shape = tuple(tensor.shape)
        alike = shapes.get(name) == shape if name in shapes else shape in shapes.values()  # kind=top drops last blocks
        if not alike and "pooler." not in name:  # a head's
            has = shapes.get(name, "none such")
            raise UserError(f"{path / SAFE}: {name}: its config says {shape}, it holds {has}; put the files back")


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
    """Draw the whole head anew where the folder held a part of one; weights named in `new` are random already."""
    trunk = classifier.base_model_prefix
    if all(name in new or name.startswith(f"{trunk}.") for name, _ in classifier.named_parameters()):
        return
    for part in (part for name, part in classifier.named_children() if name != trunk):
        marked: list[Any] = [*part.modules(), *part.parameters()]
        for part_or_weight in marked:
            part_or_weight._is_hf_initialized = False  # transformers passes by what is marked
        part.apply(classifier._init_weights)
