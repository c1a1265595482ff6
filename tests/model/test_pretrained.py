"""Unsupported backbones are rejected before anything trains, with the reason and the remedy."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from relevance.config import Config, Family, LoraConfig, ModelConfig, PrivateConfig, PrivateKind, RoutingConfig, Save
from relevance.errors import UserError
from relevance.model.backbone import EMBEDDED
from relevance.model.build import build_network
from relevance.model.pretrained import check_backbone
from tools.survey.architectures import small


def model(folder: Path, family: str = "ce", **changes) -> ModelConfig:
    lora = LoraConfig(r=4 if family == "llm" else 0)
    return replace(ModelConfig(name=family, family=Family(family), backbone=str(folder), lora=lora), **changes)


def odd(folder: Path, kind: str, **changes) -> Path:
    """A folder whose config says it is of another kind; its weights and tokenizer are those of ce."""
    shutil.copytree(EMBEDDED / "ce", folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": kind, "auto_map": {}, **changes}))
    return folder


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("t5", r"t5 is an encoder-decoder, which is not supported; choose an encoder \(model=ce\) or a decoder"),
        ("vit", r"vit is no model of text; choose an encoder \(model=ce\) or a decoder"),
        ("never_heard_of", "no config that transformers reads .*; choose another, or model.trust_remote_code=true"),
    ],
)
def test_a_config_of_no_use_is_refused(tmp_path, kind, said):
    folder = odd(tmp_path / kind, kind)
    with pytest.raises(UserError, match=said) as error:
        check_backbone(folder, model(folder))
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "family", "said"),
    [
        ("llm", "ce", "model=ce model.backbone=.*: llama is a decoder; use model=llm"),
        ("ce", "llm", "model=llm model.backbone=.*: eurobert is an encoder; use model=ce"),
    ],
)
def test_the_family_is_read_from_the_config(name, family, said):
    with pytest.raises(UserError, match=said):
        check_backbone(EMBEDDED / name, model(EMBEDDED / name, family))
    check_backbone(EMBEDDED / name, model(EMBEDDED / name, name))


def test_a_decoder_asked_for_as_ce_is_refused_before_any_cell_trains(place, backbones):
    from small_sweep import runs, sweep

    wrong = place("ce")
    wrong = replace(wrong, model=replace(wrong.model, backbone=str(backbones["llm"])))
    with pytest.raises(UserError, match="is a decoder; use model=llm"):
        sweep(wrong)
    assert runs(wrong) == []


def test_a_tokenizer_with_more_words_than_the_backbone_is_refused_before_it_trains(tmp_path):
    folder = small("bert", tmp_path / "bert", vocab_size=1000)
    with pytest.raises(UserError, match=r"up to 4,095, its embeddings end at 999; put the tokenizer it was trained"):
        check_backbone(folder, model(folder))


def test_a_special_token_that_no_text_holds_may_lie_beyond_the_embeddings(tmp_path):
    """As Gemma 3's token of images does in its text models."""
    from transformers import AutoTokenizer

    folder = small("qwen3", tmp_path / "qwen3")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<image>"], special_tokens=True)
    tokenizer.save_pretrained(folder)
    check_backbone(folder, model(folder, "llm"))
    tokenizer.add_tokens(["lampshade"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(UserError, match="its embeddings end at"):
        check_backbone(folder, model(folder, "llm"))


def test_a_tokenizer_with_nothing_to_pad_with_is_refused_and_one_with_an_end_token_is_not(tmp_path, backbones):
    shutil.copytree(backbones["gpt2"], tmp_path / "gpt2")
    told = tmp_path / "gpt2" / "tokenizer_config.json"
    words = json.loads(told.read_text())
    del words["pad_token"]
    told.write_text(json.dumps(words))
    check_backbone(tmp_path / "gpt2", model(tmp_path / "gpt2", "llm"))
    del words["eos_token"]
    told.write_text(json.dumps(words))
    with pytest.raises(UserError, match="neither a pad nor an eos token to pad with; set pad_token in"):
        check_backbone(tmp_path / "gpt2", model(tmp_path / "gpt2", "llm"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"tokenizer.json": "{"},
            "no tokenizer that transformers reads .*; put the files of the one it was trained with",
        ),
        (
            {"tokenizer.json": None, "tokenizer_config.json": None},
            r"knows 0 of 13 common words; put the files of the tok",
        ),
    ],
)
def test_a_tokenizer_that_cannot_be_read_or_knows_no_word_is_refused(tmp_path, backbones, changes, said):
    """transformers makes an empty one of no files, and every text is the same to it."""
    folder = shutil.copytree(backbones["bert"], tmp_path / "bert")
    for name, text in changes.items():
        (folder / name).unlink() if text is None else (folder / name).write_text(text)
    with pytest.raises(UserError, match=f"model.backbone={folder}: .*{said}") as error:
        check_backbone(folder, model(folder))
    assert "\n" not in str(error.value)


def test_layers_that_share_one_block_are_refused_with_what_was_asked(tmp_path):
    """ALBERT runs one block many times and pools by a bare linear layer."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    config = AutoConfig.for_model(
        "albert", vocab_size=4096, hidden_size=32, embedding_size=16, num_attention_heads=4, intermediate_size=64
    )
    AutoModel.from_config(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(EMBEDDED / "ce").save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"albert cannot run routing=mh .*; choose another routing or backbone"):
        build_network(Config(model=model(tmp_path), routing=RoutingConfig("mh", heads=True)))


@pytest.mark.parametrize(
    ("name", "kind", "layers", "most"), [("ce", "top", 5, 4), ("llm", "lora", 4, 3), ("llm", "top", 4, 3)]
)
def test_more_private_layers_than_the_backbone_has_blocks_are_refused(name, kind, layers, most):
    routing = RoutingConfig("mhp", heads=True, private=PrivateConfig(PrivateKind(kind), layers))
    with pytest.raises(UserError, match=f"kind={kind} takes blocks of the backbone, which has 4; give at most {most}"):
        build_network(Config(model=model(EMBEDDED / name, name), routing=routing))


def test_four_bits_are_refused_where_they_cannot_be_had(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match=r"load_in_4bit=true: needs .*a CUDA device; leave it out"):
        check_backbone(EMBEDDED / "llm", model(EMBEDDED / "llm", "llm", load_in_4bit=True))


@pytest.mark.parametrize("switch", ["use_dora", "use_rslora"])
def test_switches_of_lora_reach_peft_and_survive_a_save(tmp_path, switch):
    from relevance.config_io import ConfigFile
    from relevance.model.store import load_network, save_network

    config = Config(model=model(EMBEDDED / "llm", "llm"), routing=RoutingConfig("mh", heads=True))
    config.model.lora = LoraConfig(r=4, targets="attention", **{switch: True})
    network, tokenizer = build_network(config)
    assert getattr(network.trunk.peft_config["default"], switch) is True
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    ids = torch.arange(5, 15)[None]
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    save_network(network.eval(), tokenizer, ConfigFile(config), {}, tmp_path)
    assert torch.equal(load_network(tmp_path)[0](inputs, [(2, 0, 1)]), network(inputs, [(2, 0, 1)]))


def test_a_backbone_that_changed_under_its_adapter_is_told(tmp_path, backbones):
    from relevance.config_io import ConfigFile
    from relevance.model.store import load_network, save_network

    shutil.copytree(backbones["llm"], tmp_path / "backbone")
    config = Config(model=model(tmp_path / "backbone", "llm"), routing=RoutingConfig("mh", heads=True))
    network, tokenizer = build_network(config)
    save_network(network, tokenizer, ConfigFile(config), {}, tmp_path / "model")
    load_network(tmp_path / "model")
    with (tmp_path / "backbone" / "config.json").open("a") as file:
        file.write("\n")
    with pytest.raises(UserError, match=r"another model\.backbone=.* than lies there now .*; put the old one back"):
        load_network(tmp_path / "model")


def test_heads_and_logits_are_float32_whatever_the_rest_computes_in():
    network = build_network(Config(model=model(EMBEDDED / "ce"), routing=RoutingConfig("mh", heads=True)))[0].eval()
    ids = torch.arange(5, 15)[None]
    seen = []
    network.heads[0].register_forward_pre_hook(lambda _, args: seen.append(args[0].dtype))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        logits = network({"input_ids": ids, "attention_mask": torch.ones_like(ids)}, [(0, 0, 1)])
    assert logits.dtype is torch.float32
    assert seen == [torch.float32]
    assert not torch.equal(logits, logits.bfloat16().float())


def test_half_precision_rounds_weights_and_no_rotary_frequency():
    network = build_network(Config(model=model(EMBEDDED / "ce"), routing=RoutingConfig("mh", heads=True)))[0]
    before = {name: buffer.clone() for name, buffer in network.named_buffers() if "inv_freq" in name}
    network.halve()
    assert before
    assert all(torch.equal(dict(network.named_buffers())[name], buffer) for name, buffer in before.items())
    assert {p.dtype for p in network.trunk.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in network.heads.parameters()} == {torch.float32}


@pytest.mark.parametrize("precision", ["bf16-true", "bf16-mixed"])
def test_a_cell_in_half_precision_keeps_its_heads_in_float32(place, precision):
    """Whole cells on the CPU: the saved heads hold numbers bfloat16 cannot."""
    from safetensors.torch import load_file
    from small_sweep import record, sweep

    config = place("llm", "mhp")
    half = replace(config, probes=False, save=Save.all, trainer=replace(config.trainer, precision=precision))
    assert sweep(half) == 0
    heads = load_file(record(half).cells[0].folder / "model" / "heads.safetensors").values()
    assert all(tensor.dtype is torch.float32 for tensor in heads)
    assert any(not torch.equal(tensor, tensor.bfloat16().float()) for tensor in heads)
