"""The head is new, whatever head the backbone's folder holds."""

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from relevance.config import Config, Family, LoraConfig, ModelConfig, RoutingConfig
from relevance.model.build import build_network
from relevance.model.network import Network
from tools.survey.architectures import small

OLD = 7.0


@pytest.fixture
def judged(tmp_path):
    """A maker of folders of sequence classifiers: all numbers of their heads are OLD."""

    def make(kind: str, labels: int) -> Path:
        folder = small(kind, tmp_path)
        torch.manual_seed(1)
        config = AutoConfig.from_pretrained(folder, num_labels=labels)
        whole = AutoModelForSequenceClassification.from_config(config)
        for name, parameter in whole.named_parameters():
            if not name.startswith(whole.base_model_prefix + "."):
                torch.nn.init.constant_(parameter, OLD)
        whole.save_pretrained(folder)
        return folder

    return make


def built(folder: Path, family: str, seed: int) -> Network:
    torch.manual_seed(seed)
    lora = LoraConfig(r=4 if family == "llm" else 0)
    model = ModelConfig(family, Family(family), str(folder), lora=lora, max_length=32)
    return build_network(Config(model=model, routing=RoutingConfig("mh", heads=True)))[0]


@pytest.mark.parametrize("labels", [1, 2, 3])
@pytest.mark.parametrize(
    ("kind", "family"), [("bert", "ce"), ("roberta", "ce"), ("modernbert", "ce"), ("qwen3", "llm")]
)
def test_no_weight_of_an_old_head_is_left_and_none_of_the_trunk_is_lost(judged, kind, family, labels):
    folder = judged(kind, labels)
    first, second = built(folder, family, 1), built(folder, family, 2)
    for head in first.heads:
        outside = [p for name, p in head.classifier.named_parameters() if "pooler" not in name]
        assert not any((parameter == OLD).any() for parameter in outside)
    heads = [dict(net.heads[0].classifier.named_parameters()) for net in (first, second)]
    drawn = [name for name, p in heads[0].items() if p.dim() > 1 and "pooler" not in name]
    assert drawn
    assert not any(torch.equal(heads[0][name], heads[1][name]) for name in drawn)  # each seed draws its own
    bodies = [{n: p for n, p in net.trunk.named_parameters() if "lora" not in n} for net in (first, second)]
    assert all(torch.equal(p, bodies[1][name]) for name, p in bodies[0].items())
