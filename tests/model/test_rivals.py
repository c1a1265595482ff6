"""Soft prompts and task matrices on twenty architectures: positions, masks, isolated gradients, save and reload."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from grown import ALL, built, cell, gradients, loss, rows
from networks import LENGTHS, MIXED, awake, batch
from torch.nn import functional

from relevance.config import Config, PromptConfig, RoutingConfig
from relevance.config_io import ConfigFile
from relevance.errors import UserError
from relevance.model.build import build_network
from relevance.model.module import RelevanceModule
from relevance.model.store import load_network, save_network
from tools.survey.architectures import ARCHITECTURES, DECODERS, small

K = 3
SOFT_PROMPT = RoutingConfig("soft_prompt", prompt=PromptConfig(K))
MTL_LORA = RoutingConfig("mtl_lora", heads=True, task_matrix=True)
BOTH = [(SOFT_PROMPT, name) for name in ALL] + [(MTL_LORA, name) for name in DECODERS]
EACH = pytest.mark.parametrize(("routing", "architecture"), BOTH, ids=[f"{r.name}-{name}" for r, name in BOTH])


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("small")
    return {kind: small(kind, root / kind) for kind in ARCHITECTURES}


def config(folders, architecture: str, routing: RoutingConfig) -> Config:
    settings = cell(folders, architecture, None)
    return replace(settings, model=replace(settings.model, max_length=64), routing=routing)


@EACH
def test_a_task_learns_in_its_own_weights_alone_and_rows_do_not_feel_each_other(folders, routing, architecture):
    net = awake(built(config(folders, architecture, routing))[0])
    with torch.no_grad():
        together = net(batch(), MIXED)
        alone = [net(rows(r, r + 1), [(task, 0, 1)]) for task, a, b in MIXED for r in range(a, b)]
        moved = net(batch(), MIXED, [((task + 1) % 6, a, b) for task, a, b in MIXED])
    assert (torch.cat(alone) - together).abs().max() <= 1e-5
    assert ((moved - together).abs().amax(1) > 1e-6).all()
    loss(net(batch(), [(3, 0, 6)])).backward()
    assert [bool(gradients(net.private.branches[task]).any()) for task in range(6)] == [task == 3 for task in range(6)]
    absent = [p.grad for task in (0, 1, 2, 4, 5) for p in net.private.branches[task].parameters()]
    assert absent == [None] * len(absent)  # AdamW would let zeros decay


@pytest.mark.parametrize("architecture", ALL)
def test_a_prompt_of_embedded_words_is_those_words_in_front_of_the_text(folders, architecture):
    """Positions and masks of the text are those of a text that begins with the words themselves."""
    net = built(config(folders, architecture, SOFT_PROMPT))[0]
    words = torch.tensor([7, 21, 9])
    plain = built(config(folders, architecture, RoutingConfig("none")))[0]
    with torch.no_grad():
        vectors = plain.trunk.get_input_embeddings()(words)
        net.private.branches[0][0].vectors.copy_(vectors)
        ids = torch.cat([words.expand(len(LENGTHS), -1), batch()["input_ids"]], 1)
        mask = functional.pad(batch()["attention_mask"], (K, 0), value=1)
        theirs = plain.states({"input_ids": ids, "attention_mask": mask}, [(0, 0, 6)])[:, K:]
        ours = net.states(batch(), [(0, 0, 6)])
    real = batch()["attention_mask"].bool()
    assert ours.shape == theirs.shape
    assert (ours - theirs)[real].abs().max() <= 1e-5 * theirs.abs().max()


@pytest.mark.parametrize("architecture", DECODERS)
def test_task_matrices_start_as_the_plain_adapter(folders, architecture):
    plain = built(config(folders, architecture, RoutingConfig("mh", heads=True)))[0]
    net = built(config(folders, architecture, MTL_LORA))[0]
    with torch.no_grad():
        for other in (plain, net):
            torch.manual_seed(1)
            for name, parameter in other.trunk.named_parameters():
                if "lora_B" in name:
                    parameter.copy_(0.2 * torch.randn_like(parameter))
    net.heads.load_state_dict(plain.heads.state_dict())
    adapters = {name: tensor for name, tensor in plain.trunk.state_dict().items() if "lora_" in name}
    net.trunk.load_state_dict(adapters, strict=False)
    assert torch.allclose(net(batch(), MIXED), plain(batch(), MIXED), atol=1e-6)


@pytest.mark.parametrize(
    ("routing", "architecture"),
    [(SOFT_PROMPT, "bert"), (SOFT_PROMPT, "qwen2"), (MTL_LORA, "gpt2"), (MTL_LORA, "llama")],
)
def test_saved_and_loaded_logits_are_equal(folders, routing, architecture, tmp_path):
    settings = config(folders, architecture, routing)
    net, tokenizer = build_network(settings)
    expected = awake(net.eval())(batch(), MIXED)
    save_network(net, tokenizer, ConfigFile(settings), {"prefix": False}, tmp_path)
    again, restored = load_network(tmp_path)
    assert torch.equal(again(batch(), MIXED), expected)
    assert restored == settings


def test_a_folder_that_says_another_number_of_vectors_is_refused_before_they_take_memory(folders, tmp_path):
    settings = config(folders, "bert", SOFT_PROMPT)
    net, tokenizer = build_network(settings)
    many = replace(settings, routing=replace(SOFT_PROMPT, prompt=PromptConfig(10**9)))
    save_network(net, tokenizer, ConfigFile(many), {"prefix": False}, tmp_path)
    with pytest.raises(UserError, match=r"routing\.prompt\.k=1000000000: private\.safetensors holds another number"):
        load_network(tmp_path)


def test_prompts_learn_at_the_private_rate_and_matrices_at_that_of_the_adapters(folders):
    for routing, name in ((SOFT_PROMPT, "private_lr"), (MTL_LORA, "lr")):
        settings = config(folders, "llama", routing)
        settings.model.lr, settings.model.private_lr, settings.model.head_lr = 1e-3, 2e-3, 3e-3
        module = RelevanceModule(build_network(settings)[0], settings)
        own = {id(p) for p in module.network.private.parameters()}
        rates = {group["lr"] for group in module.groups() for p in group["params"] if id(p) in own}
        assert rates == {getattr(settings.model, name)}


def test_more_vectors_than_the_backbone_has_places_left_are_refused(folders):
    settings = config(folders, "bert", replace(SOFT_PROMPT, prompt=PromptConfig(10)))
    most = built(settings)[0].trunk.config.max_position_embeddings
    settings.model.max_length = most - 9
    with pytest.raises(UserError, match="cannot read as many tokens"):
        build_network(settings)
    settings.model.max_length = most - 10
    build_network(settings)
