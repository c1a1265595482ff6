"""Private layers and heads as one pass: what the passes of each task give, on the same weights."""

from pathlib import Path

import pytest
import torch
from grown import ALL, cell, loss, network, without_dropout
from networks import MIXED, awake, batch

from relevance.config import PrivateKind
from relevance.model import ahead, grouped
from relevance.model.network import Network
from tools.survey.architectures import ARCHITECTURES, small

LOOPED = {"deberta-v2", "opt"}  # their blocks flatten rows where a norm stands, or hold arguments of another form


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("small")
    return {kind: small(kind, root / kind) for kind in ARCHITECTURES}


def both_ways(net: Network, monkeypatch) -> list[tuple[torch.Tensor, list]]:
    """Logits and gradients of the loop, then of one pass."""
    results = []
    for as_one in (False, True):
        monkeypatch.setattr(ahead, "runs_ahead", lambda device, as_one=as_one: as_one)
        net.zero_grad()
        logits = net(batch(), MIXED)
        loss(logits).backward()
        results.append((logits.detach(), [parameter.grad for parameter in net.parameters()]))
    return results


@pytest.mark.parametrize("kind", [PrivateKind.inserted, PrivateKind.top])
@pytest.mark.parametrize("architecture", ALL)
def test_one_pass_gives_the_logits_and_gradients_of_the_loop(folders, architecture, kind, monkeypatch):
    monkeypatch.setattr(grouped, "ALIKE", 1e-4)
    net = awake(network(cell(folders, architecture, kind)))
    without_dropout(net.train())
    (logits, gradients), (same, others) = both_ways(net, monkeypatch)
    assert [part.possible for part in net.private.grouped] == [architecture not in LOOPED] * 2
    assert net.grouped.possible
    assert torch.allclose(logits, same, rtol=1e-5, atol=1e-6)
    for ours, theirs in zip(gradients, others, strict=True):
        assert (ours is None) == (theirs is None)
        assert ours is None or (ours - theirs).abs().max() <= 1e-6 + 1e-5 * ours.abs().max()


@pytest.mark.parametrize("architecture", ["llama", "bert"])
def test_one_pass_in_bfloat16_is_as_near_as_bfloat16_is(folders, architecture, monkeypatch):
    products = []
    multiply = torch.nn.functional.grouped_mm
    monkeypatch.setattr(
        torch.nn.functional, "grouped_mm", lambda *args, **at: products.append(1) or multiply(*args, **at)
    )
    net = awake(network(cell(folders, architecture, PrivateKind.inserted)))
    without_dropout(net.train())
    with torch.autocast("cpu", torch.bfloat16):
        (logits, gradients), (same, others) = both_ways(net, monkeypatch)
    assert products
    assert torch.allclose(logits, same, atol=0.02 * float(logits.abs().max()))
    ours, theirs = (torch.cat([g.flatten() for g in each if g is not None]) for each in (gradients, others))
    assert (ours - theirs).norm() < 0.05 * ours.norm()


def test_groups_of_any_size_meet_their_own_weights():
    rows = grouped.Rows([(4, 0, 1), (0, 1, 6), (2, 6, 8)], torch.device("cpu"))
    for out in (2, 40):  # every product and the row's own chosen; one product for each group
        layers = [torch.nn.Linear(8, out) for _ in range(6)]
        leaf, states = grouped.Leaf(layers), torch.randn(8, 3, 8)
        leaf.rows = rows
        apart = torch.cat([layers[4](states[:1]), layers[0](states[1:6]), layers[2](states[6:])])
        assert torch.allclose(leaf(states), apart, atol=1e-6)
        assert torch.allclose(leaf(states.flatten(0, 1)), apart.flatten(0, 1), atol=1e-6)
