"""trainer.precision=bf16-true: what is frozen is rounded, what adapts it and the heads are not."""

from dataclasses import replace

import pytest
import torch
from networks import MIXED as MIXED_ROWS
from networks import batch
from torch.nn import functional

from relevance.config import (
    HALF,
    MIXED,
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
from tools.benchmarks.counted import Counter

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
        functional.cross_entropy(network(batch(), MIXED_ROWS), torch.tensor([0, 1, 2, 0, 1, 2])).backward()
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
        assert torch.equal(again(batch(), MIXED_ROWS), network.eval()(batch(), MIXED_ROWS))


@pytest.mark.parametrize("kind", ["inserted", "top", "lora", ""])
def test_under_bf16_mixed_only_what_is_frozen_is_rounded_and_private_states_are_not(backbones, kind):
    config = half(backbones, "llm", kind)
    config = replace(config, trainer=TrainerConfig(precision=MIXED))
    network, _ = build_network(config)
    kinds = {(weight.requires_grad, weight.dtype) for weight in network.parameters()}
    assert kinds == {(True, torch.float32), (False, torch.bfloat16)}
    states = []
    for branch in network.private.branches if kind in ("inserted", "top") else []:
        branch[0].register_forward_hook(lambda _, args, output: states.append(output))
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(batch(), MIXED_ROWS)
    logits.sum().backward()
    assert logits.dtype is torch.float32
    assert {(state[0] if isinstance(state, tuple) else state).dtype for state in states} <= {torch.float32}
    whole, _ = build_network(replace(config, model=replace(config.model, frozen_float32=True)))
    assert {weight.dtype for weight in whole.parameters()} == {torch.float32}


def test_a_trunk_in_bfloat16_casts_no_frozen_weight(backbones):
    counted = []
    for frozen_float32 in (True, False):
        config = half(backbones, "llm")
        config = replace(config, trainer=TrainerConfig(precision=MIXED))
        network, _ = build_network(replace(config, model=replace(config.model, frozen_float32=frozen_float32)))
        frozen = [weight for weight in network.parameters() if not weight.requires_grad]
        with torch.autocast("cpu", torch.bfloat16), Counter(frozen) as counter:
            network(batch(), MIXED_ROWS)
        counted.append(counter.cast)
    assert counted[0] > 0 == counted[1]
