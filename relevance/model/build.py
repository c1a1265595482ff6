"""A cell's config → the network it trains and its tokenizer: backbone, private layers, adapters, heads."""

from pathlib import Path

import torch
from torch import nn

from relevance.config import HALF, Config, Family, PrivateKind
from relevance.errors import UserError, first_line
from relevance.model import backbone, pretrained
from relevance.model.architectures import attention_targets, blocks
from relevance.model.heads import detach
from relevance.model.network import Network
from relevance.model.private.attach import attach, own_targets
from relevance.tasks import TASK_NAMES

LENGTHS = (5, 3, 4)  # of the rows a new network is tried on


def build(config: Config, saved: Path | None = None) -> tuple[Network, object]:
    """The network a cell trains and its tokenizer, from the backbone's pretrained weights.

    `saved` is the folder of a cell whose own weights are to be loaded: a whole trunk starts without the backbone's.
    Raises UserError where the backbone cannot do what the routing asks.
    """
    model = config.model
    whole = saved is not None and not model.lora.r
    path = saved / "trunk" if whole else backbone.folder(model.backbone)
    tokenizer = pretrained.tokenizer(saved / "tokenizer" if saved else path, model)
    classifier = pretrained.classifier(path, model, tokenizer.pad_token_id, weights=not whole)
    trunk, heads = detach(classifier, len(TASK_NAMES) if config.routing.heads else 1)
    if model.gradient_checkpointing:
        trunk.activation_checkpointing_enable({"use_reentrant": False})
    inputs, last = _example(trunk), blocks(trunk)[-1]
    try:
        private = attach(trunk, config, inputs)
        trunk = _with_lora(trunk, config) if model.lora.r else trunk
        network = Network(trunk, heads, private, positions=model.family is Family.llm)
        _try(network.to(inputs["input_ids"].device), inputs, last)
    except (RuntimeError, TypeError, ValueError, AttributeError, LookupError) as error:
        raise UserError(
            f"model.backbone={model.backbone}: {classifier.config.model_type} cannot run {_words(config)} "
            f"({type(error).__name__}: {first_line(error)}); choose another routing or backbone"
        ) from error
    if config.trainer.precision == HALF:
        network.halve()
    return network.train(), tokenizer  # from_pretrained leaves dropout off


def _example(trunk: nn.Module) -> dict[str, torch.Tensor]:
    """A batch of three rows of unequal length, on the trunk's device."""
    lengths = torch.tensor(LENGTHS)[:, None]
    mask = (torch.arange(max(LENGTHS)) < lengths).long()
    ids = torch.arange(1, 16).reshape(3, 5) % trunk.config.get_text_config().vocab_size
    device = next(trunk.parameters()).device
    return {"input_ids": (ids * mask).to(device), "attention_mask": mask.to(device)}


@torch.no_grad()
def _try(network: Network, inputs: dict[str, torch.Tensor], last: nn.Module) -> None:
    """Run rows of two tasks once; RuntimeError where the result cannot be what it should."""
    calls: list[int] = []
    handle = last.register_forward_pre_hook(lambda *_: calls.append(1))
    logits = network.eval()(inputs, [(0, 0, 2), (3, 2, 3)])
    handle.remove()
    if logits.shape != (3, 3):
        raise RuntimeError(f"its head gives {list(logits.shape)} for three rows and three labels")
    if network.private is not None and len(calls) > 2:  # two tasks: kind=top calls two copies
        raise RuntimeError("its layers share one block, so that no place is the last")


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
        target_modules=attention_targets(trunk) if lora.targets == "attention" else lora.targets,
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
    width = f" width={own.width}" if own.width is not None else ""
    private = f" with routing.private.kind={own.kind} layers={own.layers}{width}" if own.layers else ""
    return f"routing={config.routing.name}{private}"
