"""trainer.precision=bf16-true: what is frozen is rounded, what adapts it and the heads are not."""

import pytest
import torch
from networks import MIXED, batch
from torch.nn import functional

from relevance.config import (
    HALF,
    Config,
    Family,
    LoraConfig,
    ModelConfig,
    PrivateConfig,
    PrivateKind,
    RoutingConfig,
    TrainerConfig,
)
from relevance.config_io import ConfigFile
from relevance.model.build import build_network
from relevance.model.module import RelevanceModule
from relevance.model.store import load_network, save_network

RATE = 1e-4
KINDS = {
    "plain": {},
    "dora": {"use_dora": True},
    "rslora": {"use_rslora": True},
    "checkpointed": {"gradient_checkpointing": True},
    "own": {"private": "lora"},
    "blocks": {"private": "inserted"},
}


def half(backbones, model: str, private: str = "", gradient_checkpointing: bool = False, **lora) -> Config:
    """A cell of a decoder whose steps are of RATE."""
    own = PrivateConfig(PrivateKind(private), 1) if private else PrivateConfig()
    return Config(
        model=ModelConfig(
            family=Family.llm,
            backbone=str(backbones[model]),
            lora=LoraConfig(r=4, **lora),
            max_length=64,
            lr=RATE,
            gradient_checkpointing=gradient_checkpointing,
        ),
        routing=RoutingConfig("mhp", heads=True, private=own),
        trainer=TrainerConfig(precision=HALF),
    )


def trained(config: Config, steps: int = 6):
    """The network after a few steps, its tokenizer, and of each weight where it started and where it had gradients."""
    torch.manual_seed(0)
    network, tokenizer = build_network(config)
    optimizer = torch.optim.AdamW(RelevanceModule(network, config).groups(), fused=True)
    start = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    pulled = {name: torch.zeros_like(weight, dtype=torch.bool) for name, weight in start.items()}
    for _ in range(steps):
        optimizer.zero_grad()
        functional.cross_entropy(network(batch(), MIXED), torch.tensor([0, 1, 2, 0, 1, 2])).backward()
        for name, weight in network.named_parameters():
            if weight.grad is not None:
                pulled[name] |= weight.grad != 0
        optimizer.step()
    return network, tokenizer, start, pulled


@pytest.mark.parametrize("model", ["llm", "gpt2"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_of_an_adapter_that_has_a_gradient_moves(backbones, tmp_path, model, kind):
    config = half(backbones, model, **KINDS[kind])
    network, tokenizer, start, pulled = trained(config)
    parts = network.parts()
    adapters = parts["adapters"] + (parts["private"] if kind == "own" else [])
    assert {weight.dtype for weight in adapters + parts["heads"]} == {torch.float32}
    rounded = parts["trunk"] + (parts["private"] if kind == "blocks" else [])
    assert {weight.dtype for weight in rounded} == {torch.bfloat16}
    names = {id(weight): name for name, weight in network.named_parameters()}
    for weight in adapters:
        name = names[id(weight)]
        still = (weight == start[name]) & pulled[name]
        assert not still.any(), f"{name}: {still.float().mean():.0%} of its weights never moved"
    assert sum(pulled[names[id(weight)]].any() for weight in adapters) > len(adapters) / 2
    save_network(network, tokenizer, ConfigFile(config), {}, tmp_path / "model")
    again, _ = load_network(tmp_path / "model")
    with torch.no_grad():
        assert torch.equal(again(batch(), MIXED), network.eval()(batch(), MIXED))
