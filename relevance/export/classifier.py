"""A network → an ordinary sequence classifier of one task: trunk, that task's branch, that task's head.

trunk.layers.0 … 27 | private.branches[3].0, .1 | heads[3]  →  model.layers.0 … 29, score
"""

from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel

from relevance.config import Config
from relevance.errors import UserError
from relevance.model.architectures import PER_BLOCK, block_list
from relevance.model.network import Network, Plain
from relevance.tasks import LABELS, TASK_INDEX, TASK_NAMES


def plain_classifier(network: Network, config: Config, task: str) -> PreTrainedModel:
    """AutoModelForSequenceClassification with the logits of `network` for `task`, every adapter merged.

    The network cannot be used afterwards: its trunk is taken apart. Raises UserError where the architecture has no
    such form, with the reason.
    """
    head = head_of(network, task)
    check_exportable(network)
    trunk: Any = network.trunk  # a PeftModel where the cell trained adapters
    if config.model.lora.r:
        trunk = trunk.merge_and_unload()
    depth = len(block_list(trunk))
    if network.private is not None:
        network.private.merge(trunk, TASK_INDEX[task])
    state = {f"{head.base_model_prefix}.{key}": tensor for key, tensor in trunk.state_dict().items()}
    settings = _deeper(head.config, len(block_list(trunk)) - depth)
    exported = AutoModelForSequenceClassification.from_config(settings, dtype=torch.float32)
    try:
        exported.load_state_dict({**state, **head.state_dict()})
    except RuntimeError as error:
        raise UserError(f"{type(exported).__name__}: its weights do not fit its own class ({error})") from error
    return exported.eval()


def head_of(network: Network, task: str) -> PreTrainedModel:
    """The classifier of `task` without its backbone."""
    heads: Any = network.heads
    return heads[TASK_INDEX[task] if len(heads) > 1 else 0].classifier


def check_exportable(network: Network) -> None:
    """UserError where no ordinary model computes what the network does."""
    classifier = head_of(network, TASK_NAMES[0])
    if isinstance(classifier, Plain):
        raise UserError(
            f"{classifier.config.model_type}: transformers has no sequence classifier for it, so that "
            "there is no folder to write; use relevance.predict or the served model"
        )
    if network.private is not None:
        network.private.check_mergeable()


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
