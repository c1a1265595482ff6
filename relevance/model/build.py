"""A cell's config → the network it trains and its tokenizer: backbone, private layers, adapters, heads."""

from pathlib import Path

from safetensors import safe_open
from torch import nn

from relevance.config import HALF, Config, Family, PrivateKind
from relevance.errors import UserError, first_line
from relevance.model import backbone, pretrained
from relevance.model.architectures import adapter_targets, blocks
from relevance.model.classifier import classifier_of
from relevance.model.heads import detach
from relevance.model.network import Network
from relevance.model.private.attach import attach, own_targets
from relevance.model.trial import ALIKE, LENGTHS, ROUGH, attempt, example, read_longest
from relevance.tasks import TASK_NAMES


def build(config: Config, saved: Path | None = None) -> tuple[Network, object]:
    """The network a cell trains and its tokenizer, from the backbone's pretrained weights.

    `saved` is the folder of a cell whose own weights are to be loaded: a whole trunk starts without the backbone's.
    Raises UserError where the backbone cannot do what the routing asks.
    """
    model = config.model
    whole = saved is not None and not model.lora.r
    path = saved / "trunk" if whole else backbone.of(config)
    tokenizer = pretrained.tokenizer(saved / "tokenizer" if saved else path, model)
    classifier = classifier_of(path, model, tokenizer.pad_token_id, weights=not whole)
    trunk, heads = detach(classifier, len(TASK_NAMES) if config.routing.heads else 1)
    inputs, longest = (example(trunk, tokenizer, model, lengths) for lengths in (LENGTHS, (model.max_length, 5)))
    last, alike = blocks(trunk)[-1], ROUGH if model.load_in_4bit else ALIKE
    try:
        network = _assembled(trunk, heads, config, inputs, saved)
        attempt(network, inputs, last, alike)
    except (RuntimeError, TypeError, ValueError, AttributeError, LookupError) as error:
        raise UserError(
            f"model.backbone={model.backbone}: {classifier.config.model_type} cannot run {_words(config)} "
            f"({type(error).__name__}: {first_line(error)}); choose another routing or backbone"
            f"{', or other model.lora.targets' if model.lora.r else ''}"
        ) from error
    read_longest(network, longest, model, alike)
    if config.trainer.precision == HALF:
        network.halve()
    return network.train(), tokenizer  # from_pretrained leaves dropout off


def _assembled(trunk: nn.Module, heads: nn.ModuleList, config: Config, inputs: dict, saved: Path | None) -> Network:
    """Trunk, private layers, adapters and heads as one, on the device of `inputs`."""
    if config.model.gradient_checkpointing:
        trunk.activation_checkpointing_enable({"use_reentrant": False})
    private = attach(trunk, config, inputs, saved and _gated(saved))
    trunk = _with_lora(trunk, config) if config.model.lora.r else trunk
    network = Network(trunk, heads, private, positions=config.model.family is Family.llm)
    return network.to(inputs["input_ids"].device)


def _gated(saved: Path) -> bool:
    """Whether a saved cell's new blocks stand behind gates; what decided it, the trunk's weights, is not in yet."""
    file = saved / "private.safetensors"
    if not file.is_file():
        return False
    with safe_open(file, "pt") as weights:
        return any(name.endswith(".gate") for name in weights.keys())  # noqa: SIM118 - no mapping


def _with_lora(trunk: nn.Module, config: Config) -> nn.Module:
    from peft import LoraConfig as PeftLora
    from peft import get_peft_model, prepare_model_for_kbit_training
    from transformers.pytorch_utils import Conv1D

    lora, own = config.model.lora, config.routing.private
    by_task = own.layers and own.kind is PrivateKind.lora
    settings = PeftLora(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=adapter_targets(trunk, lora.targets),
        exclude_modules=list(own_targets(trunk, config)) if by_task else None,
        use_dora=lora.use_dora,
        use_rslora=lora.use_rslora,
        fan_in_fan_out=any(isinstance(part, Conv1D) for part in trunk.modules()),
    )
    if config.model.load_in_4bit:
        trunk = prepare_model_for_kbit_training(trunk, config.model.gradient_checkpointing, {"use_reentrant": False})
    return get_peft_model(trunk, settings)


def _words(config: Config) -> str:
    own = config.routing.private
    private = f" with routing.private.kind={own.kind} layers={own.layers}" if own.layers else ""
    return f"routing={config.routing.name}{private}"
