"""Routing on real architectures: identity at the start, isolation of tasks, padding, saving."""

import pytest
import torch
from torch.nn import functional

from relevance.config import Config, Family, LoraConfig, ModelConfig, PrivateConfig, RoutingConfig
from relevance.errors import UserError
from relevance.model.build import build
from relevance.model.network import Network
from relevance.model.store import load, save
from relevance.tasks import TASK_NAMES

KINDS = ("llm", "ce", "bert")
MIXED = [
    (0, 0, 2),
    (3, 2, 4),
    (5, 4, 6),
]  # slices of equal size: a cut along the wrong dimension would go unseen


def config(backbones, kind: str, routing: str = "mhp") -> Config:
    family = Family.llm if kind in ("llm", "gpt2") else Family.ce
    lora = LoraConfig(r=4 if kind == "llm" else 0)
    layers = 2 if routing == "mhp" else 0
    return Config(
        model=ModelConfig(name=kind, family=family, backbone=str(backbones[kind]), lora=lora),
        routing=RoutingConfig(routing, heads=routing != "none", private=PrivateConfig(layers=layers)),
    )


def network(backbones, kind: str, routing: str = "mhp") -> Network:
    torch.manual_seed(3)
    return build(config(backbones, kind, routing))[0].eval()


def awake(net: Network) -> Network:
    """The same network with private layers, gates, heads and adapters that have moved from where they start."""
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.requires_grad:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return net


def batch(rows: int = 6, length: int = 6) -> dict[str, torch.Tensor]:
    """Rows of unequal length, as many rows as places: a cut of the wrong dimension would still fit."""
    generator = torch.Generator().manual_seed(7)
    ids = torch.randint(5, 200, (rows, length), generator=generator)
    mask = (torch.arange(length) < torch.tensor([6, 3, 5, 6, 2, 4])[:rows, None]).long()
    return {"input_ids": ids * mask, "attention_mask": mask}


@pytest.mark.parametrize("kind", KINDS)
def test_new_private_layers_leave_the_logits_of_mh_as_they_were(backbones, kind):
    without, inside = network(backbones, kind, "mh"), network(backbones, kind, "mhp")
    inside.heads.load_state_dict(without.heads.state_dict())
    assert torch.equal(without(batch(), MIXED), inside(batch(), MIXED))


@pytest.mark.parametrize("kind", KINDS)
def test_private_layers_that_moved_change_the_logits(backbones, kind):
    net = awake(network(backbones, kind))
    swapped = [((task + 1) % len(TASK_NAMES), a, b) for task, a, b in MIXED]
    assert (net(batch(), MIXED) - net(batch(), MIXED, swapped)).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_gates_only_where_a_block_cannot_start_at_the_identity(backbones, kind):
    gates = network(backbones, kind).parts()["gates"]
    assert len(gates) == (2 * len(TASK_NAMES) if kind == "bert" else 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_one_task_puts_no_gradient_into_another_task(backbones, kind):
    net = awake(network(backbones, kind))
    functional.cross_entropy(net(batch(), [(3, 0, 6)]), torch.tensor([0, 1, 2, 0, 1, 2])).backward()
    for task in range(len(TASK_NAMES)):
        own = [*net.heads[task].parameters(), *net.private.branches[task].parameters()]
        touched = [p.grad is not None and bool(p.grad.any()) for p in own]
        assert any(touched) == (task == 3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_does_not_feel_the_rows_beside_it(backbones, kind):
    net, whole = awake(network(backbones, kind)), batch()
    together = net(whole, MIXED)
    for task, a, b in MIXED:
        for row in range(a, b):
            alone = {name: tensor[row : row + 1] for name, tensor in whole.items()}
            assert torch.allclose(net(alone, [(task, 0, 1)])[0], together[row], atol=1e-5)


@pytest.mark.parametrize("kind", ["llm", "gpt2"])  # gpt2 has absolute positions: it errs unless the mask gives them
def test_a_decoder_does_not_feel_the_side_of_the_padding(backbones, kind):
    net, right = awake(network(backbones, kind)), batch()
    shifts = [int(n) for n in right["input_ids"].shape[1] - right["attention_mask"].sum(1)]
    left = {
        name: torch.stack([row.roll(by) for row, by in zip(tensor, shifts, strict=True)])
        for name, tensor in right.items()
    }
    assert not torch.equal(left["attention_mask"], right["attention_mask"])
    assert torch.allclose(net(left, MIXED), net(right, MIXED), atol=1e-5)


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
    net, tokenizer = build(settings)
    expected = awake(net.eval())(batch(), MIXED)
    save(net, tokenizer, settings, {"prefix": False}, tmp_path)
    again, restored = load(tmp_path)
    assert torch.equal(again(batch(), MIXED), expected)
    assert restored == settings
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".bin", ".pt", ".pkl")]


def test_lora_trains_adapters_heads_and_private_layers_only(backbones):
    net = network(backbones, "llm")
    assert not any(p.requires_grad for p in net.parts()["trunk"])
    assert all(p.requires_grad for part in ("adapters", "private", "heads") for p in net.parts()[part])


def test_build_leaves_dropout_on(backbones):
    assert all(module.training for module in build(config(backbones, "ce"))[0].modules())


def test_a_decoder_asked_for_as_ce_is_refused(backbones):
    wrong = config(backbones, "ce")
    wrong.model.backbone = str(backbones["llm"])
    with pytest.raises(UserError, match="is a decoder; use model=llm"):
        build(wrong)


def test_a_hub_id_without_a_hub_is_one_clear_line(backbones, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    wrong = config(backbones, "ce")
    wrong.model.backbone = "nobody/nothing"
    with pytest.raises(UserError, match=r"model\.backbone=nobody/nothing: neither a local folder") as error:
        build(wrong)
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
        build(wrong)
