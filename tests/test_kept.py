"""config.yaml as it is kept: the same config comes back, and it tells neither a password nor what a variable holds."""

from dataclasses import replace

import pytest
from omegaconf import OmegaConf

from relevance.config import Config, ModelConfig, PrivateKind, TrainConfig
from relevance.config_io import ConfigFile, read_config
from relevance.errors import UserError

PASSWORD = "${oc.env:STORE_PASSWORD}"


def back(kept: ConfigFile, folder) -> Config:
    (folder / "config.yaml").write_text(kept.text(), encoding="utf-8")
    return read_config(folder / "config.yaml")


def test_a_config_comes_back_and_reads_as_omegaconf_writes_it(tmp_path):
    config = Config(model=ModelConfig(backbone="a b"), train=TrainConfig(class_weights=[1.0, 2.0, 0.5]))
    config.routing.private.kind = PrivateKind.lora
    assert ConfigFile(config).text() == OmegaConf.to_yaml(OmegaConf.structured(config))
    odd = replace(config, name="${x} ${oc.env:HOME} größe\n: - #", experiment="null")
    assert back(ConfigFile(odd), tmp_path) == odd


def test_a_config_of_a_cell_trained_before_settings_were_removed_is_read(tmp_path):
    config = Config(model=ModelConfig(backbone="org/name"))
    text = ConfigFile(config).text().replace("trainer:\n", "trainer:\n  num_nodes: 2\n  strategy: ddp\n")
    (tmp_path / "config.yaml").write_text(text.replace("  private:\n", "  private:\n    width: null\n"))
    assert read_config(tmp_path / "config.yaml") == config
    (tmp_path / "config.yaml").write_text(text.replace("  private:\n", "  private:\n    width: 64\n"))
    with pytest.raises(UserError, match=r"routing\.private\.width: Key 'width' not in 'PrivateConfig'"):
        read_config(tmp_path / "config.yaml")


def test_a_password_is_not_told_whether_typed_or_taken_from_the_environment(tmp_path, monkeypatch):
    config = Config(tracking_uri="postgresql://ana:hunter2@db/runs", experiment="hunter2", backbones={"api_key": "abc"})
    typed = ConfigFile(config, {"experiment": PASSWORD}).text()
    assert "hunter2" not in typed
    assert "abc" not in typed
    assert "tracking_uri: postgresql://***@db/runs" in typed
    named = ConfigFile(config, {"experiment": PASSWORD, "tracking_uri": f"postgresql://ana:{PASSWORD}@db/runs"})
    assert f"tracking_uri: postgresql://ana:{PASSWORD}@db/runs" in named.text()
    monkeypatch.setenv("STORE_PASSWORD", "changed")
    assert back(named, tmp_path).tracking_uri == "postgresql://ana:changed@db/runs"
    monkeypatch.delenv("STORE_PASSWORD")
    assert back(named, tmp_path).tracking_uri == f"postgresql://ana:{PASSWORD}@db/runs"


def test_a_number_from_a_variable_that_is_not_set_is_named(tmp_path, monkeypatch):
    kept = ConfigFile(Config(), {"model.lr": "${oc.env:RATE}"})
    monkeypatch.setenv("RATE", "0.25")
    assert back(kept, tmp_path).model.lr == 0.25
    monkeypatch.delenv("RATE")
    with pytest.raises(
        UserError, match=r"config\.yaml: model\.lr: .*\$\{oc\.env:RATE\}.*; set the environment variable"
    ):
        back(kept, tmp_path)
