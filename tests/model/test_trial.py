"""A new network is tried before it trains: what it cannot do ends with the reason and the remedy."""

from pathlib import Path

import pytest
import torch

from relevance.config import Config, Family, LoraConfig, ModelConfig, RoutingConfig
from relevance.errors import UserError
from relevance.model.backbone import EMBEDDED
from relevance.model.build import build_network
from tools.survey.architectures import made, small

MH = RoutingConfig("mh", heads=True)


def config(folder: Path, family: str = "ce", **changes) -> Config:
    lora = LoraConfig(r=4 if family == "llm" else 0, targets=changes.pop("targets", "all-linear"))
    return Config(model=ModelConfig(family, Family(family), str(folder), lora=lora, **changes), routing=MH)


@pytest.mark.parametrize(("architecture", "family"), [("bert", "ce"), ("roberta", "ce"), ("gpt2", "llm")])
def test_a_backbone_is_read_no_further_than_it_has_places(tmp_path, architecture, family):
    folder = small(architecture, tmp_path)  # 130 places, of which roberta takes two for itself
    build_network(config(folder, family, max_length=128))
    with pytest.raises(UserError, match=r"^model.max_length=131: model.backbone=.* cannot read as many tokens .*lower"):
        build_network(config(folder, family, max_length=131))


def test_places_that_the_pad_token_does_not_take_are_counted(tmp_path):
    """RoBERTa's own pad id is 1, and what looks like padding takes no place."""
    from transformers import AutoTokenizer

    folder = small("roberta", tmp_path, pad_token_id=1, max_position_embeddings=34)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(1)
    tokenizer.save_pretrained(folder)
    build_network(config(folder, max_length=32))
    with pytest.raises(UserError, match=r"max_length=33: .* cannot read as many tokens"):
        build_network(config(folder, max_length=33))


@pytest.mark.parametrize(("kind", "serves"), [("dynamic", False), ("yarn", True)])
def test_positions_that_turn_by_the_longest_row_are_refused_where_rows_can_be_so_long(tmp_path, kind, serves):
    rope = {"rope_type": kind, "factor": 2.0, "rope_theta": 10_000.0, "original_max_position_embeddings": 16}
    folder = small("llama", tmp_path, max_position_embeddings=16, rope_parameters=rope)
    build_network(config(folder, "llm", max_length=16))
    if serves:
        build_network(config(folder, "llm", max_length=64))
        return
    with pytest.raises(UserError, match=r"max_length=64: .* a short text otherwise beside so long a one .*lower it"):
        build_network(config(folder, "llm", max_length=64))


def test_a_decoder_that_is_pooled_at_its_first_token_is_refused(tmp_path):
    """BERT with is_decoder: transformers pools its first token, which sees no other."""
    folder = small("bert", tmp_path, is_decoder=True)
    with pytest.raises(UserError, match="what it says of a text does not depend on the text's last token"):
        build_network(config(folder, "llm"))


def test_rotary_positions_have_no_end(tmp_path):
    build_network(config(small("qwen3", tmp_path), "llm", max_length=300))


def test_a_backbone_that_reads_its_padding_is_refused(tmp_path):
    """FNet mixes all places of a row by a Fourier transform: what stands beside a row decides what it is."""
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "pad_token_id": 0}
    folder = made("fnet", sizes, tmp_path)
    with pytest.raises(UserError, match=r"fnet cannot run routing=mh .* change by [\d.]+% with the padding"):
        build_network(config(folder))


def test_names_of_adapted_layers_are_the_backbones_own():
    build_network(config(EMBEDDED / "llm", "llm", targets=["q_proj", "up_proj"]))
    with pytest.raises(UserError, match=r"no linear layer is called \['query', 'q'\]; there are \[.*'q_proj'"):
        build_network(config(EMBEDDED / "llm", "llm", targets=["query", "q_proj", "q"]))


def test_the_trial_leaves_no_trace():
    """Neither a hook nor a gradient."""
    torch.manual_seed(0)
    network, _ = build_network(config(EMBEDDED / "ce"))
    assert network.training
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in network.trunk.modules())
    assert all(parameter.grad is None for parameter in network.parameters())
