"""Any Hugging Face encoder or decoder, from the package, a local folder or the hub: name → weights → digest."""

import hashlib
import json
from pathlib import Path

from relevance.config import Family, ModelConfig
from relevance.errors import UserError, first_line

EMBEDDED = Path(__file__).resolve().parent.parent / "backbones"
WEIGHTS = (  # what a backbone's numbers depend on; code is run with model.trust_remote_code alone
    "*.safetensors",
    "*.safetensors.index.json",  # of large ones, which come in parts
    "config.json",
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "*.model",  # sentencepiece, under several names
    "special_tokens_map.json",
    "*.py",
)


def folder(backbone: str) -> Path:
    """The local folder of `embedded:<name>`, of a path, or of a hub id (fetched); UserError where there is none."""
    if backbone.startswith("embedded:"):
        return _embedded(backbone.removeprefix("embedded:"))
    path = Path(backbone).expanduser()
    if path.is_dir():
        return path
    if backbone.startswith((".", "/", "~")):
        raise UserError(f"model.backbone={backbone}: no such folder")
    return _from_hub(backbone)


def digest(path: Path) -> str:
    """sha256 of what a backbone's folder says: config, tokenizer and weights (hex)."""
    found = sorted({file for pattern in WEIGHTS for file in path.glob(pattern)})
    if not any(file.suffix == ".safetensors" for file in found):
        raise UserError(f"backbone {path.name}: no .safetensors weights; convert it (pickled weights are not read)")
    total = hashlib.sha256()
    for file in found:
        with file.open("rb") as stream:
            total.update(file.name.encode() + hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


def body_parameters(path: Path) -> int:
    """How many weights a row's tokens are multiplied with (embeddings left out), from the safetensors headers."""
    total = 0
    for file in path.glob("*.safetensors"):
        with file.open("rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        shapes = [entry["shape"] for name, entry in header.items() if name != "__metadata__" and "embed" not in name]
        total += sum(shape[0] * shape[1] for shape in shapes if len(shape) == 2)
    return total


def tokenizer(path: Path, model: ModelConfig):
    """The backbone's tokenizer, with a pad token; UserError where it has none and none can be found."""
    from transformers import AutoTokenizer

    found = AutoTokenizer.from_pretrained(path, trust_remote_code=model.trust_remote_code)
    if found.pad_token_id is None:
        if found.eos_token_id is None:
            raise UserError(f"backbone {model.backbone}: its tokenizer has neither a pad nor an eos token; add one")
        found.pad_token = found.eos_token
    return found


def classifier(path: Path, model: ModelConfig, pad: int):
    """AutoModelForSequenceClassification with three labels, in float32.

    Raises UserError where the family does not fit, or where the folder lacks weights of the backbone itself.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification
    from transformers.utils import logging

    config = AutoConfig.from_pretrained(path, trust_remote_code=model.trust_remote_code)
    check_family(config, model)
    config.num_labels, config.get_text_config().pad_token_id = 3, pad
    config.get_text_config().use_cache = False
    logging.set_verbosity_error()  # that the head is new is no news here; what else is missing is checked below
    logging.disable_progress_bar()
    network, loading = AutoModelForSequenceClassification.from_pretrained(
        path,
        config=config,
        dtype="float32",
        trust_remote_code=model.trust_remote_code,
        output_loading_info=True,
    )
    body = network.base_model_prefix + "."
    missing = sorted(k for k in loading["missing_keys"] if k.startswith(body) and ".pooler." not in k)
    if missing:
        raise UserError(f"model.backbone={model.backbone}: its weights lack {missing[:5]} ({len(missing)} in all)")
    return network


def check_family(config, model: ModelConfig) -> None:
    """Compare the family asked for with what the backbone's own config says it is."""
    if config.is_encoder_decoder:
        raise UserError(f"model.backbone={model.backbone}: an encoder-decoder ({config.model_type}) cannot serve")
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES as MASKED

    kind = config.model_type
    is_decoder = getattr(config, "is_decoder", False) if kind in MASKED and kind in CAUSAL else kind in CAUSAL
    found = Family.llm if is_decoder else Family.ce
    if found is not model.family:
        fitting = "llm or llm_b" if found is Family.llm else "ce or ce_b"
        raise UserError(
            f"model={model.name} model.backbone={model.backbone}: {kind} is "
            f"{'a decoder' if is_decoder else 'an encoder'}; use model={fitting} for it"
        )


def _embedded(name: str) -> Path:
    path = EMBEDDED / name
    if not (path / "config.json").is_file():
        has = ", ".join(sorted(p.parent.name for p in EMBEDDED.glob("*/config.json"))) or "none"
        raise UserError(f"model.backbone=embedded:{name}: no such embedded backbone (there are: {has}); make backbones")
    return path


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(WEIGHTS)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(
            f"model.backbone={name}: neither a local folder nor to be had from the hub ({type(error).__name__}: "
            f"{first_line(error)}); give a local folder, or backbones=embedded"
        ) from error
