"""A trained network on disk and back: safetensors only, sealed, and held against its config before it takes memory.

model/trunk/ (config, weights and code of its own, or the adapter as peft keeps it), model/heads.safetensors,
model/private.safetensors, model/tokenizer/, model/template.json, model/config.yaml, model/seal.json

The frozen backbone of an adapter stays where it is. One that moved is named by RELEVANCE_BACKBONE=FOLDER (several: as
in PATH), or backbone=FOLDER of a command, and held against the digest of the one that the adapter was trained on.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedTokenizerBase

from relevance import seal
from relevance.atomic_io import atomic_folder
from relevance.cell_id import REMEDY
from relevance.config import Config
from relevance.config_io import MOVED, ConfigFile, from_variables, read_config, unset_variables
from relevance.errors import UserError, cut, first_line
from relevance.model.backbone import backbone_digest, backbone_folder, name_base
from relevance.model.build import build_network
from relevance.model.network import Network
from relevance.model.pretrained import check_quantized
from relevance.model.weight_files import shapes_of

PARTS = ("heads", "private")  # beside the trunk
WEIGHTS = "model.safetensors"
ADAPTER = "trunk/adapter_model.safetensors"
DIGEST = "trunk/backbone.txt"  # sha256 of the frozen backbone an adapter was trained on
LONGEST = 1 << 17  # tokens of a pair that a folder's config may ask for


def save_network(
    network: Network, tokenizer: PreTrainedTokenizerBase, file: ConfigFile, template: dict, folder: Path
) -> None:
    """Write all that is needed to score pairs again, whole or not at all, in place of what is in `folder`."""
    model = file.config.model
    with atomic_folder(folder) as part:
        if model.lora.r:
            network.trunk.save_pretrained(part / "trunk")
            # a backbone of the hub, or one that the environment named, is named so in peft's texts too
            if named := file.unresolved.get("model.backbone") or (model.revision and model.backbone):
                name_base(part / "trunk", named, model.revision)
            path = Path(model.backbone).expanduser()
            if path.exists() and not model.revision:  # a local one is named from the root, to be found from anywhere
                file = replace(file, config=replace(file.config, model=replace(model, backbone=str(path.resolve()))))
            (part / DIGEST).write_text(backbone_digest(file.config))
        else:  # not as a backbone of its own: kind=top leaves it without its upper blocks
            network.trunk.config.save_pretrained(part / "trunk")
            save_file(_tensors(network.trunk), part / "trunk" / WEIGHTS)
            if model.trust_remote_code:  # code of the backbone's own, beside the weights that only it uses
                for code in backbone_folder(file.config).glob("*.py"):
                    shutil.copy(code, part / "trunk")
        for name in PARTS:
            module: nn.Module | None = getattr(network, name)
            if module is not None:
                save_file(_tensors(module), part / f"{name}.safetensors")
        tokenizer.save_pretrained(part / "tokenizer")
        (part / "template.json").write_text(json.dumps(template, indent=1, sort_keys=True))
        (part / "config.yaml").write_text(file.text(), encoding="utf-8")
        seal.write(part, "model")


def load_network(folder: Path, trust_remote_code: bool = False) -> tuple[Network, Config]:
    """The network that `save_network` wrote, its logits equal; UserError where `folder` holds none that loads here.

    A folder may come from anywhere: its backbone's code runs only where the caller trusts it, whatever its config says,
    no text of its config is filled from the reader's environment, and no memory is taken that its weights do not fill.
    """
    with whole(folder):
        return _loaded(folder, trust_remote_code)


@contextmanager
def whole(folder: Path) -> Iterator[None]:
    """Whatever files of a model folder make their readers raise becomes one line that names the folder."""
    try:
        yield
    except Exception as error:
        if isinstance(error, UserError) and str(folder) in str(error):
            raise
        kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        why = cut(" ".join(str(error).split()), 300)
        raise UserError(f"{folder}: holds no model that can be loaded ({kind}{why}); {REMEDY}") from error


def _loaded(folder: Path, trust_remote_code: bool) -> tuple[Network, Config]:
    config = _settings(folder)
    if config.model.trust_remote_code and not trust_remote_code:
        raise UserError(
            f"{folder}: was trained with model.trust_remote_code=true, so that loading it may run code that came with "
            "its backbone; give trust_remote_code=true if you trust where it is from"
        )
    check_quantized(config.model)
    if config.model.lora.r:
        config = _with_backbone(config, folder)
    _check_sizes(config, folder)
    network, _ = build_network(config, folder)
    if config.model.lora.r:
        from peft import set_peft_model_state_dict

        loaded: Any = set_peft_model_state_dict(network.trunk, _weights(folder / ADAPTER))
        if odd := [*(name for name in loaded.missing_keys if "lora_" in name), *loaded.unexpected_keys]:
            raise UserError(f"{folder / ADAPTER}: does not fit its config.yaml ({odd[0]}); {REMEDY}")
    else:
        _fill(network.trunk, folder / "trunk" / WEIGHTS)
    for name in PARTS:
        part = getattr(network, name)
        if part is not None:
            _fill(part, folder / f"{name}.safetensors")
    return network.eval(), config


def _check_sizes(config: Config, folder: Path) -> None:
    """UserError where config.yaml asks for more than the folder's weights fill; their headers alone are read."""
    model, layers, k = config.model, config.routing.private.layers, config.routing.prompt.k
    if model.max_length > LONGEST:
        raise UserError(f"{folder}: model.max_length={model.max_length}: at most {LONGEST:,}; {REMEDY}")
    if model.lora.r:
        ranks = {shape[0] for name, shape in shapes_of(folder / ADAPTER).items() if name.endswith("lora_A.weight")}
        if ranks != {model.lora.r}:
            raise UserError(f"{folder}: model.lora.r={model.lora.r}, its adapter has {sorted(ranks)}; {REMEDY}")
    if layers and layers > len(shapes_of(folder / "private.safetensors")):
        raise UserError(f"{folder}: routing.private.layers={layers}: more than private.safetensors holds; {REMEDY}")
    if k and {shape[0] for shape in shapes_of(folder / "private.safetensors").values()} != {k}:
        raise UserError(f"{folder}: routing.prompt.k={k}: private.safetensors holds another number; {REMEDY}")


def _fill(part: nn.Module, file: Path) -> None:
    weights, places = _weights(file), part.state_dict()
    try:
        part.load_state_dict(weights)
        if odd := [name for name in weights if weights[name].is_floating_point() != places[name].is_floating_point()]:
            raise RuntimeError(f"\n{odd[0]} has numbers of another kind")
    except RuntimeError as error:
        why = cut(" ".join(str(error).split("\n")[1:2]).strip(), 200)
        raise UserError(f"{file}: does not fit its config.yaml ({why}); {REMEDY}") from error


def _weights(file: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file; UserError where it is none, or one of them holds what is no number."""
    try:
        weights = load_file(file)
    except Exception as error:  # safetensors has no class of its own for all of it
        raise UserError(f"{file}: no weights that can be read ({cut(first_line(error))}); {REMEDY}") from error
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise UserError(f"{file}: {name} holds weights that are no finite numbers; {REMEDY}")
    return weights


def _settings(folder: Path) -> Config:
    if not (folder / "config.yaml").is_file():
        raise UserError(f"{folder}: holds no model; train the cell with save=all rerun=true")
    seal.check(folder, None, REMEDY)
    return read_config(folder / "config.yaml", trusted=False)


def _with_backbone(config: Config, folder: Path) -> Config:
    """The config whose model.backbone is the one it was trained on: where the reader says, or where it lay."""
    wanted = (folder / DIGEST).read_text(encoding="utf-8").strip()
    if "${" in config.outputs:  # where backbones are converted to, each under its digest: any folder will do
        config = replace(config, outputs="outputs")
    elsewhere = f"or say where it lies now, backbone=FOLDER (serving: {MOVED}=FOLDER)"
    for place in filter(None, os.environ.get(MOVED, "").split(os.pathsep)):
        moved = replace(config, model=replace(config.model, backbone=place, revision=None))
        if (digest := backbone_digest(moved)) == wanted:
            return moved
        elsewhere += f"; backbone={place} is another (digest {digest[:12]}, not {wanted[:12]})"
    there = replace(config, model=replace(config.model, backbone=_named(config, folder)))
    try:
        digest = backbone_digest(there)
    except UserError as error:
        raise UserError(f"{folder}: {error}; put it back, {elsewhere}") from error
    if digest != wanted:
        raise UserError(
            f"{folder}: was trained on another model.backbone={config.model.backbone} than lies there now "
            f"(digest {digest[:12]}); put the old one back, {elsewhere}"
        )
    return there


def _named(config: Config, folder: Path) -> str:
    """A backbone that environment variables name, where it lies on this machine: no hub is asked for what they hold."""
    backbone = config.model.backbone
    if absent := unset_variables(backbone):
        raise UserError(f"{folder}: needs model.backbone={backbone}; set {' and '.join(absent)}")
    path = from_variables(backbone)
    if path != backbone and not Path(path).expanduser().exists():
        raise UserError(
            f"{folder}: needs model.backbone={backbone}, which is no folder under what these variables hold; set them, "
            "or give backbone=FOLDER"
        )
    return path


def _tensors(part: nn.Module) -> dict:
    return {name: tensor.contiguous().clone() for name, tensor in part.state_dict().items()}
