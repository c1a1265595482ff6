"""A trained network on disk and back: safetensors only.

model/trunk/ (config, weights and code of its own, or the adapter as peft keeps it), model/heads.safetensors,
model/private.safetensors, model/tokenizer/, model/template.json, model/config.yaml
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedTokenizerBase

from relevance.atomic_io import atomic_folder
from relevance.config import Config
from relevance.config_io import ConfigFile, read_config, unset_variables
from relevance.errors import UserError
from relevance.model.backbone import backbone_digest, backbone_folder, name_base
from relevance.model.build import build_network
from relevance.model.network import Network
from relevance.model.pretrained import check_quantized

PARTS = ("heads", "private")  # beside the trunk
WEIGHTS = "model.safetensors"
DIGEST = "trunk/backbone.txt"  # sha256 of the frozen backbone an adapter was trained on


def save_network(
    network: Network, tokenizer: PreTrainedTokenizerBase, file: ConfigFile, template: dict, folder: Path
) -> None:
    """Write all that is needed to score pairs again, whole or not at all, in place of what is in `folder`.

    The frozen backbone of an adapter stays where it is.
    """
    with atomic_folder(folder) as part:
        if file.config.model.lora.r:
            _save_adapter(network, file, part / "trunk")
            file = replace(file, config=_with_whole_path(file.config))
            (part / DIGEST).write_text(backbone_digest(file.config))
        else:  # not as a backbone of its own: kind=top leaves it without its upper blocks
            network.trunk.config.save_pretrained(part / "trunk")
            save_file(_tensors(network.trunk), part / "trunk" / WEIGHTS)
            if file.config.model.trust_remote_code:  # code of the backbone's own, beside the weights that only it uses
                for code in backbone_folder(file.config).glob("*.py"):
                    shutil.copy(code, part / "trunk")
        for name in PARTS:
            module: nn.Module | None = getattr(network, name)
            if module is not None:
                save_file(_tensors(module), part / f"{name}.safetensors")
        tokenizer.save_pretrained(part / "tokenizer")
        (part / "template.json").write_text(json.dumps(template, indent=1, sort_keys=True))
        (part / "config.yaml").write_text(file.text(), encoding="utf-8")


def load_network(folder: Path, trust_remote_code: bool = False) -> tuple[Network, Config]:
    """The network that `save_network` wrote, its logits equal; UserError where `folder` holds none that loads here.

    A folder may come from anywhere: its backbone's code runs only where the caller trusts it, whatever its config says.
    """
    config = _settings(folder)
    if config.model.trust_remote_code and not trust_remote_code:
        raise UserError(
            f"{folder}: was trained with model.trust_remote_code=true, so that loading it may run code that came with "
            "its backbone; give trust_remote_code=true if you trust where it is from"
        )
    check_quantized(config.model)
    if config.model.lora.r:
        _same_backbone(config, folder)
    network, _ = build_network(config, folder)
    if config.model.lora.r:
        from peft import set_peft_model_state_dict

        set_peft_model_state_dict(network.trunk, load_file(folder / "trunk" / "adapter_model.safetensors"))
    else:
        network.trunk.load_state_dict(load_file(folder / "trunk" / WEIGHTS))
    for name in PARTS:
        part = getattr(network, name)
        if part is not None:
            part.load_state_dict(load_file(folder / f"{name}.safetensors"))
    return network.eval(), config


def _save_adapter(network: Network, file: ConfigFile, trunk: Path) -> None:
    """As peft keeps it; a backbone of the hub, or one that the environment named, is named so in its texts too."""
    network.trunk.save_pretrained(trunk)
    model = file.config.model
    if named := file.unresolved.get("model.backbone") or (model.revision and model.backbone):
        name_base(trunk, named, model.revision)


def _settings(folder: Path) -> Config:
    if not (folder / "config.yaml").is_file():
        raise UserError(f"{folder}: holds no model; train the cell with save=all rerun=true")
    config = read_config(folder / "config.yaml")
    if config.model.lora.r and (absent := unset_variables(config.model.backbone)):
        raise UserError(f"{folder}: needs model.backbone={config.model.backbone}; set {' and '.join(absent)}")
    return config


def _with_whole_path(config: Config) -> Config:
    """The config with a backbone that is a local folder or file named from the root, to be found from anywhere."""
    path = Path(config.model.backbone).expanduser()
    local = path.exists() and not config.model.revision
    return replace(config, model=replace(config.model, backbone=str(path.resolve()))) if local else config


def _same_backbone(config: Config, folder: Path) -> None:
    digest = backbone_digest(config)
    if digest != (folder / DIGEST).read_text():
        raise UserError(
            f"{folder}: was trained on another model.backbone={config.model.backbone} than lies there now "
            f"(digest {digest[:12]}); put the old one back, or train the cell with rerun=true"
        )


def _tensors(part: nn.Module) -> dict:
    return {name: tensor.contiguous().clone() for name, tensor in part.state_dict().items()}
