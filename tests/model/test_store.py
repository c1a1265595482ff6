"""A model folder: written whole or not at all, it tells no secret, and needs no variable that is of no use to it."""

import os

import pytest
import torch

from relevance.config import Config, Family, LoraConfig, ModelConfig
from relevance.config_io import ConfigFile
from relevance.errors import UserError
from relevance.model.build import build_network
from relevance.model.store import load_network, save_network


def small(backbones, **changes) -> Config:
    return Config(model=ModelConfig(backbone=str(backbones["ce"]), max_length=64), **changes)


def test_a_model_on_a_full_disk_leaves_the_one_before(backbones, disk):
    network, tokenizer = build_network(small(backbones))
    (disk / "model").mkdir()
    (disk / "model/config.yaml").write_text("of an earlier one")
    free = os.statvfs(disk)
    (disk / "filling").write_bytes(bytes(free.f_bavail * free.f_frsize - 16_384))
    with pytest.raises(UserError) as found:
        save_network(network, tokenizer, ConfigFile(small(backbones)), {}, disk / "model")
    said = "No space left on device; what stood there is whole; free space there, or choose another place"
    assert str(found.value) == f"{disk}/model: {said}"
    assert {path.name for path in disk.iterdir()} == {"filling", "model"}
    assert [path.name for path in (disk / "model").iterdir()] == ["config.yaml"]


def test_a_model_loads_where_the_variables_of_its_training_are_not_set(backbones, tmp_path, monkeypatch):
    monkeypatch.delenv("STORE_PASSWORD", raising=False)
    config = small(backbones, tracking_uri="postgresql://ana:hunter2@db/runs", outputs="/mnt/hunter2")
    unresolved = {
        "tracking_uri": "postgresql://ana:${oc.env:STORE_PASSWORD}@db/runs",
        "outputs": "/mnt/${oc.env:STORE_PASSWORD}",
        "model.backbone": "${oc.env:MODELS}/ce",
    }
    network, tokenizer = build_network(config)
    save_network(network, tokenizer, ConfigFile(config, unresolved), {}, tmp_path / "model")
    assert not [path for path in (tmp_path / "model").rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]
    again, read = load_network(tmp_path / "model")
    assert {path: read_at(read, path) for path in unresolved} == unresolved
    assert all(
        torch.equal(*two) for two in zip(again.state_dict().values(), network.state_dict().values(), strict=True)
    )


def read_at(config: Config, path: str) -> str:
    for name in path.split("."):
        config = getattr(config, name)
    return config


def test_an_adapter_needs_the_variable_that_names_its_backbone_and_says_so(backbones, tmp_path, monkeypatch):
    monkeypatch.setenv("MODELS", str(backbones["llm"].parent))
    llm = ModelConfig(family=Family.llm, backbone=str(backbones["llm"]), lora=LoraConfig(r=4), max_length=64)
    network, tokenizer = build_network(Config(model=llm))
    kept = ConfigFile(Config(model=llm), {"model.backbone": "${oc.env:MODELS}/llm"})
    save_network(network, tokenizer, kept, {}, tmp_path / "model")
    told = os.fsencode(backbones["llm"])
    assert not [path for path in (tmp_path / "model").rglob("*") if path.is_file() and told in path.read_bytes()]
    assert load_network(tmp_path / "model")[1].model == llm
    monkeypatch.delenv("MODELS")
    with pytest.raises(UserError, match=r"needs model\.backbone=\$\{oc\.env:MODELS\}/llm; set MODELS$"):
        load_network(tmp_path / "model")
