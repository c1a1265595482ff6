"""A network → an ordinary sequence classifier of one task: trunk, that task's branch, that task's head.

trunk.layers.0 … 27 | private.branches[3].0, .1 | heads[3]  →  model.layers.0 … 29, score
"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel

from relevance.config import Config, PrivateKind
from relevance.errors import UserError
from relevance.model.architectures import PER_BLOCK, blocks_name
from relevance.model.heads import Plain
from relevance.model.network import Network
from relevance.model.private.attach import own_targets
from relevance.model.private.inserted import Gated
from relevance.tasks import LABELS, TASK_INDEX, TASK_NAMES


def plain_classifier(network: Network, config: Config, task: str) -> PreTrainedModel:
    """AutoModelForSequenceClassification with the logits of `network` for `task`, every adapter merged.

    The network cannot be used afterwards: its trunk is taken apart. Raises UserError where the architecture has no
    such form, with the reason.
    """
    head = head_of(network, task)
    private, depth = config.routing.private, head.config.get_text_config().num_hidden_layers
    check_exportable(network, config)
    trunk: Any = network.trunk  # a PeftModel where the cell trained adapters
    if config.model.lora.r:
        trunk = trunk.merge_and_unload()
    name, prefix = blocks_name(trunk), head.base_model_prefix
    state = {f"{prefix}.{key}": tensor for key, tensor in trunk.state_dict().items()}
    more = private.layers if private.kind in (PrivateKind.inserted, PrivateKind.shared) else 0
    first = depth if more else depth - private.layers
    if private.layers and private.kind is PrivateKind.lora:
        _merge(network, trunk, config, task)
    elif private.layers:
        state |= {f"{prefix}.{name}.{first + at}.{key}": tensor for at, key, tensor in _branch(network, task)}
    exported = AutoModelForSequenceClassification.from_config(_deeper(head.config, more), dtype=torch.float32)
    try:
        exported.load_state_dict({**state, **head.state_dict()})
    except RuntimeError as error:
        raise UserError(f"{type(exported).__name__}: its weights do not fit its own class ({error})") from error
    return exported.eval()


def head_of(network: Network, task: str) -> PreTrainedModel:
    """The classifier of `task` without its backbone."""
    return _of_task(network.heads, task).classifier


def branch_of(network: Network, task: str) -> Any:
    """The private modules of `task`: blocks in their order, or the adapters beside `own_targets`."""
    private: Any = network.private
    return _of_task(private.branches, task)


def _of_task(modules: Any, task: str) -> Any:
    """Those of `task`, or the only ones there are."""
    return modules[TASK_INDEX[task] if len(modules) > 1 else 0]


def check_exportable(network: Network, config: Config) -> None:
    """UserError where no ordinary model computes what the network does."""
    kind = f"routing.private.kind={config.routing.private.kind}"
    classifier = head_of(network, TASK_NAMES[0])
    if isinstance(classifier, Plain):
        raise UserError(
            f"{classifier.config.model_type}: transformers has no sequence classifier for it, so that "
            "there is no folder to write; use relevance.predict or the served model"
        )
    if any(isinstance(part, Gated) for part in network.modules()):
        raise UserError(
            f"{kind}: the gate h + g (block(h) - h) of post-norm blocks is no ordinary block; "
            "use relevance.predict or the served model, or train kind=top"
        )


def _branch(network: Network, task: str) -> Iterator[tuple[int, str, torch.Tensor]]:
    """Place in the branch, name and weight of the private blocks of `task`."""
    for place, block in enumerate(branch_of(network, task)):
        for key, tensor in block.state_dict().items():
            yield place, key, tensor


def _merge(network: Network, trunk: PreTrainedModel, config: Config, task: str) -> None:
    """Add scale * B A of the task's adapters to the weights they stand beside."""
    private: Any = network.private
    linears: Iterable[Any] = own_targets(trunk, config).values()
    with torch.no_grad():
        for linear, adapter in zip(linears, branch_of(network, task), strict=True):
            delta = private.scale * adapter.b.weight @ adapter.a.weight
            linear.weight += delta if isinstance(linear, nn.Linear) else delta.T  # gpt2 keeps [in, out]


def _deeper(config: PretrainedConfig, more: int) -> PretrainedConfig:
    """The config with `more` blocks like its last: what it lists for each block, it lists for them too."""
    words = {"id2label": dict(enumerate(LABELS)), "label2id": {word: at for at, word in enumerate(LABELS)}}
    text, settings = config.get_text_config(), config.to_dict()
    if text is not config:  # of a model of images and texts
        (name,) = (name for name in config.sub_configs if getattr(config, name) is text)
        return type(config).from_dict({**settings, **words, name: _longer(text, more)})
    return type(config).from_dict({**_longer(text, more), **words})


def _longer(config: PretrainedConfig, more: int) -> dict[str, Any]:
    settings = config.to_dict()
    name = config.attribute_map.get("num_hidden_layers", "num_hidden_layers")
    lists = {key: [*settings[key], *settings[key][-1:] * more] for key in PER_BLOCK if settings.get(key)}
    return {**settings, **lists, name: config.num_hidden_layers + more}
