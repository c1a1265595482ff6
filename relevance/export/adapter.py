"""A network → the adapter of one task as peft keeps it, head included; its frozen backbone stays where it is.

adapter_config.json (task_type SEQ_CLS) and adapter_model.safetensors: base_model.model.model.layers.0.….lora_A.weight
"""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from relevance.config import HALF, Config
from relevance.errors import UserError
from relevance.export.classifier import head_of
from relevance.model.backbone import backbone_folder, name_base
from relevance.model.network import Network
from relevance.tasks import TASK_INDEX


def write_adapter(network: Network, config: Config, task: str, folder: Path) -> None:
    """Write the adapter of `task` to `folder`; UserError where the cell has no such form."""
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

    private = network.private.adapter_weights(TASK_INDEX[task]) if network.private is not None else {}
    _check(config, private)
    trunk: Any = network.trunk  # a PeftModel
    head, lora = head_of(network, task), trunk.peft_config["default"]
    start, inside = "base_model.model.", f"base_model.model.{head.base_model_prefix}."
    weights = {f"{inside}{name.removeprefix(start)}": x for name, x in get_peft_model_state_dict(trunk).items()}
    weights |= {f"{inside}{name}": tensor for name, tensor in private.items()}
    settings = LoraConfig(
        task_type="SEQ_CLS",
        r=lora.r,
        lora_alpha=lora.lora_alpha,
        use_dora=lora.use_dora,
        use_rslora=lora.use_rslora,
        fan_in_fan_out=lora.fan_in_fan_out,
        target_modules=sorted({name.split(".lora_")[0].removeprefix(start) for name in weights}),
        modules_to_save=_head_parts(head),
    )
    model = get_peft_model(_base(config, head), settings)
    heads = {f"{start}{name}": tensor for name, tensor in head.state_dict().items()}
    loaded: Any = set_peft_model_state_dict(model, {**weights, **heads})
    if lost := loaded.unexpected_keys:
        raise UserError(f"form=adapter: peft finds no place for {lost[:3]}; use form=merged")
    model.save_pretrained(str(folder))
    backbone, revision = config.model.backbone, config.model.revision
    if backbone and revision:
        name_base(folder, backbone, revision)


def _check(config: Config, private: dict[str, torch.Tensor]) -> None:
    """UserError where what the cell trained is no adapter, or stands on what nobody else has."""
    if not config.model.lora.r:
        raise UserError(f"form=adapter: this cell of model={config.model.name} trained none; use form=merged")
    if config.routing.private.layers and not private:
        raise UserError(
            f"form=adapter: private layers of kind={config.routing.private.kind} are no adapter; use form=merged"
        )
    if config.trainer.precision == HALF:
        raise UserError(
            f"form=adapter: trainer.precision={HALF} rounded the backbone this one stands on; use form=merged"
        )


def _base(config: Config, head: PreTrainedModel) -> PreTrainedModel:
    """The classifier as a reader will load it: the backbone's weights and a head that the adapter replaces."""
    return AutoModelForSequenceClassification.from_pretrained(
        backbone_folder(config), config=head.config, dtype="float32", use_safetensors=True
    )


def _head_parts(head: PreTrainedModel) -> list[str]:
    """Names of the modules that hold the head's weights; BERT's pooler is one of the backbone's."""
    inside = head.base_model_prefix
    names = [name.removeprefix(f"{inside}.").split(".")[0] for name, _ in head.named_parameters()]
    return list(dict.fromkeys(names))


def pad_beside_end(tokenizer) -> None:
    """Another token to pad with where it was the end token; embeddings of a frozen backbone cannot grow.

    transformers finds the last real token by the pad id, and every text ends in the end token: any other one serves.
    """
    if tokenizer.pad_token_id == tokenizer.eos_token_id:
        others = [at for at in (tokenizer.bos_token_id, tokenizer.unk_token_id, 0, 1) if at is not None]
        at = next(at for at in others if at != tokenizer.eos_token_id)
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(at)
