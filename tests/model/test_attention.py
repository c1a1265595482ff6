"""model.attention and model.pooling: which tokens a state is of, and which states the heads read."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from grown import ALL, cell, kinds, network, rows
from networks import LENGTHS, MIXED, awake, batch

from relevance.config import Attention, Config, Pooling, PrivateKind
from relevance.config_io import ConfigFile
from relevance.errors import UserError
from relevance.model.architectures import BIDIRECTIONAL
from relevance.model.build import TRIAL_LENGTHS, build_network, example, try_attention
from relevance.model.network import Network
from relevance.model.pretrained import check_backbone
from relevance.model.store import load_network, save_network
from tools.survey.architectures import ARCHITECTURES, DECODERS, small

PAIRED = ("llama", "qwen3", "modernbert-decoder")  # the embedded decoders' and Ettin's
BOTH = {"attention": Attention.bidirectional}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("small")
    return {kind: small(kind, root / kind) for kind in (*DECODERS, "bert", "modernbert")}


def read(folders, architecture: str, kind: str | None = None, **reading) -> Config:
    settings = cell(folders, architecture, kind)
    return replace(settings, model=replace(settings.model, **reading))


@torch.no_grad()
def moved(net: Network, name: str = "last") -> torch.Tensor:
    """Which states [B, T] move with the last real token of each row, or with what stands in its padding."""
    other, length = batch(), torch.tensor(LENGTHS)
    place = torch.arange(max(LENGTHS))
    changed = place == length[:, None] - 1 if name == "last" else place >= length[:, None]
    other["input_ids"] = torch.where(changed, 300, other["input_ids"])
    return (net.states(batch(), MIXED) != net.states(other, MIXED)).any(-1)


EARLY = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None] - 1
REAL = batch()["attention_mask"].bool()


@pytest.mark.parametrize("architecture", [name for name in DECODERS if name in (*ALL, *PAIRED)])
def test_no_early_state_moves_with_a_late_token_unless_attention_is_bidirectional(folders, architecture):
    assert not moved(awake(network(read(folders, architecture))))[EARLY].any()
    both = moved(awake(network(read(folders, architecture, **BOTH))))
    window = "sliding" in str(getattr(network(read(folders, architecture)).trunk.config, "layer_types", ""))
    assert both[EARLY].all() or (window and both[EARLY].float().mean() > 0.9)


@pytest.mark.parametrize("architecture", PAIRED)
def test_under_every_kind_of_private_layers_padding_never_leaks_and_rows_stay_their_own(folders, architecture):
    for kind in (None, *kinds(architecture)):
        net = awake(network(read(folders, architecture, kind, **BOTH)))
        assert moved(net)[EARLY].all(), kind
        assert not moved(net, "padding")[REAL].any(), kind
        with torch.no_grad():
            together = net(batch(), MIXED)
            alone = [net({k: v[:, : LENGTHS[r]] for k, v in rows(r, r + 1).items()}, [(task, 0, 1)])
                     for task, a, b in MIXED for r in range(a, b)]  # fmt: skip
        assert (torch.cat(alone) - together).abs().max() <= 1e-5, kind


@pytest.mark.parametrize("architecture", PAIRED)
def test_causal_in_words_is_the_same_network_as_none(folders, architecture):
    plain, named = (network(read(folders, architecture, **more)) for more in ({}, {"attention": Attention.causal}))
    assert torch.equal(plain(batch(), MIXED), named(batch(), MIXED))


@pytest.mark.parametrize("architecture", ["llama", "modernbert-decoder", "bert", "modernbert"])
@pytest.mark.parametrize("pooling", list(Pooling))
def test_a_head_reads_the_states_it_is_told_to(folders, architecture, pooling):
    reading = BOTH if architecture in DECODERS else {}
    net = awake(network(read(folders, architecture, pooling=pooling, **reading)))
    with torch.no_grad():
        states = net.states(batch(), MIXED)
        of = [state[:length] for state, length in zip(states, LENGTHS, strict=True)]
        expected = {Pooling.mean: [x.mean(0) for x in of], Pooling.last: [x[-1] for x in of],
                    Pooling.first: [x[0] for x in of]}[pooling]  # fmt: skip
        own = [(task, row) for task, a, b in MIXED for row in range(a, b)]
        logits = [net.heads[task](expected[row][None, None], torch.ones(1, 1, dtype=torch.long)) for task, row in own]
        assert torch.allclose(net(batch(), MIXED), torch.cat(logits), atol=1e-6)
        left = {name: torch.stack([row.roll(max(LENGTHS) - n) for row, n in zip(x, LENGTHS, strict=True)])
                for name, x in batch().items()}  # fmt: skip
        if net.positions:
            assert torch.allclose(net(left, MIXED), net(batch(), MIXED), atol=1e-5)


@pytest.mark.parametrize("kind", [None, *PrivateKind])
def test_saved_and_loaded_the_logits_are_equal(folders, kind, tmp_path):
    settings = read(folders, "modernbert-decoder", kind, pooling=Pooling.mean, **BOTH)
    for rank in {4, 4 if kind == "lora" else 0}:
        tuned = replace(settings, model=replace(settings.model, lora=replace(settings.model.lora, r=rank)))
        torch.manual_seed(3)
        net, tokenizer = build_network(tuned)
        expected = awake(net.eval())(batch(), MIXED)
        save_network(net, tokenizer, ConfigFile(tuned), {}, tmp_path / str(rank))
        assert torch.equal(load_network(tmp_path / str(rank))[0](batch(), MIXED), expected)


def test_the_decoders_that_read_both_ways_are_those_that_were_tried_and_others_are_refused(tmp_path):
    assert {*DECODERS} == BIDIRECTIONAL
    sizes = {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 130}
    folder = small("gpt_bigcode", tmp_path / "other", **sizes)
    settings = read({**dict.fromkeys(ARCHITECTURES, folder), "gpt2": folder}, "gpt2", **BOTH)
    with pytest.raises(UserError, match="gpt_bigcode is not known to compute it; these are: falcon, gemma2"):
        check_backbone(folder, settings.model)


def test_a_network_that_does_not_read_the_tokens_behind_is_found_out(folders):
    settings = read(folders, "llama")
    net, tokenizer = build_network(settings)
    inputs = example(net.trunk.get_base_model(), tokenizer, settings.model, TRIAL_LENGTHS)
    with pytest.raises(RuntimeError, match="its states do not read the tokens behind them"):
        try_attention(net.eval(), inputs)


def test_a_backbone_that_reads_both_ways_by_itself_is_asked_for_in_words(folders, tmp_path):
    net = network(read(folders, "llama", **BOTH)).trunk.get_base_model()
    folder = small("llama", tmp_path / "both")
    net.config.save_pretrained(folder)
    settings = read({**folders, "llama": folder}, "llama")
    with pytest.raises(UserError, match=r"its config says is_causal=false; give model.attention=bidirectional"):
        check_backbone(folder, settings.model)
    check_backbone(folder, replace(settings.model, **BOTH))
