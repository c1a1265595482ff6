"""New heads: logits near zero, and a rate that follows the states they read."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from networks import MIXED, awake, batch
from torch.nn import functional

from relevance.config import Config, Family, LoraConfig, ModelConfig, RoutingConfig
from relevance.model.build import build_network
from relevance.model.network import SPREAD, output_layer, start_heads

MICRO = SimpleNamespace(inputs=batch(), slices=MIXED)


def network(backbones, kind: str):
    family = Family.llm if kind in ("llm", "gpt2") else Family.ce
    lora = LoraConfig(r=4 if family is Family.llm else 0)
    model = ModelConfig(kind, family, str(backbones[kind]), lora, max_length=64, head_lr=None, head_step=0.25)
    torch.manual_seed(0)
    return build_network(Config(model=model, routing=RoutingConfig("mh", heads=True)))[0], model


def read_states(net) -> torch.Tensor:
    """What the first task's output layer reads for its pooled token, seen by a hook: [rows, H]."""
    seen = []
    handle = output_layer(net.heads[0]).register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        hidden = net.eval().states(MICRO.inputs, MIXED)
        net.heads[0](hidden, MICRO.inputs["attention_mask"])
    handle.remove()
    states = seen[0]
    if states.dim() == 2:
        return states
    last = MICRO.inputs["attention_mask"].sum(1) - 1
    return states[torch.arange(len(states)), last]


@pytest.mark.parametrize("kind", ["ce", "bert", "llm", "gpt2"])
def test_the_rate_of_the_heads_follows_the_states_that_they_read(backbones, kind):
    net, model = network(backbones, kind)
    bias = output_layer(net.heads[0]).bias is not None
    norm = read_states(net).abs().sum(-1).mean().item() + bias
    assert start_heads(net, model, MICRO).head_lr == pytest.approx(0.25 / norm, rel=1e-2)


@pytest.mark.parametrize("kind", ["ce", "llm"])
def test_a_new_cell_starts_near_one_third_for_each_label_and_tells_pairs_apart(backbones, kind):
    net, model = network(backbones, kind)
    start_heads(awake(net), model, MICRO)
    logits = net.eval()(MICRO.inputs, [(0, 0, 6)])
    assert logits.square().mean().sqrt().item() == pytest.approx(SPREAD, rel=1e-3)
    assert functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0, 1, 2])).item() == pytest.approx(
        math.log(3), abs=0.1
    )


@pytest.mark.parametrize("kind", ["bert", "llm"])
def test_one_step_moves_a_logit_by_what_was_asked(backbones, kind):
    net, model = network(backbones, kind)
    rate = start_heads(net, model, MICRO).head_lr
    weights = [parameter for head in net.heads for parameter in output_layer(head).parameters()]
    optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=0.0)
    labels = torch.tensor([0, 0, 1, 1, 2, 2])  # those of a task alike: each pushes where its state points
    before = net.eval()(MICRO.inputs, MIXED)
    functional.cross_entropy(before, labels).backward()
    optimizer.step()
    moved = (net(MICRO.inputs, MIXED) - before).abs().max(dim=1).values
    assert 0.5 * model.head_step < moved.mean().item() < 1.5 * model.head_step


def test_a_rate_given_by_hand_stays(backbones):
    net, model = network(backbones, "ce")
    by_hand = replace(model, head_lr=2e-3, head_step=None)
    assert start_heads(net, by_hand, MICRO) == by_hand
