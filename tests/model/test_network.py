"""The network of a cell: heads as transformers has them, pooling, what trains, what is saved."""

import pytest
import torch
from networks import MIXED, awake, batch

from relevance.config import Config, Family, LoraConfig, ModelConfig, PrivateConfig, RoutingConfig
from relevance.config_io import ConfigFile
from relevance.errors import UserError
from relevance.model.build import build_network
from relevance.model.network import Network
from relevance.model.store import load_network, save_network
from relevance.tasks import TASK_NAMES

KINDS = ("llm", "ce", "bert")


def config(backbones, kind: str, routing: str = "mhp") -> Config:
    family = Family.llm if kind in ("llm", "gpt2") else Family.ce
    lora = LoraConfig(r=4 if kind == "llm" else 0)
    layers = 2 if routing == "mhp" else 0
    return Config(
        model=ModelConfig(name=kind, family=family, backbone=str(backbones[kind]), lora=lora, max_length=64),
        routing=RoutingConfig(routing, heads=routing != "none", private=PrivateConfig(layers=layers)),
    )


def network(backbones, kind: str, routing: str = "mhp") -> Network:
    torch.manual_seed(3)
    return build_network(config(backbones, kind, routing))[0].eval()


@pytest.mark.parametrize("kind", KINDS)
def test_private_layers_that_moved_change_the_logits(backbones, kind):
    net = awake(network(backbones, kind))
    swapped = [((task + 1) % len(TASK_NAMES), a, b) for task, a, b in MIXED]
    assert (net(batch(), MIXED) - net(batch(), MIXED, swapped)).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_gates_only_where_a_block_cannot_start_at_the_identity(backbones, kind):
    gates = network(backbones, kind).parts()["gates"]
    assert len(gates) == (2 * len(TASK_NAMES) if kind == "bert" else 0)


def test_a_decoder_pools_a_last_token_that_is_the_pad_token(backbones):
    net, whole = network(backbones, "llm", "none"), batch()
    pad = net.heads[0].pad
    before = net(whole, [(0, 0, 6)])
    whole["input_ids"][0, -1] = pad  # row 0 is full: its last real token now looks like padding
    after = net(whole, [(0, 0, 6)])
    short = {name: tensor[:1, :-1] for name, tensor in whole.items()}
    assert not torch.allclose(after[0], before[0], atol=1e-6)
    assert not torch.allclose(after[0], net(short, [(0, 0, 1)])[0], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_head_is_the_one_transformers_has_for_the_architecture(backbones, kind):
    from transformers import AutoModelForSequenceClassification

    net = network(backbones, kind, "none")
    theirs = AutoModelForSequenceClassification.from_pretrained(backbones[kind], num_labels=3).eval()
    theirs.load_state_dict(net.heads[0].classifier.state_dict(), strict=False)
    with torch.no_grad():
        assert torch.allclose(theirs(**batch()).logits, net(batch(), [(0, 0, 6)]), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("routing", ["none", "mh", "mhp"])
def test_saved_and_loaded_logits_are_equal(backbones, kind, routing, tmp_path):
    settings = config(backbones, kind, routing)
    net, tokenizer = build_network(settings)
    expected = awake(net.eval())(batch(), MIXED)
    save_network(net, tokenizer, ConfigFile(settings), {"prefix": False}, tmp_path)
    again, restored = load_network(tmp_path)
    assert torch.equal(again(batch(), MIXED), expected)
    assert restored == settings
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".bin", ".pt", ".pkl")]


def test_an_architecture_without_a_classifier_gets_a_plain_head_on_its_last_token(tmp_path):
    """OLMoE is a decoder for which transformers has no sequence classifier."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    from relevance.model.backbone import EMBEDDED

    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    made = AutoConfig.for_model("olmoe", vocab_size=4096, num_experts=4, num_experts_per_tok=2, pad_token_id=0, **sizes)
    AutoModel.from_config(made).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(EMBEDDED / "llm").save_pretrained(tmp_path)
    model = ModelConfig("llm", Family.llm, str(tmp_path), lora=LoraConfig(r=4, targets="attention"))
    net = build_network(Config(model=model, routing=RoutingConfig("mh", heads=True)))[0].eval()
    whole = batch()
    before = net(whole, MIXED)
    whole["input_ids"][1, 2] = 9  # the last of row 1, which is three tokens long
    changed = (net(whole, MIXED) - before).abs().amax(1) > 1e-6
    assert changed.tolist() == [False, True, False, False, False, False]


def test_lora_trains_adapters_heads_and_private_layers_only(backbones):
    net = network(backbones, "llm")
    assert not any(p.requires_grad for p in net.parts()["trunk"])
    assert all(p.requires_grad for part in ("adapters", "private", "heads") for p in net.parts()[part])


def test_build_leaves_dropout_on(backbones):
    assert all(module.training for module in build_network(config(backbones, "ce"))[0].modules())


def test_a_decoder_asked_for_as_ce_is_refused(backbones):
    wrong = config(backbones, "ce")
    wrong.model.backbone = str(backbones["llm"])
    with pytest.raises(UserError, match="is a decoder; use model=llm"):
        build_network(wrong)


def test_a_hub_id_without_a_hub_is_one_clear_line(backbones, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    wrong = config(backbones, "ce")
    wrong.model.backbone = "nobody/nothing"
    with pytest.raises(UserError, match=r"model\.backbone=nobody/nothing: neither a local folder") as error:
        build_network(wrong)
    assert "\n" not in str(error.value)


def test_a_folder_whose_weights_lack_the_backbone_is_refused(backbones, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    shutil.copytree(backbones["ce"], tmp_path / "torn")
    weights = load_file(tmp_path / "torn/model.safetensors")
    save_file({k: v for k, v in weights.items() if "layers.1" not in k}, tmp_path / "torn/model.safetensors")
    wrong = config(backbones, "ce")
    wrong.model.backbone = str(tmp_path / "torn")
    with pytest.raises(UserError, match="its weights lack"):
        build_network(wrong)
