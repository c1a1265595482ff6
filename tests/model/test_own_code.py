"""A backbone whose code comes with it: run only where that is asked for by name, cell by cell."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from networks import MIXED, awake, batch

from relevance.config import Config, Family, LoraConfig, ModelConfig, PrivateConfig, RoutingConfig
from relevance.config_io import ConfigFile
from relevance.errors import UserError
from relevance.export.folder import export
from relevance.model.build import build_network
from relevance.model.pretrained import check_backbone
from relevance.model.store import load_network, save_network

CONFIG = """
from transformers import {base}Config


class OwnConfig({base}Config):
    model_type = "own-{base}"
"""
MODEL = """
from transformers import {base}ForSequenceClassification, {base}Model

from .configuration_own import OwnConfig


class OwnModel({base}Model):
    config_class = OwnConfig


class OwnClassifier({base}ForSequenceClassification):
    config_class = OwnConfig
"""
TRAINED = {"tasks": ["item_type"], "prefix": False, "pair": True, "max_length": 32}


@pytest.fixture
def own(tmp_path, backbones):
    """A maker of folders as a hub has them: ours, with code of their own around it."""

    def make(kind: str, base: str, use: str, classifier: bool) -> Path:
        folder = tmp_path / "own"
        shutil.copytree(backbones[kind], folder)
        (folder / "configuration_own.py").write_text(CONFIG.format(base=base))
        (folder / "modeling_own.py").write_text(MODEL.format(base=base))
        told = json.loads((folder / "config.json").read_text())
        code = {
            "AutoConfig": "configuration_own.OwnConfig",
            "AutoModel": "modeling_own.OwnModel",
            use: "modeling_own.OwnModel",
        }
        code |= {"AutoModelForSequenceClassification": "modeling_own.OwnClassifier"} if classifier else {}
        (folder / "config.json").write_text(json.dumps({**told, "model_type": f"own-{base}", "auto_map": code}))
        return folder

    return make


def config(folder: Path, family: str) -> Config:
    lora = LoraConfig(r=4 if family == "llm" else 0)
    model = ModelConfig(family, Family(family), str(folder), lora=lora, max_length=32)
    routing = RoutingConfig("mhp", heads=True, private=PrivateConfig(layers=1))
    return Config(model=replace(model, trust_remote_code=True), routing=routing)


KINDS = [
    ("llm", "llm", "Qwen3", "AutoModelForCausalLM", True),
    ("llm", "llm", "Qwen3", "AutoModelForCausalLM", False),
    ("ce", "ce", "ModernBert", "AutoModelForMaskedLM", True),
    ("ce", "ce", "ModernBert", "AutoModelForMaskedLM", False),
]


@pytest.mark.parametrize(("family", "kind", "base", "use", "classifier"), KINDS)
def test_code_of_its_own_is_run_by_name_and_never_by_a_folders_word(own, tmp_path, family, kind, base, use, classifier):
    settings = config(own(kind, base, use, classifier), family)
    untrusted = replace(settings.model, trust_remote_code=False)
    with pytest.raises(UserError, match=r"model\.trust_remote_code=true where its code is its own and you trust it"):
        check_backbone(Path(untrusted.backbone), untrusted)
    check_backbone(Path(untrusted.backbone), settings.model)
    torch.manual_seed(3)
    network, tokenizer = build_network(settings)
    expected = awake(network.eval())(batch(), MIXED)
    save_network(network, tokenizer, ConfigFile(settings), TRAINED, tmp_path / "model")
    with pytest.raises(UserError, match="may run code that came with its backbone; give trust_remote_code=true"):
        load_network(tmp_path / "model")
    again, _ = load_network(tmp_path / "model", trust_remote_code=True)
    assert torch.equal(again(batch(), MIXED), expected)
    with pytest.raises(UserError, match=r"which no plain folder holds|there is no folder to write"):
        export(tmp_path / "model", "item_type", "merged", tmp_path / "out", trust_remote_code=True)
    other = {"llm": Family.ce, "ce": Family.llm}[family]
    with pytest.raises(UserError, match=r"is an? (decoder|encoder); use model="):
        check_backbone(Path(untrusted.backbone), replace(settings.model, family=other))
