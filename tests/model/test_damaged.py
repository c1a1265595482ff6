"""A model folder that is torn, or a stranger's: one line with its path, before memory is taken or code is run."""

import json
import os
import sys
from pathlib import Path
from shutil import copytree, move, rmtree

import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file, save_file

from relevance import seal
from relevance.config import Config, Family, LoraConfig, ModelConfig, RoutingConfig
from relevance.config_io import ConfigFile
from relevance.data.tokens import Reading, Template
from relevance.errors import UserError
from relevance.export.__main__ import export as exported
from relevance.export.folder import export
from relevance.model.backbone import backbone_folder
from relevance.model.build import build_network
from relevance.model.pretrained import check_backbone
from relevance.model.store import save_network
from relevance.predict.__main__ import predict
from relevance.predict.scorer import Scorer
from relevance.tasks import TASK_NAMES

PAIRS = pa.table({"task": ["query_item"], "left": ["red lamp " * 99], "right": ["lamp"]})
SECRET = "hunter2"


@pytest.fixture(scope="module")
def models(backbones, tmp_path_factory) -> dict[str, Path]:
    """A model folder of each family, with heads."""
    folders = {}
    for family in Family:
        lora = LoraConfig(r=4 if family is Family.llm else 0)
        base = copytree(backbones[family], tmp_path_factory.mktemp("base") / family)
        config = Config(
            model=ModelConfig(family=family, backbone=str(base), lora=lora, max_length=64),
            routing=RoutingConfig("mh", heads=True),
        )
        network, tokenizer = build_network(config)
        written = Reading(Template(False, family is Family.ce, 64), TASK_NAMES).written()
        folders[family] = tmp_path_factory.mktemp("cell") / "model"
        save_network(network, tokenizer, ConfigFile(config), written, folders[family])
    return folders


def refused(folder: Path) -> str:
    """The one line with which a folder is refused."""
    with pytest.raises(UserError) as caught:
        Scorer(folder).probabilities(PAIRS)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700
    return str(caught.value)


def unsealed(folder: Path, place: Path) -> Path:
    """A copy as of somebody who seals nothing."""
    copytree(folder, place)
    (place / seal.INSIDE).unlink()
    return place


TORN = {
    "gone": lambda file: file.unlink(),
    "empty": lambda file: file.write_bytes(b""),
    "cut": lambda file: os.truncate(file, file.stat().st_size // 2),
    "object": lambda file: file.write_text("{}"),
    "list": lambda file: file.write_text("[]"),
    "deep": lambda file: file.write_text("[" * 20_000),
    "bytes": lambda file: file.write_bytes(b"\xff\xfe\0" * 50),
}
FILES = {
    "ce": ("config.yaml", "heads.safetensors", "template.json", "tokenizer/tokenizer.json", "trunk/config.json"),
    "llm": ("config.yaml", "trunk/backbone.txt", "trunk/adapter_model.safetensors"),
}


@pytest.mark.parametrize("torn", TORN)
@pytest.mark.parametrize(("family", "name"), [(family, name) for family, names in FILES.items() for name in names])
def test_a_torn_file(models, tmp_path, family, name, torn):
    for copied in (copytree, unsealed):
        folder = tmp_path / copied.__name__
        copied(models[family], folder)
        TORN[torn](folder / name)
        assert refused(folder)


def test_what_is_whole_loads_sealed_or_not(models, tmp_path):
    for family, folder in models.items():
        expected = Scorer(folder).probabilities(PAIRS)
        assert (Scorer(unsealed(folder, tmp_path / family)).probabilities(PAIRS) == expected).all()


def weights(change):
    def spoil(file: Path) -> None:
        tensors = load_file(file)
        change(tensors, min(tensors))
        save_file(tensors, file)

    return spoil


WEIGHTS = {
    "holds weights that are no finite numbers": (lambda w, name: w[name].view(-1)[:1].fill_(float("nan"))),
    "finite numbers; copy": (lambda w, name: w[name].fill_(-float("inf"))),
    "Missing key": (lambda w, name: w.pop(name)),
    "Unexpected key": (lambda w, _: w.update(other=torch.ones(2))),
    "numbers of another kind": (lambda w, name: w.update({name: w[name].int()})),
    "size mismatch": (lambda w, name: w.update({name: torch.ones(3, 5)})),
    "gives no probabilities for 1 of 1 rows": (lambda w, _: [tensor.fill_(3e38) for tensor in w.values()]),
}


@pytest.mark.parametrize("why", WEIGHTS)
@pytest.mark.parametrize("sealed", [True, False])
def test_weights(models, tmp_path, why, sealed):
    folder = unsealed(models["ce"], tmp_path / "model")
    weights(WEIGHTS[why])(folder / "heads.safetensors")
    if sealed:
        seal.write(folder, "model")
    assert why in refused(folder)


@pytest.mark.parametrize("name", ["lora_A", "lora_B"])
def test_an_adapter_that_lacks_weights(models, tmp_path, name):
    folder = unsealed(models["llm"], tmp_path / "model")
    drop = weights(lambda w, _: [w.pop(key) for key in list(w) if name in key][:0] or w.update(x=torch.ones(1)))
    drop(folder / "trunk" / "adapter_model.safetensors")
    assert refused(folder)


def put(key: str, value: object):
    return lambda file: file.write_text(json.dumps({**json.loads(file.read_text()), key: value}))


SETTINGS = [
    ("vocab_size", 10**12),
    ("vocab_size", 10**8),
    ("vocab_size", 2_000),
    ("num_hidden_layers", 10**9),
    ("num_hidden_layers", 100),
    ("hidden_size", 10**12),
    ("hidden_size", -4),
    ("hidden_size", "wide"),
    ("num_labels", 10**12),
    ("num_attention_heads", 0),
    ("max_position_embeddings", 10**12),
    ("model_type", 7),
    ("model_type", "gpt2"),
    ("id2label", 7),
]


@pytest.mark.parametrize(("key", "value"), SETTINGS)
def test_settings_of_a_trunk(models, backbones, tmp_path, key, value):
    folder = unsealed(models["ce"], tmp_path / "model")
    put(key, value)(folder / "trunk" / "config.json")
    refused(folder)


@pytest.mark.parametrize(("key", "value"), [setting for setting in SETTINGS if setting[1] not in (100, 2_000, 10**8)])
def test_settings_of_a_backbone(backbones, tmp_path, key, value):
    base = copytree(backbones["ce"], tmp_path / "base")
    put(key, value)(base / "config.json")
    model = ModelConfig(backbone=str(base), max_length=64)
    with pytest.raises(UserError, match=r"model\.backbone=") as caught:
        check_backbone(backbone_folder(Config(model=model)), model)
    assert "\n" not in str(caught.value)


READINGS = {
    "prefix": [1, True],
    "pair": [None],
    "max_length": [10**12, -1, True],
    "tasks": [[], ["x"], [[]], "query_item"],
    "line": [3],
    "other": [1],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in READINGS.items() for value in values])
def test_how_pairs_are_read(models, tmp_path, key, value):
    folder = unsealed(models["ce"], tmp_path / "model")
    put(key, value)(folder / "template.json")
    assert "pairs" in refused(folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("experiment: relevance", "experiment: !!python/object/apply:os.abort []"),
        ("experiment: relevance", "experiment: &a [1]\nlist: [*a, *a]"),
        ("  seed: 0", "  seed: ${oc.env:SECRET}"),
        ("  seed: 0", "  seed: ${nope:SECRET}"),
        ("max_length: 64", "max_length: 1000000000000"),
        ("r: 4", "r: 1000000000000"),
        ("    layers: 0", "    layers: 1000000000"),
        ("heads: true", "heads: false"),
        ("family: llm", "family: nope"),
        ("model:\n", "model: 7\nx:\n"),
    ],
)
def test_settings_of_a_cell(models, tmp_path, monkeypatch, old, new):
    monkeypatch.setenv("SECRET", SECRET)
    folder = unsealed(models["llm"], tmp_path / "model")
    text = (folder / "config.yaml").read_text()
    assert old in text
    (folder / "config.yaml").write_text(text.replace(old, new, 1))
    assert SECRET not in refused(folder)


@pytest.mark.parametrize("value", ["${oc.env:SECRET}", "evil/${oc.env:SECRET}", "${oc.decode:${oc.env:SECRET}}"])
def test_a_folder_is_told_nothing_of_its_readers_environment(models, tmp_path, monkeypatch, value):
    monkeypatch.setenv("SECRET", SECRET)
    folder = unsealed(models["llm"], tmp_path / "model")
    text = (folder / "config.yaml").read_text()
    named = text.replace("experiment: relevance", "experiment: '${oc.env:SECRET}'").replace("outputs: ", "outputs: x ")
    (folder / "config.yaml").write_text(named)
    assert SECRET not in str(Scorer(folder).config)
    base = next(line for line in text.splitlines() if line.strip().startswith("backbone: "))
    (folder / "config.yaml").write_text(text.replace(base, f"  backbone: '{value}'"))
    (folder / seal.INSIDE).unlink()
    assert SECRET not in refused(folder)


@pytest.mark.parametrize(
    ("key", "value"), [("model_max_length", "x"), ("tokenizer_class", 7), ("pad_token", 7), ("padding_side", "nope")]
)
def test_settings_of_a_tokenizer(models, tmp_path, key, value):
    folder = unsealed(models["ce"], tmp_path / "model")
    put(key, value)(folder / "tokenizer" / "tokenizer_config.json")
    refused(folder)
    with pytest.raises(UserError, match=str(folder)):
        export(folder, "query_item", "merged", tmp_path / "out")


def test_weights_without_a_logit_are_not_exported(models, tmp_path):
    folder = unsealed(models["ce"], tmp_path / "model")
    weights(lambda w, _: [tensor.fill_(3e38) for tensor in w.values()])(folder / "heads.safetensors")
    with pytest.raises(UserError, match="its logits differ by nan"):
        export(folder, "query_item", "merged", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [predict, exported])
def test_a_command_says_where_a_backbone_lies_now(models, tmp_path, monkeypatch, command):
    base = Path(Scorer(models["llm"]).config.model.backbone)
    (tmp_path / "in.csv").write_text("task,left,right\nquery_item,lamp,lamp\n")
    move(base, tmp_path / "moved")
    monkeypatch.setenv("RELEVANCE_BACKBONE", "")  # put back at the end
    cell = [f"cells={models['llm']}", f"input={tmp_path}/in.csv"] if command is predict else [f"cell={models['llm']}"]
    words = [*cell, f"output={tmp_path / 'out.csv'}"]
    try:
        monkeypatch.setattr(sys, "argv", ["", *words])
        with pytest.raises(UserError, match=r"no such folder.*backbone=FOLDER"):
            command()
        monkeypatch.setattr(sys, "argv", ["", *words, f"backbone={tmp_path / 'moved'}"])
        command()
        assert (tmp_path / "out.csv").exists()
    finally:
        move(tmp_path / "moved", base)


def test_a_backbone_that_moved(models, backbones, tmp_path, monkeypatch):
    folder = models["llm"]
    expected, base = Scorer(folder).probabilities(PAIRS), Path(Scorer(folder).config.model.backbone)
    moved = tmp_path / "elsewhere"
    move(base, moved)
    try:
        assert f"backbone={base}: no such folder; put it back, or say where it lies now" in refused(folder)
        other = copytree(moved, tmp_path / "other")
        (other / "config.json").write_text((other / "config.json").read_text() + "\n")
        monkeypatch.setenv("RELEVANCE_BACKBONE", str(other))
        assert f"backbone={other} is another" in refused(folder)
        monkeypatch.setenv("RELEVANCE_BACKBONE", f"{other}:{moved}")
        assert (Scorer(folder).probabilities(PAIRS) == expected).all()
    finally:
        move(moved, base)
    copytree(base, moved)
    try:
        put("num_hidden_layers", 1)(base / "config.json")
        assert (Scorer(folder).probabilities(PAIRS) == expected).all()
    finally:
        rmtree(base)
        move(moved, base)
