"""A network → the adapter of one task as peft keeps it, head included; its frozen backbone stays where it is.

adapter_config.json (task_type SEQ_CLS) and adapter_model.safetensors: base_model.model.model.layers.0.….lora_A.weight
"""

from pathlib import Path

from torch import nn
from transformers import AutoModelForSequenceClassification

from relevance.config import HALF, Config, PrivateKind
from relevance.errors import UserError
from relevance.export.classifier import head_of
from relevance.model.backbone import backbone_folder, name_base
from relevance.model.network import Network
from relevance.model.private.attach import own_targets
from relevance.tasks import TASK_INDEX


def pad_beside_end(tokenizer) -> None:
    """Another token to pad with where it was the end token; embeddings of a frozen backbone cannot grow.

    transformers finds the last real token by the pad id, and every text ends in the end token: any other one serves.
    """
    if tokenizer.pad_token_id == tokenizer.eos_token_id:
        others = [at for at in (tokenizer.bos_token_id, tokenizer.unk_token_id, 0, 1) if at is not None]
        at = next(at for at in others if at != tokenizer.eos_token_id)
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(at)


def write_adapter(network: Network, config: Config, task: str, folder: Path) -> None:
    """Write the adapter of `task` to `folder`; UserError where the cell has no such form."""
    from peft import LoraConfig, get_peft_model, set_peft_model_state_dict

    _admit(config)
    head, given = head_of(network, task), network.trunk.peft_config["default"]
    weights = _adapters(network, config, task, head.base_model_prefix)
    base = _base(config, head)
    settings = LoraConfig(
        task_type="SEQ_CLS",
        r=given.r,
        lora_alpha=given.lora_alpha,
        use_dora=given.use_dora,
        use_rslora=given.use_rslora,
        fan_in_fan_out=given.fan_in_fan_out,
        target_modules=sorted({name.split(".lora_")[0].removeprefix("base_model.model.") for name in weights}),
        modules_to_save=_head_parts(head),
    )
    model = get_peft_model(base, settings)
    heads = {f"base_model.model.{name}": tensor for name, tensor in head.state_dict().items()}
    lost = set_peft_model_state_dict(model, {**weights, **heads}).unexpected_keys
    if lost:
        raise UserError(f"form=adapter: peft finds no place for {lost[:3]}; use form=merged")
    model.save_pretrained(folder)
    if config.model.revision:
        name_base(folder, config.model.backbone, config.model.revision)


def _admit(config: Config) -> None:
    """UserError where what the cell trained is no adapter, or stands on what nobody else has."""
    own = config.routing.private
    if not config.model.lora.r:
        raise UserError(f"form=adapter: this cell of model={config.model.name} trained none; use form=merged")
    if own.layers and own.kind is not PrivateKind.lora:
        raise UserError(f"form=adapter: private layers of kind={own.kind} are no adapter; use form=merged")
    if config.trainer.precision == HALF:
        raise UserError(
            f"form=adapter: trainer.precision={HALF} rounded the backbone this one stands on; use form=merged"
        )


def _head_parts(head: nn.Module) -> list[str]:
    """Names of the modules that hold the head's weights; BERT's pooler is one of the backbone's."""
    inside = head.base_model_prefix
    names = [name.removeprefix(f"{inside}.").split(".")[0] for name, _ in head.named_parameters()]
    return list(dict.fromkeys(names))


def _base(config: Config, head: nn.Module):
    """The classifier as a reader will load it: the backbone's weights and a head that the adapter replaces."""
    return AutoModelForSequenceClassification.from_pretrained(
        backbone_folder(config), config=head.config, dtype="float32", use_safetensors=True
    )


def _adapters(network: Network, config: Config, task: str, prefix: str) -> dict:
    """The trunk's adapters and those of the task, by the names peft gives them below a classifier."""
    from peft import get_peft_model_state_dict

    start = "base_model.model."
    found = {
        f"{start}{prefix}.{name.removeprefix(start)}": tensor
        for name, tensor in get_peft_model_state_dict(network.trunk).items()
    }
    if config.routing.private.layers:
        targets = own_targets(network.trunk.get_base_model(), config)
        for name, adapter in zip(targets, network.private.branches[TASK_INDEX[task]], strict=True):
            found[f"{start}{prefix}.{name}.lora_A.weight"] = adapter.a.weight
            found[f"{start}{prefix}.{name}.lora_B.weight"] = adapter.b.weight
    return found
