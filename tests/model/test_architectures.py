"""Architectures under every kind of private layers: what each must guarantee, on random weights made strong.

A test runs one architecture through all kinds: making the networks is what takes the time.
"""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from grown import ALL, built, cell, gradients, kinds, loss, network, rows, without_dropout
from networks import LENGTHS, MIXED, awake, batch

from relevance.config import PrivateKind
from relevance.config_io import ConfigFile
from relevance.model.build import build_network
from relevance.model.network import Network
from relevance.model.private import inserted
from relevance.model.store import load_network, save_network
from tools.survey.architectures import ARCHITECTURES, DECODERS, small


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("small")
    return {kind: small(kind, root / kind) for kind in ARCHITECTURES}


@pytest.mark.parametrize("architecture", ALL)
def test_private_layers_start_as_if_they_were_not_there(folders, architecture):
    plain = built(cell(folders, architecture, None))[0]
    for kind in kinds(architecture):
        net = built(cell(folders, architecture, kind))[0]
        net.heads.load_state_dict(plain.heads.state_dict())
        assert torch.equal(net(batch(), MIXED), plain(batch(), MIXED)), kind


@pytest.mark.parametrize("architecture", ALL)
def test_new_private_layers_leave_the_identity_gently(folders, architecture):
    """A step of a ten-thousandth: a norm behind what was silenced would make a whole block's output of it."""
    net = built(cell(folders, architecture, "inserted"))[0]
    before = net(batch(), MIXED)
    with torch.no_grad():
        for parameter in net.private.parameters():
            parameter.add_(1e-4 * torch.randn_like(parameter))
    assert 0 < (net(batch(), MIXED) - before).norm() < 0.05 * before.norm()


@pytest.mark.parametrize("architecture", ALL)
def test_one_task_puts_no_gradient_into_another_tasks_branch(folders, architecture):
    for kind in kinds(architecture):
        net = awake(built(cell(folders, architecture, kind))[0])
        loss(net(batch(), [(3, 0, 6)])).backward()
        for task in range(6):
            assert bool(gradients(net.heads[task]).any()) == (task == 3), kind
            if kind != "shared":
                assert bool(gradients(net.private.branches[task]).any()) == (task == 3), kind


@pytest.mark.parametrize("architecture", ALL)
def test_a_row_feels_neither_the_rows_beside_it_nor_another_cut(folders, architecture):
    for kind in kinds(architecture):
        net = awake(built(cell(folders, architecture, kind))[0])
        with torch.no_grad():
            together = net(batch(), MIXED)
            alone = [net(rows(r, r + 1), [(task, 0, 1)]) for task, a, b in MIXED for r in range(a, b)]
            short = net(rows(4, 6), [(5, 0, 2)])  # the same rows beside others, in a slice of the same size
        assert (torch.cat(alone) - together).abs().max() <= 1e-5, kind
        assert (short - together[4:]).abs().max() <= 1e-5, kind
        assert together.std(0).min() > 1e-2  # logits that are all alike would show nothing


@pytest.mark.parametrize("kind", [None, "inserted", "top", "lora"])
def test_what_holds_an_entry_per_head_is_not_cut_by_rows(tmp_path, kind):
    """MPT hands its blocks a bias [heads, 1, T]: four heads, four rows."""
    folder = small("mpt", tmp_path, d_model=32, n_heads=4, n_layers=3, max_seq_len=130, expansion_ratio=2)
    net = awake(network(cell({"mpt": folder}, "mpt", kind)))
    slices = [(0, 0, 1), (1, 1, 2), (2, 2, 4)]
    with torch.no_grad():
        together = net(rows(0, 4), slices)
        alone = [net(rows(r, r + 1), [(task, 0, 1)]) for task, a, b in slices for r in range(a, b)]
    assert (torch.cat(alone) - together).abs().max() <= 1e-5


def test_a_deep_copy_of_adapters_per_task_is_its_own(folders):
    net = awake(network(cell(folders, "qwen3", "lora")))
    other = copy.deepcopy(net)
    expected = other(batch(), MIXED)
    for parameter in net.parameters():
        torch.nn.init.zeros_(parameter)
    assert torch.equal(other(batch(), MIXED), expected)


def test_gates_of_a_saved_cell_are_those_it_was_trained_with(folders, tmp_path, monkeypatch):
    """Whatever the random weights of a trunk would say before its own are loaded."""
    settings = cell(folders, "modernbert", "inserted")
    for gates in (False, True):
        monkeypatch.setattr(inserted, "starts_at_identity", lambda *_, gates=gates: not gates)
        net, tokenizer = build_network(settings)
        expected = awake(net.eval())(batch(), MIXED)
        save_network(net, tokenizer, ConfigFile(settings), {}, tmp_path / str(gates))
        monkeypatch.setattr(inserted, "starts_at_identity", lambda *_: pytest.fail("asked again"))
        assert torch.equal(load_network(tmp_path / str(gates))[0](batch(), MIXED), expected)


@pytest.mark.parametrize("architecture", [name for name in ALL if name in DECODERS])
def test_a_decoder_does_not_feel_the_side_of_the_padding(folders, architecture):
    shifts = [max(LENGTHS) - length for length in LENGTHS]
    left = {
        name: torch.stack([row.roll(by) for row, by in zip(tensor, shifts, strict=True)])
        for name, tensor in batch().items()
    }
    for kind in (None, *kinds(architecture)):
        net = awake(built(cell(folders, architecture, kind))[0])
        with torch.no_grad():
            assert (net(left, MIXED) - net(batch(), MIXED)).abs().max() <= 1e-5, kind


@pytest.mark.parametrize("architecture", [name for name in ALL if name in DECODERS])
def test_a_decoder_is_pooled_at_its_last_real_token(folders, architecture):
    net = awake(built(cell(folders, architecture, None))[0])
    with torch.no_grad():
        positions = (batch()["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        states = net.trunk(**batch(), position_ids=positions, use_cache=False).last_hidden_state
        last = torch.stack([state[length - 1] for state, length in zip(states, LENGTHS, strict=True)])
        head = net.heads[0]
        expected = head(last[:, None], torch.ones(6, 1, dtype=torch.long))
        assert torch.allclose(head(states, batch()["attention_mask"]), expected, atol=1e-6)


@pytest.mark.parametrize("architecture", ALL)
def test_saved_and_loaded_the_logits_are_equal(folders, architecture, tmp_path):
    for kind in (None, *kinds(architecture)):
        settings = cell(folders, architecture, kind)
        net, tokenizer = built(settings)
        expected = awake(net)(batch(), MIXED)
        save_network(net, tokenizer, ConfigFile(settings), {}, tmp_path / str(kind))
        again, _ = load_network(tmp_path / str(kind))
        assert torch.equal(again(batch(), MIXED), expected), kind


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("architecture", ["qwen3", "gpt2", "gemma2", "bert", "modernbert"])
def test_gradients_in_a_mixed_batch_are_those_of_a_batch_of_its_own(folders, architecture, checkpointing):
    for kind in kinds(architecture):
        settings = cell(folders, architecture, kind)
        model = replace(settings.model, gradient_checkpointing=checkpointing)
        net = awake(network(replace(settings, model=model)))
        without_dropout(net.train())  # checkpointing works in training only
        loss(net(batch(), MIXED)).backward()
        mixed = [gradients(branch) for branch in net.private.branches]
        for task, a, b in MIXED if kind != "shared" else []:
            net.zero_grad()
            loss(net(rows(a, b), [(task, 0, b - a)]), a).backward()
            alone = gradients(net.private.branches[task])
            assert alone.any()
            assert torch.allclose(mixed[task], alone, rtol=1e-4, atol=1e-5 * float(alone.abs().max())), kind


@pytest.mark.parametrize("kind", list(PrivateKind))
def test_checkpointing_changes_no_gradient(folders, kind):
    found = []
    for checkpointing in (False, True):
        settings = cell(folders, "qwen3", kind)
        net = awake(network(replace(settings, model=replace(settings.model, gradient_checkpointing=checkpointing))))
        calls = count_calls(net.train())
        loss(net(batch(), MIXED)).backward()
        found.append((gradients(net), len(calls)))
    assert torch.allclose(found[0][0], found[1][0], rtol=1e-5, atol=1e-6)
    assert found[1][1] == 2 * found[0][1]  # or nothing was computed again


def count_calls(net: Network) -> list[int]:
    """One entry for each time the trunk's first block computes."""
    calls: list[int] = []
    net.trunk.get_base_model().layers[0].self_attn.register_forward_pre_hook(lambda *_: calls.append(1))
    return calls


@pytest.mark.parametrize("kind", list(PrivateKind))
def test_the_trunk_runs_once_and_each_row_passes_one_branch(folders, kind):
    net = network(cell(folders, "qwen3", kind))
    calls, passed = count_calls(net), []
    for task, branch in enumerate(net.private.branches):
        first = branch[0]
        first.register_forward_pre_hook(
            lambda module, args, kwargs, task=task: passed.append(
                (task, len(args[0] if args else kwargs["hidden_states"]))
            ),
            with_kwargs=True,
        )
    net(batch(), MIXED)
    assert len(calls) == 1
    assert passed == ([(0, 6)] if kind == "shared" else [(0, 2), (3, 2), (5, 2)])


@pytest.mark.parametrize("architecture", ALL)
def test_what_private_layers_add(folders, architecture):
    """No frozen weight twice: `lora` adds adapters alone, `top` the copies, `shared` a sixth of `inserted`."""
    plain = cell(folders, architecture, None)
    sizes = {kind: built(cell(folders, architecture, kind))[0].sizes() for kind in kinds(architecture)}
    trunk = built(plain)[0].sizes()["trunk"][1]
    added = {kind: size["private"][1] + size["gates"][1] for kind, size in sizes.items()}
    assert added["inserted"] == 6 * added["shared"]
    assert sizes["inserted"]["trunk"][1] == trunk
    assert sizes["top"]["trunk"][1] + added["top"] // 6 == trunk
    if "lora" in sizes:
        assert sizes["lora"]["trunk"] == (0, trunk)
        assert added["lora"] < added["shared"] * 3
